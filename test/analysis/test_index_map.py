"""The index map algebra against NumPy, on random shapes and random chains."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_mlir import ir

from smartmem import index_map as im
from smartmem.index_map import expr as ex
from smartmem.index_map.taking import contiguous, take

CONTEXT = ir.Context()
RADIX = st.integers(1, 5)
SHAPES = st.lists(st.integers(1, 8), min_size=1, max_size=4).map(tuple)


def factorizations(total: int, rank: int, draw: st.DrawFn) -> tuple[int, ...]:
    """A random shape of ``rank`` dims with ``total`` elements."""
    shape = []
    for _ in range(rank - 1):
        divisors = [d for d in range(1, total + 1) if total % d == 0]
        shape.append(draw(st.sampled_from(divisors)))
        total //= shape[-1]
    return (*shape, total)


@st.composite
def bijection(draw: st.DrawFn, source: tuple[int, ...]) -> im.IndexMap:
    """One reshape or transpose of a tensor of shape ``source``."""
    if draw(st.booleans()):
        return im.transpose(source, draw(st.permutations(range(len(source)))))
    return im.reshape(source, factorizations(math.prod(source), draw(st.integers(1, 4)), draw))


@st.composite
def movement(draw: st.DrawFn, source: tuple[int, ...]) -> im.IndexMap:
    """One data movement of any kind from a tensor of shape ``source``."""
    kind = draw(st.sampled_from(["bijection", "slice", "broadcast", "roll", "flip"]))
    if kind == "bijection":
        return draw(bijection(source))
    axis = draw(st.integers(0, len(source) - 1))
    n = source[axis]
    if kind == "broadcast":
        place = draw(st.integers(0, len(source)))
        shape = (*source[:place], draw(st.integers(1, 4)), *source[place:])
        return im.broadcast([k + (k >= place) for k in range(len(source))], shape)
    offsets, strides, sizes = [0] * len(source), [1] * len(source), list(source)
    if kind == "slice":
        offsets[axis] = draw(st.integers(0, n - 1))
        strides[axis] = draw(st.integers(1, 3))
        most = (n - 1 - offsets[axis]) // strides[axis] + 1
        sizes[axis] = draw(st.integers(1, most))
    if kind == "flip":
        offsets[axis], strides[axis] = n - 1, -1
    if kind != "roll":
        return im.extract_slice(offsets, sizes, strides)
    exprs = list(im.identity(source).exprs)
    shift = ex.add([exprs[axis], ex.constant(draw(st.integers(0, n)))], source)
    exprs[axis] = ex.mod(shift, n, source)
    return im.IndexMap(tuple(exprs), source)


@st.composite
def chains(draw: st.DrawFn, step=movement, most: int = 5):  # type: ignore[no-untyped-def]
    """A source shape and a chain of movements, each reading the one before."""
    source = draw(SHAPES)
    maps, shape = [], source
    for _ in range(draw(st.integers(1, most))):
        maps.append(draw(step(shape)))
        shape = maps[-1].shape
    return source, maps


def composed(source: tuple[int, ...], maps: list[im.IndexMap]) -> im.IndexMap:
    total = im.identity(source)
    for step in maps:
        total = im.compose(step, total)
    return total


def iota(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


@settings(max_examples=250)
@given(chains())
def test_compose_equals_chain_of_takes(case: tuple) -> None:
    source, maps = case
    expected = iota(source)
    for step in maps:
        expected = step.take(expected)
    np.testing.assert_array_equal(composed(source, maps).take(iota(source)), expected)


@settings(max_examples=150)
@given(chains())
def test_affine_round_trip(case: tuple) -> None:
    source, maps = case
    total = composed(source, maps)
    assert im.from_affine(total.to_affine(CONTEXT), total.shape) == total


@settings(max_examples=150)
@given(chains())
def test_taken_views_equal_the_reference(case: tuple) -> None:
    source, maps = case
    total = composed(source, maps)
    np.testing.assert_array_equal(take(total, iota(source)), total.take(iota(source)))
    reversed_ = iota(source)[tuple(slice(None, None, -1) for _ in source)]
    np.testing.assert_array_equal(take(total, reversed_), total.take(reversed_))


@pytest.mark.parametrize("permutation", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_contiguous_keeps_each_element(permutation: tuple[int, int, int]) -> None:
    array = np.arange(1100 * 3 * 1201, dtype=np.int32).reshape(1100, 3, 1201)
    for given_array in (array, array[::-1, :, ::2]):
        found = contiguous(given_array.transpose(permutation))
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, given_array.transpose(permutation))


@settings(max_examples=150)
@given(chains(step=bijection))
def test_inverse_of_reshape_transpose_chain(case: tuple) -> None:
    source, maps = case
    total = composed(source, maps)
    back = im.inverse(total, source)
    if back is None:  # radices that do not divide each other have no digit form
        assert im.digit_form(total) is None
        return
    assert im.compose(back, total).is_identity
    np.testing.assert_array_equal(back.take(total.take(iota(source))), iota(source))


@settings(max_examples=150)
@given(chains())
def test_inverse_only_of_bijections(case: tuple) -> None:
    source, maps = case
    total = composed(source, maps)
    back = im.inverse(total, source)
    if back is not None:
        np.testing.assert_array_equal(back.take(total.take(iota(source))), iota(source))


@settings(max_examples=150)
@given(chains())
def test_contiguous_run_is_the_longest(case: tuple) -> None:
    source, maps = case
    total = composed(source, maps)
    address = total.take(iota(source)).ravel()
    run = im.contiguous_run(total, source)

    def holds(n: int) -> bool:
        rows = address.reshape(-1, n)
        return bool((rows == rows[:, :1] + np.arange(n)).all())

    longest = max(n for n in range(1, address.size + 1) if address.size % n == 0 and holds(n))
    assert holds(run)
    assert run <= longest
    if im.digit_form(total) is None:
        assert run == longest


@settings(max_examples=150)
@given(chains())
def test_digit_form_is_linear_and_equal(case: tuple) -> None:
    source, maps = case
    total = composed(source, maps)
    form = im.digit_form(total)
    if form is None:
        return
    split = im.IndexMap(form.exprs, form.digit_shape)
    assert im.divisions(split) == 0
    np.testing.assert_array_equal(
        split.take(iota(source)).reshape(total.shape), total.take(iota(source))
    )


@settings(max_examples=150)
@given(chains(), st.data())
def test_domain_composes(case: tuple, data: st.DataObject) -> None:
    source, maps = case
    total = composed(source, maps)
    box = []
    for n in source:
        low = data.draw(st.integers(0, n))
        box.append((low, data.draw(st.integers(low, n))))
    domain = im.box_domain(box, source)
    inside = np.broadcast_to(domain.mask(source), source)
    expected = total.take(inside)
    got = np.broadcast_to(im.compose_domain(total, domain).mask(total.shape), total.shape)
    np.testing.assert_array_equal(got, expected)


@settings(max_examples=150)
@given(chains(), st.integers(-1, 1))
def test_is_within_is_exact(case: tuple, grow: int) -> None:
    source, maps = case
    total = composed(source, maps)
    bounds = tuple(max(n + grow, 1) for n in source)
    indices = [np.broadcast_to(i, total.shape) for i in total.indices()]
    exact = all(((i >= 0) & (i < n)).all() for i, n in zip(indices, bounds, strict=True))
    assert im.is_within(total, bounds) == exact


@st.composite
def expressions(draw: st.DrawFn, shape: tuple[int, ...], depth: int = 3):  # type: ignore[no-untyped-def]
    """A random expression built with unsimplified nodes, and its values."""
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        axis = draw(st.integers(0, len(shape) - 1))
        return ex.dim(axis), np.broadcast_to(grid[axis], shape)
    kind = draw(st.sampled_from(["add", "scale", "floordiv", "mod"]))
    left, values = draw(expressions(shape, depth - 1))
    k = draw(st.integers(1, 12))
    if kind == "add":
        right, more = draw(expressions(shape, depth - 1))
        offset = draw(st.integers(-9, 9))
        total = ex.add([left, right, ex.constant(offset)], shape)
        return total, values + more + offset
    if kind == "scale":
        return ex.scale(left, k - 6), values * (k - 6)
    if kind == "floordiv":
        return ex.floordiv(left, k, shape), values // k
    return ex.mod(left, k, shape), values % k


@settings(max_examples=400)
@given(SHAPES.flatmap(lambda s: st.tuples(st.just(s), expressions(s))))
def test_simplified_expressions_keep_their_values(case: tuple) -> None:
    shape, (expression, values) = case
    grid = list(np.ogrid[tuple(slice(n) for n in shape)])
    np.testing.assert_array_equal(np.broadcast_to(ex.evaluate(expression, grid), shape), values)
    low, high = ex.bounds(expression, shape)
    assert low <= values.min() and values.max() <= high
    again = ex.simplify(expression, shape)
    np.testing.assert_array_equal(np.broadcast_to(ex.evaluate(again, grid), shape), values)


def test_rule_of_the_paper() -> None:
    # [2,256,4] reshaped to [16,8,4,4] and transposed to [16,4,8,4] (SmartMem, figure 3).
    total = im.compose(
        im.transpose((16, 8, 4, 4), (0, 2, 1, 3)), im.reshape((2, 256, 4), (16, 8, 4, 4))
    )
    assert str(total) == (
        "(d0, d1, d2, d3) -> (((d0) floordiv 8), d1 + d2 * 4 + ((d0) mod 8) * 32, d3)"
    )
    assert im.inverse(total, (2, 256, 4)) is not None


def test_unit_dimensions_are_dropped() -> None:
    assert im.identity((1, 4)).is_identity
    assert str(im.identity((1, 4)).exprs[0]) == "0"


@given(st.lists(st.tuples(RADIX, RADIX, RADIX), min_size=1, max_size=3), st.data())
def test_a_part_of_a_split_dim_is_a_slice(
    dims: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    """``x[48 * h + d]`` with d < 16 is a slice of x with its dim split into (.., 48)."""
    source = tuple(high * (low + rest) for high, low, rest in dims)
    split = [n for high, low, rest in dims for n in (high, low + rest)]
    sizes = [n for high, low, _ in dims for n in (high, low)]
    starts = [n for _, _, rest in dims for n in (0, data.draw(st.integers(0, rest)))]
    part = im.extract_slice(starts, sizes, [1] * len(sizes))
    index_map = im.compose(part, im.reshape(source, split))
    form = im.digit_form(index_map)
    assert form is not None
    layout = im.layout_of(form, source)
    assert layout is not None and math.prod(layout.source) == math.prod(source)
    x = np.arange(math.prod(source)).reshape(source)
    taken = layout.slice_map().take(x.reshape(layout.source))
    np.testing.assert_array_equal(np.ravel(taken), np.ravel(index_map.take(x)))


@pytest.mark.parametrize(
    ("old", "new", "groups"),
    [
        ((2, 3, 4), (6, 4), [([0, 1], [0]), ([2], [1])]),
        ((6, 4), (2, 3, 4), [([0], [0, 1]), ([1], [2])]),
        ((2, 3, 4, 5), (24, 5), [([0, 1, 2], [0]), ([3], [1])]),
        ((4, 3), (2, 6), [([0, 1], [0, 1])]),
        ((5, 1, 1), (5,), [([0, 1, 2], [0])]),
        ((5,), (5, 1), [([0], [0, 1])]),
        ((), (1,), []),
    ],
)
def test_reassociation_groups_neighbours(
    old: tuple[int, ...], new: tuple[int, ...], groups: list[tuple[list[int], list[int]]]
) -> None:
    assert im.reassociation(old, new) == groups
