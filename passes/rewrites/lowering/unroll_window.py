"""Rebuild an operation with a window as one over slices of its image."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.dialects import tensor

from smartmem.index_map import Dim, Expr, Shape
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.operators.sliding_windows import (
    IMAGE,
    RESULT,
    WEIGHTS,
    Windows,
    loops_of,
)
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_with

Window = dict[int, int]
"""The window loops, each at one of its iterations."""


@dataclass(frozen=True)
class Combination:
    """The body of a reduction: ``combiner(output, value)``.

    Attributes:
        combiner: the operation on the output, in either order.
        value: what it takes in.
        number: the operand of ``combiner`` that is ``value``.
    """

    combiner: ir.Operation
    value: ir.Value
    number: int


def combination(op: ir.Operation) -> Combination | None:
    """The body of ``op`` as a combination; None if it has another form."""
    block = op.regions[0].blocks[0]
    yielded = block.operations[-1].operands[0]
    output = block.arguments[RESULT]
    if isinstance(yielded.owner, ir.Block) or len(list(output.uses)) != 1:
        return None
    combiner = yielded.owner.operation
    if len(combiner.operands) != 2 or output not in list(combiner.operands):
        return None
    number = 1 if combiner.operands[0] == output else 0
    return Combination(combiner, combiner.operands[number], number)


def unroll_window(found: Windows, combined: Combination) -> None:
    """Replaces the operation by a generic without window loops and loops of extent 1."""
    op = found.op
    reads = [k for k in (IMAGE, WEIGHTS) if list(op.regions[0].blocks[0].arguments[k].uses)]
    order = found.loops(("batch", "image", "group", "output", "input"))
    loops = _written_first(found, [loop for loop in order if found.domain[loop] > 1])
    with ir.InsertionPoint(op), op.location:
        slices = [
            [_slice(found, k, window, loops) for k in reads] for window in _windows(found)
        ]
        shape = tuple(n for n in shape_of(op.results[0]) if n > 1)
        start = _fill(found)
        init = _init(op.operands[RESULT], shape, start, bool(found.roles["input"]))
        inputs = [value for at in slices for value, _ in at]
        maps = [map_ for at in slices for _, map_ in at]
        maps.append(_indexing(found.accesses[RESULT].exprs, loops))
        iterators = build.iterators([d in found.roles["input"] for d in loops])
        generic = build.generic([*inputs, init], maps, iterators)
        _fill_body(generic, found, combined, reads, None if found.roles["input"] else start)
        result = build.reshape(generic.results[0], shape_of(op.results[0]))
        op.results[0].replace_all_uses_with(result)
    op.erase()


def _fill(found: Windows) -> ir.Value | None:
    """The scalar that the result starts from, if it is the same everywhere."""
    init = found.op.operands[RESULT]
    while not isinstance(init.owner, ir.Block) and init.owner.name in RESHAPES:
        init = init.owner.operands[0]
    if isinstance(init.owner, ir.Block) or init.owner.name != "linalg.fill":
        return None
    scalar: ir.Value = init.owner.operands[0]
    return scalar


def _init(old: ir.Value, shape: Shape, start: ir.Value | None, reduces: bool) -> ir.Value:
    """The initial result in ``shape``; of a sum without a loop, the body starts it."""
    if start is None:
        return build.reshape(old, shape)
    type_ = build.tensor_type(old, shape)
    return build.splat(start, type_) if reduces else build.empty(type_)


def _written_first(found: Windows, loops: list[int]) -> list[int]:
    """The loops in the order in which the result is written, then the reductions."""
    written = [d for expr in found.accesses[RESULT].exprs for d in loops_of(expr)]
    return [d for d in written if d in loops] + [d for d in loops if d not in written]


def _windows(found: Windows) -> list[Window]:
    loops = found.roles["window"]
    ranges = [range(found.domain[loop]) for loop in loops]
    return [dict(zip(loops, at, strict=True)) for at in itertools.product(*ranges)]


def _slice(
    found: Windows, operand: int, window: Window, loops: Sequence[int]
) -> tuple[ir.Value, ir.AffineMap]:
    """What an operand holds at one place of the window, without dims of 1, and its map."""
    value = found.op.operands[operand]
    offsets, sizes, strides, kept = [], [], [], []
    for expr in found.accesses[operand].exprs:
        terms = [(a.index, f) for a, f in expr.terms if isinstance(a, Dim)]
        free = [(loop, factor) for loop, factor in terms if loop not in window]
        offsets.append(sum(window[loop] * factor for loop, factor in terms if loop in window))
        sizes.append(found.domain[free[0][0]] if free else 1)
        strides.append(free[0][1] if free else 1)
        if free and sizes[-1] > 1:
            kept.append(free[0][0])
    type_ = build.tensor_type(value, [found.domain[loop] for loop in kept])
    static = [ir.DenseI64ArrayAttr.get(values) for values in (offsets, sizes, strides)]
    slice_ = tensor.ExtractSliceOp(type_, value, [], [], [], *static)
    return slice_.result, _map(kept, loops)


def _indexing(exprs: Sequence[Expr], loops: Sequence[int]) -> ir.AffineMap:
    return _map([d for expr in exprs for d in loops_of(expr) if d in loops], loops)


def _map(indices: Sequence[int], loops: Sequence[int]) -> ir.AffineMap:
    return projection(len(loops), [loops.index(loop) for loop in indices])


def _fill_body(
    generic: ir.Operation,
    found: Windows,
    combined: Combination,
    reads: Sequence[int],
    start: ir.Value | None,
) -> None:
    """``combiner(start or output, values of all slices combined)``."""
    block = build.new_body(generic)
    old = found.op.regions[0].blocks[0]
    *elements, output = block.arguments
    with ir.InsertionPoint(block):
        total: ir.Value | None = None
        for first in range(0, len(elements), len(reads)):
            known = {old.arguments[k]: elements[first + n] for n, k in enumerate(reads)}
            value = _clone(combined.value, known, old)
            total = value if total is None else _combine(combined, total, value)
        assert total is not None
        ir.Operation.create("linalg.yield", [], [_combine(combined, start or output, total)])


def _clone(value: ir.Value, known: dict[ir.Value, ir.Value], block: ir.Block) -> ir.Value:
    """``value`` of ``block`` with the values that ``known`` gives for its arguments."""
    if value in known:
        return known[value]
    if isinstance(value.owner, ir.Block) or value.owner.operation.block != block:
        return value
    operands = [_clone(operand, known, block) for operand in value.owner.operands]
    known[value] = clone_with(value.owner.operation, operands).results[0]
    return known[value]


def _combine(combined: Combination, output: ir.Value, value: ir.Value) -> ir.Value:
    operands = [output, value] if combined.number == 1 else [value, output]
    return clone_with(combined.combiner, operands).results[0]
