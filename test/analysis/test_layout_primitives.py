"""Layout primitives: what they do to arrays, and that their index maps do the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_layouts import sequences

from smartmem.errors import InvalidInputError
from smartmem.index_map.physical_layout import (
    PhysicalLayout,
    format_primitives,
    lay_out,
    parse_primitives,
    physical_layout,
)
from smartmem.index_map.primitives import Primitive, Unfold

FILL = -7


def taken(layout: PhysicalLayout, x: np.ndarray) -> np.ndarray:
    """``x`` as the index map of ``layout`` reads it: what the IR does."""
    indices = [
        np.clip(np.broadcast_to(i, layout.shape), 0, n - 1)
        for i, n in zip(layout.index_map.indices(), layout.logical, strict=True)
    ]
    inside = np.broadcast_to(layout.domain.mask(layout.shape), layout.shape)
    return np.where(inside, x[tuple(indices)], FILL)


@st.composite
def layouts(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Primitive, ...]]:
    """A shape, and a layout that fits it."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    return shape, draw(sequences(shape))


@settings(max_examples=300)
@given(layouts())
def test_any_sequence_is_what_numpy_makes_of_it(given_: tuple) -> None:
    shape, primitives = given_
    x = np.arange(math.prod(shape)).reshape(shape)
    found = physical_layout(shape, primitives)
    wanted = lay_out(x, primitives, FILL)
    np.testing.assert_array_equal(taken(found, x), wanted)
    assert found.shape == wanted.shape


@settings(max_examples=300)
@given(layouts())
def test_each_element_is_read_back_from_its_place(given_: tuple) -> None:
    shape, primitives = given_
    x = np.arange(math.prod(shape)).reshape(shape)
    found = physical_layout(shape, primitives)
    if found.places is None:
        assert any(isinstance(p, Unfold) for p in primitives)
    else:
        np.testing.assert_array_equal(found.places.take(taken(found, x)), x)


@given(layouts())
def test_text_reads_back_as_it_was_written(given_: tuple) -> None:
    _, primitives = given_
    assert parse_primitives(format_primitives(primitives)) == primitives


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("split(1, 2, 2)", [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
        ("reorder(1, 0)", [[0, 4], [1, 5], [2, 6], [3, 7]]),
        ("fuse(0, 2)", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("pad(1, 1, 0)", [[FILL, 0, 1, 2, 3], [FILL, 4, 5, 6, 7]]),
        ("unfold(1, 2, 1)", [[[0, 1], [1, 2], [2, 3]], [[4, 5], [5, 6], [6, 7]]]),
        ("store_at(0, 1, 4)", [[FILL] * 4, [0, 1, 2, 3], [4, 5, 6, 7], [FILL] * 4]),
    ],
)
def test_each_primitive(text: str, wanted: list) -> None:
    found = lay_out(np.arange(8).reshape(2, 4), parse_primitives(text), FILL)
    np.testing.assert_array_equal(found, wanted)


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
