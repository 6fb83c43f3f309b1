"""What IREE's code generators make a good, or a right, kernel of.

The table says what fusing two operators could give; these rules say what iree-compile
3.13 does with it. Each was measured or seen to fail; docs/design.md has the figures.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import Expr
from smartmem.passes.analysis.fusion_plan import Group
from smartmem.passes.analysis.loops import LoopNest, loop_nest
from smartmem.passes.analysis.movement import Refusal, shape_of
from smartmem.passes.analysis.rows import ends_reduction, origin


def refuse_fusion(producer: Group, consumer: Group) -> Refusal | None:
    """Why a kernel of both would be slower or not compile; None: it is good."""
    if _reduces(consumer):
        return None if _reduces(producer) else _refuse_prologue(producer, consumer)
    if _reduces(producer) or any(map(ends_reduction, producer.operations)):
        return _refuse_epilogue(producer, consumer)
    return None


def refuse_region(group: Group) -> Refusal | None:
    """Why a group must not become a region, but be left to IREE's own fusion."""
    for op in group.operations:
        nest = loop_nest(op) if op.name == "linalg.generic" else None
        if nest is None or nest.is_contraction or nest.uses_index:
            continue
        if sum(nest.domain[d] > 1 for d in nest.reductions) > 1:
            # Seen on lavapipe: the sum over three dims of a region is wrong by a factor;
            # outside of regions IREE first collapses what it can, and is right.
            return Refusal("in a region, sums over several dims become wrong SPIR-V")
    return None


def _reduces(group: Group) -> bool:
    return any(_is_reduction(op) for op in group.operations)


def _is_reduction(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return op.name.startswith("linalg.") and (nest is None or bool(nest.reductions))


def _refuse_prologue(producer: Group, consumer: Group) -> Refusal | None:
    """Elementwise operations before a reduction."""
    if sum(map(_is_reduction, consumer.operations)) < 2:
        return Refusal("a reduction loads its operands as vectors: it reads stored ones")
    # A row-wise operator keeps the row that it computes, if it is computed as it lies.
    for op in producer.operations:
        inputs = range(len(op.operands) - 1)
        if not _computes_indices(op) and not all(_in_order(op, k) for k in inputs):
            return Refusal("a normalization would compute its row in another order")
    return None


def _refuse_epilogue(producer: Group, consumer: Group) -> Refusal | None:
    """Elementwise operations behind a reduction: they run on its registers."""
    inside = [producer.operations[-1], *consumer.operations]
    for op in consumer.operations:
        if _computes_indices(op):
            return Refusal("it is read at computed indices, element by element")
        for number, value in enumerate(list(op.operands)[:-1]):
            source = origin(value)
            if source is None or source not in inside:
                continue
            if value.owner.operation != source:
                return Refusal("a reshape lies between: the loops differ")
            if not _in_order(op, number):
                return Refusal("it is read in another order than it is written")
    return None


def _computes_indices(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is None or nest.uses_index


def _in_order(op: ir.Operation, operand: int) -> bool:
    """Whether ``op`` reads ``operand``, or what it repeats, in the order it writes."""
    nest = loop_nest(op)
    if nest is None:
        return False
    written = _loops(nest, len(nest.accesses) - 1, op)
    read = _loops(nest, operand, op)
    return read == [e for e in written if e in read]


def _loops(nest: LoopNest, operand: int, op: ir.Operation) -> list[Expr]:
    exprs = nest.accesses[operand].exprs
    shape = shape_of(op.operands[operand])
    return [e for e, extent in zip(exprs, shape, strict=True) if extent > 1]
