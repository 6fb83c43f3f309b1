"""Trees of elements in whole vectors are the elements one by one, on random concats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_mlir import ir

from smartmem.index_map import Dim, Domain, Expr, IndexMap, Shape, dim
from smartmem.index_map.expr import evaluate
from smartmem.passes.analysis.gathers.elements import Choose, Element, Load, Scalar, walk
from smartmem.passes.analysis.gathers.vectorization import lane_form

CONTEXT = ir.Context()


@dataclass(frozen=True)
class Concat:
    """Rows of ``row`` elements of two tensors behind each other, some columns of each.

    Attributes:
        rows: of all together.
        row: elements of each.
        first: elements of the first tensor; the second one has the rest.
        begin: the first column that is read.
        width: how many are.
        rest: columns of ones behind them.
    """

    rows: int
    row: int
    first: int
    begin: int
    width: int
    rest: int

    @property
    def shape(self) -> Shape:
        return (self.rows, self.width + self.rest)

    def values(self) -> np.ndarray:
        """The elements, by NumPy."""
        rows = np.arange(self.rows * self.row).reshape(self.rows, self.row)
        taken = rows[:, self.begin : self.begin + self.width]
        return np.pad(taken, ((0, 0), (0, self.rest)), constant_values=-1)


@st.composite
def concats(draw: st.DrawFn) -> Concat:
    unit = draw(st.sampled_from([2, 4, 8, 16]))
    rows = draw(st.integers(2, 5))
    row = unit * draw(st.integers(2, 6))
    first = unit * draw(st.integers(1, rows * row // unit - 1))
    begin = unit * draw(st.integers(0, row // unit - 1))
    width = draw(st.sampled_from([unit, row - begin, row - begin - 1]))
    return Concat(rows, row, first, begin, width, draw(st.integers(0, 5)))


def tree(concat: Concat) -> tuple[Element, dict[ir.Value, np.ndarray], ir.Module]:
    """What computes an element, the tensors, and the module that they are arguments of."""
    second = concat.rows * concat.row - concat.first
    types = f"%a: tensor<{concat.first}xi32>, %b: tensor<{second}xi32>, %one: i32"
    module = ir.Module.parse(f"func.func private @f({types}) {{ return }}", CONTEXT)
    a, b, one = module.body.operations[0].regions[0].blocks[0].arguments
    place = ((Dim(0), concat.row), (Dim(1), 1))
    in_a = Domain((Expr(tuple((d, -c) for d, c in place), concat.first - 1 - concat.begin),))
    loads = (
        Load(source, IndexMap((Expr(place, concat.begin - skipped),), concat.shape))
        for source, skipped in ((a, 0), (b, concat.first))
    )
    pieces = Choose(tuple(zip((in_a, Domain(())), loads, strict=True)))
    in_width = Domain((Expr(((Dim(1), -1),), concat.width - 1),))
    numbers = np.arange(concat.first + second)
    arrays = {a: numbers[: concat.first], b: numbers[concat.first :]}
    return Choose(((in_width, pieces), (Domain(()), Scalar(one)))), arrays, module


def computed(element: Element, shape: Shape, arrays: dict[ir.Value, np.ndarray]) -> np.ndarray:
    """The elements, as the kernel computes them: loads outside are clamped."""
    if isinstance(element, Scalar):
        return np.full(shape, -1)
    if isinstance(element, Load):
        (at,) = (
            evaluate(e, list(np.ogrid[tuple(map(slice, shape))]))
            for e in element.index_map.exprs
        )
        array, lanes = arrays[element.source], element.lanes
        vector = np.clip(at // lanes, 0, len(array) // lanes - 1)
        return np.broadcast_to(array[vector * lanes + at % lanes], shape)
    assert isinstance(element, Choose)
    *pieces, (_, last) = element.pieces
    result = computed(last, shape, arrays)
    for domain, piece in reversed(pieces):
        result = np.where(domain.mask(shape), computed(piece, shape, arrays), result)
    return result


@given(concats(), st.booleans())
@settings(max_examples=300)
def test_vectors_hold_the_elements(concat: Concat, longer: bool) -> None:
    element, arrays, _module = tree(concat)
    np.testing.assert_array_equal(computed(element, concat.shape, arrays), concat.values())
    form = lane_form(element, concat.shape, longer)
    if form is None:
        return
    rows, count, lanes = form.shape
    assert longer or count * lanes == concat.shape[1]
    values = computed(form.element, form.shape, arrays).reshape(rows, -1)
    np.testing.assert_array_equal(values[:, : concat.shape[1]], concat.values())


def test_linear_attention_takes_the_longest_vectors() -> None:
    """Heads of 3 x 16 columns and one of ones, of two tensors: 4 vectors, of which 3 are read."""
    element, _, _module = tree(Concat(16, 48, 384, 0, 48, 1))
    form = lane_form(element, (16, 49), longer=True)
    assert form is not None
    assert form.shape == (16, 4, 16)
    assert isinstance(form.element, Choose)
    (in_width, pieces), _ = form.element.pieces
    assert in_width.constraints == (Expr(((Dim(1), -1),), 2),)
    assert isinstance(pieces, Choose)
    assert pieces.pieces[0][0].constraints == (Expr(((Dim(0), -3), (Dim(1), -1)), 23),)
    assert {node.lanes for node in walk(pieces) if isinstance(node, Load)} == {16}


def test_pieces_that_end_within_vectors_stay() -> None:
    element, _, _module = tree(Concat(16, 48, 384, 0, 46, 2))
    assert lane_form(element, (16, 48), longer=True) is None


def test_rows_do_not_become_longer_unasked() -> None:
    element, _, _module = tree(Concat(16, 48, 384, 0, 48, 1))
    assert lane_form(element, (16, 49), longer=False) is None


def test_what_maps_can_index_has_no_vectors() -> None:
    """Without arithmetic on indices there is nothing to gain."""
    module = ir.Module.parse("func.func private @f(%a: tensor<3x32xi32>) { return }", CONTEXT)
    (a,) = module.body.operations[0].regions[0].blocks[0].arguments
    load = Load(a, IndexMap((dim(0), dim(1)), (3, 32)))
    assert lane_form(load, (3, 32), longer=False) is None


def test_rows_in_reverse_stay() -> None:
    module = ir.Module.parse("func.func private @f(%a: tensor<32xi32>) { return }", CONTEXT)
    (a,) = module.body.operations[0].regions[0].blocks[0].arguments
    back = Load(a, IndexMap((Expr(((Dim(0), 32), (Dim(1), -1)), 31),), (2, 32)))
    assert lane_form(back, (2, 32), longer=False) is None
