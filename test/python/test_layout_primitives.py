"""Layout primitives against NumPy, step by step and in any sequence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layouts import sequences

from smartmem.errors import InvalidInputError
from smartmem.index_map.primitives import (
    Fuse,
    Pad,
    Primitive,
    Reorder,
    Split,
    StoreAt,
    Unfold,
    format_primitives,
    parse_primitives,
    physical_layout,
)

FILL = -7


def numpy_step(primitive: Primitive, x: np.ndarray) -> np.ndarray:
    """What a primitive does to an array, without index maps."""
    shape = x.shape
    match primitive:
        case Split(axis, factors):
            return x.reshape(*shape[:axis], *factors, *shape[axis + 1 :])
        case Reorder(order):
            return x.transpose(order)
        case Fuse(axis, count):
            return x.reshape(*shape[:axis], -1, *shape[axis + count :])
        case Unfold(axis, size, stride):
            windows = np.lib.stride_tricks.sliding_window_view(x, size, axis)
            kept = windows.take(range(0, windows.shape[axis], stride), axis)
            return np.moveaxis(kept, -1, axis + 1)
        case Pad(axis, before, after):
            widths = (before, after)
        case StoreAt(axis, first, extent):
            widths = (first, extent - first - shape[axis])
        case _:
            raise AssertionError(primitive)
    pads = [widths if d == axis else (0, 0) for d in range(x.ndim)]
    return np.pad(x, pads, constant_values=FILL)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Primitive, ...]]:
    """A shape, and a layout that fits it."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    return shape, draw(sequences(shape))


@settings(max_examples=300, deadline=None)
@given(layouts())
def test_any_sequence_is_what_numpy_makes_of_it(given_: tuple) -> None:
    shape, primitives = given_
    x = np.arange(math.prod(shape)).reshape(shape)
    found = physical_layout(shape, primitives)
    wanted = x
    for primitive in primitives:
        wanted = numpy_step(primitive, wanted)
    np.testing.assert_array_equal(found.take(x, FILL), wanted)
    assert found.shape == wanted.shape


@settings(max_examples=300, deadline=None)
@given(layouts())
def test_each_element_is_read_back_from_its_place(given_: tuple) -> None:
    shape, primitives = given_
    x = np.arange(math.prod(shape)).reshape(shape)
    found = physical_layout(shape, primitives)
    if found.places is None:
        assert any(isinstance(p, Unfold) for p in primitives)
    else:
        np.testing.assert_array_equal(found.places.take(found.take(x, FILL)), x)


@given(layouts())
def test_text_reads_back_as_it_was_written(given_: tuple) -> None:
    _, primitives = given_
    assert parse_primitives(format_primitives(primitives)) == primitives


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "split(1, 3, 4)",
            "split(1, 3, 4) does not fit the shape [4, 8]: 8 is not the product",
        ),
        ("split(2, 4)", "it has no dim 2"),
        ("reorder(0, 0)", "it does not name each dim once"),
        ("fuse(1, 2)", "there are no 2 dims from dim 1 on"),
        ("pad(0, -1, 0)", "it would cut elements off"),
        ("unfold(0, 2, 3)", "windows skip elements"),
        ("unfold(0, 5, 1)", "or are longer than the dim"),
        ("unfold(1, 3, 2)", "the last window would be cut off; pad it first"),
        ("store_at(0, 3, 6)", "4 elements from place 3 on are more than there are"),
        ("swap(0, 1)", "there is no layout primitive swap; use split, reorder"),
        ("pad(0, 1)", "pad takes 3 numbers: axis, before, after"),
        ("split(0)", "split takes 2 numbers or more"),
        ("reorder(1, 0), fuse(0, 2)", "', fuse(0, 2)' is no layout primitive"),
    ],
)
def test_a_layout_that_does_not_fit_says_why(text: str, fault: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        physical_layout((4, 8), parse_primitives(text))
    assert fault in str(error.value)
