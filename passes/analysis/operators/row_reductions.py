"""Row-wise operators: LayerNorm, softmax and their like, found by their structure.

The importer writes a normalization as several reductions with elementwise operations
between them. All of them run over the same rows: each reduction sums along the same
dims of tensors of one shape. Souffle's terms: the reductions are one-relies-on-many and
the rest one-relies-on-one, with a row as the part that stays close. Together they are
one many-to-many operator of DNNFusion's table 2 (Softmax, InstanceNormalization).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch_mlir import ir

from smartmem.index_map import Dim
from smartmem.passes.analysis.ir.chains import RESHAPES, defining_op, origin, readers
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, loop_nest, reduces
from smartmem.passes.analysis.ir.movement import long_dims, shape_of
from smartmem.passes.analysis.operators.unrolled_windows import is_window_sum

Reduced = tuple[bool, ...]
"""For each dim of a tensor whether the rows' reductions run along it."""


def row_operators(block: ir.Block) -> list[list[ir.Operation]]:
    """The row-wise operators of ``block``: operations in program order, last the result.

    Each has at least one reduction and one other operation, and one result that others
    read. Contractions, and operations that compute their own indices, are in none.
    """
    found: list[list[ir.Operation]] = []
    taken: set[ir.Operation] = set()
    operations = [op.operation for op in block.operations]
    position = {op: number for number, op in enumerate(operations)}
    for op in operations:
        nest = _nest(op)
        if nest is None or not nest.reductions or op in taken:
            continue
        members = [m for m in _Rows(op, nest).members if m not in taken]
        parts = closed_parts(sorted(members, key=position.__getitem__))
        found += (part for part in parts if len(part) > 1 and any(map(reduces, part)))
        taken.update(members)
    return found


def _nest(op: ir.Operation) -> LoopNest | None:
    nest = generic_nest(op)
    if nest is None or nest.is_contraction or nest.uses_index:
        return None
    return nest if nest.is_plain else None


class _Rows:
    """Operations over the rows of one reduction, grown along readers, then producers."""

    def __init__(self, root: ir.Operation, nest: LoopNest) -> None:
        self.members = [root]
        self._reduced: dict[ir.Value, Reduced] = {}
        self._ends: dict[ir.Value, bool] = {}
        self._scalars = [root.results[0]]  # with one element for each row
        for operand in range(nest.output):
            if len(nest.loops_of(operand)) == _rank(nest):
                flags = _flags(nest, operand, root.operands[operand], nest.reductions)
                self._reduced[root.operands[operand]] = flags
        while self._grow():
            pass

    def _grow(self) -> bool:
        """Adds one operation; false if there is none."""
        for value, flags in list(self._reduced.items()):
            for op, operand, seen in _readers(value, flags):
                if op not in self.members and self._add(op, operand, seen):
                    return True
        if any(self._add_scalar(op) for value in self._scalars for op in readers(value)):
            return True
        return any(self._absorb(value) for value in list(self._reduced))

    def _add_scalar(self, op: ir.Operation) -> bool:
        """Adds what is computed once for each row: the mean of a sum, the root of a variance."""
        nest = _nest(op)
        if op in self.members or nest is None or nest.reductions or not nest.keeps_order:
            return False
        shape = long_dims(shape_of(op.results[0]))
        for value in list(op.operands)[:-1]:
            producer = origin(value)
            if producer is None or producer not in self.members:
                return False
            if long_dims(shape_of(producer.results[0])) != shape:
                return False  # not for each row, or behind a reshape into other loops
        self.members.append(op)
        self._scalars.append(op.results[0])
        return True

    def _add(self, op: ir.Operation, operand: int, flags: Reduced) -> bool:
        nest = _nest(op)
        if nest is None or len(nest.loops_of(operand)) != _rank(nest):
            return False
        along = _loops(nest, operand, flags)
        if nest.reductions and nest.reductions != along:
            return False  # reduces other dims: not these rows
        if not nest.reductions and not self._reads_member(op):
            return False
        self._include(op, nest, along)
        return True

    def _reads_member(self, op: ir.Operation) -> bool:
        made = [member.results[0] for member in self.members]
        return any(is_made_by(v, made) for v in list(op.operands)[:-1])

    def _absorb(self, value: ir.Value) -> bool:
        """Takes in the elementwise producer of ``value`` that only members read.

        Not the end of a contraction: that runs on the contraction's registers. Nor a sum
        over a window: each reduction would compute it again. Nor one that reads in
        another order than it writes: rows would be computed across.
        """
        op = defining_op(value)
        if op is None or op in self.members or (nest := _nest(op)) is None:
            return False
        used = all(reader in self.members for reader in readers(value))
        if nest.reductions or not used or not nest.keeps_order:
            return False
        if ends_reduction(op, self._ends) or is_window_sum(op):
            return False
        self._include(op, nest, _loops(nest, nest.output, self._reduced[value]))
        return True

    def _include(self, op: ir.Operation, nest: LoopNest, along: frozenset[int]) -> None:
        self.members.append(op)
        if nest.reductions:
            self._scalars.append(op.results[0])
        values = [*list(op.operands)[:-1], op.results[0]]
        for k, value in enumerate(values):
            if len(nest.loops_of(k)) == _rank(nest):
                self._reduced.setdefault(value, _flags(nest, k, value, along))


