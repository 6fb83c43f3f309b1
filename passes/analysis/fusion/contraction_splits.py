"""Contractions of which an elementwise operation reads two parts: two sums are one kernel.

The parts differ in the columns, which one operand has: a contraction of its own for each
reads that part of the operand, and the other operand again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch_mlir import ir

from smartmem.backend.targets.vectors import Vectors
from smartmem.index_map import IndexMap, dim
from smartmem.passes.analysis.fusion.multi_reductions import reads_blocks
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.operators.strided_slices import SLICE
from smartmem.passes.analysis.tiling.cpu_multi_reductions import joint_sum_tiles

_PARTS = 2  # what one kernel takes up in turn


@dataclass(frozen=True)
class Part:
    """A slice of a contraction's result, and the contraction that computes no more.

    Attributes:
        slice: the ``tensor.extract_slice``.
        offset: the first column.
        columns: how many there are.
        nest: the loops of the new contraction; without the columns' if the slice drops it.
    """

    slice: ir.Operation
    offset: int
    columns: int
    nest: LoopNest


@dataclass(frozen=True)
class Split:
    """A contraction and its parts.

    Attributes:
        op: the contraction.
        start: the scalar that its sums start from.
        operand: the operand that has the columns.
        axis: which of its dims they are.
        parts: one for each slice.
    """

    op: ir.Operation
    start: ir.Value
    operand: int
    axis: int
    parts: tuple[Part, ...]


def contraction_split(op: ir.Operation, vectors: Vectors) -> Split | Refusal | None:
    """How ``op`` is split, or why not; None unless one operation reads two slices of it."""
    nest = loop_nest(op)
    slices = [use.owner.operation for use in op.results[0].uses] if len(op.results) == 1 else []
    reader = _reader(slices)
    if nest is None or reader is None or not nest.is_contraction:
        return None
    axes = {axis for slice_ in slices for axis in _cut(slice_)}
    if len(axes) != 1 or any(n != 1 for slice_ in slices for n in _numbers(slice_, "strides")):
        return Refusal("its slices are no runs along one dim")
    if not _is_dense(nest):
        return Refusal("not every dim of it is a loop: it has dims of size 1")
    (axis,) = axes
    loop = nest.written[axis]
    operands = [k for k, loops in enumerate(nest.read) if loop in loops]
    if len(operands) != 1:
        return Refusal("both operands have the dim that is sliced")
    start = _start(op)
    if start is None:
        return Refusal("its sum starts from a tensor")
    parts = (_part(slice_, nest, axis, loop) for slice_ in slices)
    found = tuple(sorted(parts, key=lambda part: part.offset))
    refusal = _refuse(found, reader, nest.domain[loop], vectors)
    place = nest.axis_of(operands[0], loop)
    return refusal or Split(op, start, operands[0], place, found)


def _refuse(
    parts: Sequence[Part], reader: ir.Operation, columns: int, vectors: Vectors
) -> Refusal | None:
    """Why the parts would not be one kernel, or more work than the whole."""
    if sum(part.columns for part in parts) > columns:
        return Refusal("its slices overlap: columns would be computed twice")
    tiles = joint_sum_tiles([part.nest for part in parts], vectors)
    if isinstance(tiles, Refusal):
        return Refusal(f"its parts would be kernels of their own: {tiles.reason}")
    results = [part.slice.results[0] for part in parts]
    read = [k for k, value in enumerate(reader.operands) if value in results]
    if not reads_blocks(reader, read):
        return Refusal("its parts would be kernels of their own: they are read elsewhere")
    return None


def _reader(slices: Sequence[ir.Operation]) -> ir.Operation | None:
    """The elementwise operation that alone reads all of the slices."""
    if len(slices) != _PARTS or any(op.name != SLICE for op in slices):
        return None
    uses = [list(op.results[0].uses) for op in slices]
    owners = {use.owner.operation for found in uses for use in found}
    if any(len(found) != 1 for found in uses) or len(owners) != 1:
        return None
    (reader,) = owners
    nest = loop_nest(reader)
    return reader if nest is not None and nest.is_elementwise else None


def _numbers(slice_: ir.Operation, kind: str) -> list[int]:
    return list(ir.DenseI64ArrayAttr(slice_.attributes[f"static_{kind}"]))


def _cut(slice_: ir.Operation) -> list[int]:
    """The dims of which the slice takes a part."""
    sizes = zip(_numbers(slice_, "sizes"), shape_of(slice_.operands[0]), strict=True)
    return [axis for axis, (size, extent) in enumerate(sizes) if size != extent]


def _is_dense(nest: LoopNest) -> bool:
    """Whether each dim of each operand is indexed by one loop."""
    accesses = enumerate(nest.accesses)
    return nest.is_plain and all(len(nest.loops_of(k)) == len(a.exprs) for k, a in accesses)


def _start(op: ir.Operation) -> ir.Value | None:
    """The scalar of the initial result, if it is the same everywhere."""
    init = op.operands[-1]
    if isinstance(init.owner, ir.Block) or init.owner.name != "linalg.fill":
        return None
    return init.owner.operands[0]


def _part(slice_: ir.Operation, nest: LoopNest, axis: int, loop: int) -> Part:
    """The part that ``slice_`` reads; it drops no dim but that of the columns, if any."""
    offset, columns = _numbers(slice_, "offsets")[axis], _numbers(slice_, "sizes")[axis]
    if len(shape_of(slice_.results[0])) < len(shape_of(slice_.operands[0])):
        return Part(slice_, offset, columns, _without(nest, loop))
    domain = tuple(columns if d == loop else n for d, n in enumerate(nest.domain))
    accesses = tuple(IndexMap(a.exprs, domain) for a in nest.accesses)
    return Part(slice_, offset, columns, replace(nest, domain=domain, accesses=accesses))


def _without(nest: LoopNest, loop: int) -> LoopNest:
    """The loops but ``loop``, which takes one step."""
    number = {d: d - (d > loop) for d in range(len(nest.domain)) if d != loop}
    domain = tuple(n for d, n in enumerate(nest.domain) if d != loop)
    kept = ([d for d in nest.loops_of(k) if d != loop] for k in range(len(nest.accesses)))
    accesses = tuple(IndexMap(tuple(dim(number[d]) for d in loops), domain) for loops in kept)
    reductions = frozenset(number[d] for d in nest.reductions)
    return LoopNest(domain, accesses, reductions, nest.is_contraction, nest.uses_index)