def _rank(nest: LoopNest) -> int:
    return sum(extent > 1 for extent in nest.domain)


def _flags(nest: LoopNest, operand: int, value: ir.Value, along: frozenset[int]) -> Reduced:
    exprs = nest.accesses[operand].exprs
    return tuple(
        any(isinstance(a, Dim) and a.index in along for a, _ in expr.terms)
        for expr, _ in zip(exprs, shape_of(value), strict=True)
    )


def _loops(nest: LoopNest, operand: int, flags: Reduced) -> frozenset[int]:
    """The loops of ``operand`` that run along reduced dims."""
    return frozenset(
        a.index
        for expr, flag in zip(nest.accesses[operand].exprs, flags, strict=True)
        for a, _ in expr.terms
        if flag and isinstance(a, Dim)
    )


def _readers(value: ir.Value, flags: Reduced) -> Iterator[tuple[ir.Operation, int, Reduced]]:
    """The readers, the number of the operand they read, and the flags of its dims.

    A reshape that splits or merges dims ends the search: behind it are other loops.
    """
    for use in value.uses:
        op = use.owner.operation
        if op.name not in RESHAPES:
            yield op, use.operand_number, flags
        elif (seen := _reshaped(flags, value, op.results[0])) is not None:
            yield from _readers(op.results[0], seen)


def _reshaped(flags: Reduced, value: ir.Value, result: ir.Value) -> Reduced | None:
    """The flags seen through a reshape that adds or drops dims of size 1 only."""
    if long_dims(shape_of(value)) != long_dims(shape_of(result)):
        return None
    old, new = shape_of(value), shape_of(result)
    kept = iter(flag for flag, extent in zip(flags, old, strict=True) if extent > 1)
    return tuple(extent > 1 and next(kept) for extent in new)


def is_made_by(value: ir.Value, results: Collection[ir.Value]) -> bool:
    """Whether ``value`` is one of ``results``, seen through reshapes."""
    producer = origin(value)
    return producer is not None and any(result in results for result in producer.results)


def ends_reduction(op: ir.Operation, known: dict[ir.Value, bool]) -> bool:
    """Whether ``op``, elementwise, is behind a reduction, seen through its likes.

    Args:
        known: the answers for results so far, to be shared by all questions about IR that
            does not change meanwhile.
    """
    result = op.results[0]
    if result not in known:
        known[result] = _ends_reduction(op, known)
    return known[result]


def _ends_reduction(op: ir.Operation, known: dict[ir.Value, bool]) -> bool:
    for value in list(op.operands)[:-1]:
        producer = origin(value)
        if producer is None or not producer.name.startswith("linalg."):
            continue
        nest = loop_nest(producer)
        if nest is None or nest.reductions:
            return producer.name != "linalg.fill"
        alone = len(readers(producer.results[0])) == 1
        if alone and ends_reduction(producer, known):
            return True
    return False


def closed_parts(ordered: list[ir.Operation]) -> list[list[ir.Operation]]:
    """Parts of the operations that have one result each, in program order.

    What operations outside a part read, too, is stored anyway: the part ends there.
    """
    for number, op in enumerate(ordered[:-1]):
        if any(reader not in ordered for reader in readers(op.results[0])):
            return [*closed_parts(ordered[: number + 1]), *closed_parts(ordered[number + 1 :])]
    return [ordered]
