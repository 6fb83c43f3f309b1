"""Which tensors lie in the same order of dims, and what lies between those that need not.

Operations that take any order (group ILI of SmartMem's table 3) tie their tensors to one
layout: elementwise operations, and movements that leave each dim where it is (padding, slice,
concat, flip, repetition). Tensors that are tied are a class. At its borders are

    edges    views that permute or reshape, between two classes or a class and another tensor
    leaves   tensors that an operation of the class reads and another one makes
    readers  operations of other kinds that read a tensor of the class

``layout_orders`` chooses the order of each class. This changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import (
    Dim,
    IndexMap,
    atoms,
    compose,
)
from smartmem.passes.analysis.ir.accesses import is_contracted
from smartmem.passes.analysis.ir.chains import users
from smartmem.passes.analysis.ir.loops import LoopNest, contracts, loop_nest
from smartmem.passes.analysis.ir.movement import (
    is_static,
    is_view,
    shape_of,
    view_map,
)

Order = tuple[int, ...]
"""Number of the tensor's dim at each place in memory, outermost first."""


@dataclass(eq=False)
class TensorClass:
    """Tensors of one rank that lie in the same order.

    Attributes:
        values: in program order.
        order: the order of their dims in memory.
    """

    values: list[ir.Value]
    order: Order

    @property
    def is_plain(self) -> bool:
        """Whether its tensors lie row-major."""
        return self.order == tuple(range(len(self.order)))

    def __str__(self) -> str:
        shapes = ", ".join("x".join(map(str, shape_of(v))) for v in self.values)
        return f"{self.order}: {shapes}"


@dataclass(frozen=True)
class Edge:
    """Views between two tensors; ``source`` can be of no class.

    Attributes:
        source: what is read, before all views that only views read.
        result: what a computation or a movement with a domain reads.
        index_map: index of the result -> index of the source.
        is_read_anyhow: only contractions read the result, in whatever order.
        is_written_anyhow: a contraction or its end makes the source for this view alone.
    """

    source: ir.Value
    result: ir.Value
    index_map: IndexMap
    is_read_anyhow: bool
    is_written_anyhow: bool


@dataclass
class LayoutClasses:
    """The classes of a block, and what lies between them."""

    classes: list[TensorClass] = field(default_factory=list)
    of: dict[ir.Value, TensorClass] = field(default_factory=dict)
    edges: dict[TensorClass, list[Edge]] = field(default_factory=dict)

    def order_of(self, value: ir.Value) -> Order:
        """The order in which ``value`` lies."""
        rank = len(shape_of(value))
        return self.of[value].order if value in self.of else tuple(range(rank))

    def __str__(self) -> str:
        return "\n".join(map(str, self.classes))


def layout_classes(block: ir.Block) -> LayoutClasses:
    """The classes of ``block``, all row-major, and what lies between them."""
    found = _classes(block)
    for edge in _edges(found):
        for end in {found.of.get(edge.source), found.of[edge.result]} - {None}:
            assert end is not None
            found.edges[end].append(edge)
    return found


def ties(op: ir.Operation) -> list[ir.Value]:
    """The tensors that lie in the order of the result of ``op``; empty if that is not free."""
    if len(op.results) != 1 or not is_static(op.results[0]):
        return []
    if op.name == ViewOp.OPERATION_NAME:
        source, index_map = read_by(op)
        return [source] if keeps_dims(index_map) else []
    if op.name == ConcatOp.OPERATION_NAME:
        return list(op.operands)
    nest = loop_nest(op) if op.name == "linalg.generic" else None
    if nest is None or not nest.is_elementwise or not _is_whole(nest):
        return []
    return [op.operands[k] for k in range(nest.output) if ties_operand(nest, k)]


def ties_operand(nest: LoopNest, operand: int) -> bool:
    """Whether an operand is indexed exactly as the result is."""
    return nest.accesses[operand].exprs == nest.accesses[nest.output].exprs


def read_by(view: ir.Operation) -> tuple[ir.Value, IndexMap]:
    """What a view reads, before all views that only views read, and how."""
    index_map, source = view_map(view), view.operands[0]
    while "domain" not in view.attributes and is_view(source):
        inner = source.owner.operation
        if not _is_passing(inner):
            break
        index_map, source = compose(index_map, view_map(inner)), inner.operands[0]
    return source, index_map


def _is_passing(op: ir.Operation) -> bool:
    """Whether only views read what ``op``, a view, makes: they are one view."""
    if op.name != ViewOp.OPERATION_NAME or "domain" in op.attributes:
        return False
    readers = users(op.results[0])
    views = (u.name == ViewOp.OPERATION_NAME and "domain" not in u.attributes for u in readers)
    return bool(readers) and all(views)


def keeps_dims(index_map: IndexMap) -> bool:
    """Whether each dim of a view's source is indexed by the same dim of its result alone."""
    if len(index_map.exprs) != len(index_map.shape):
        return False
    return all(
        {a.index for a in atoms(e) if isinstance(a, Dim)} <= {d}
        for d, e in enumerate(index_map.exprs)
    )


def _is_whole(nest: LoopNest) -> bool:
    """Whether the output is indexed by one loop of its own in each dim longer than 1."""
    rank = len(nest.accesses[nest.output].exprs)
    return rank > 1 and nest.is_projected_permutation(nest.output)


def _classes(block: ir.Block) -> LayoutClasses:
    leader: dict[ir.Value, ir.Value] = {}

    def lead(value: ir.Value) -> ir.Value:
        while leader[value] != value:
            leader[value] = leader[leader[value]]
            value = leader[value]
        return value

    for op in [op.operation for op in block.operations]:
        tied = ties(op)
        if not tied and not _is_free(op):
            continue
        result = op.results[0]
        if _is_passing(op):
            continue
        leader[result] = result
        for value in tied:
            if value in leader:
                leader[lead(value)] = lead(result)
    found = LayoutClasses()
    by_leader: dict[ir.Value, TensorClass] = {}
    for value in leader:
        first = lead(value)
        if first not in by_leader:
            by_leader[first] = TensorClass([], tuple(range(len(shape_of(value)))))
            found.classes.append(by_leader[first])
        by_leader[first].values.append(value)
        found.of[value] = by_leader[first]
    found.edges = {c: [] for c in found.classes}
    return found


def _is_free(op: ir.Operation) -> bool:
    """Whether ``op`` makes its result in any order, and ties no operand to that."""
    if op.name == ViewOp.OPERATION_NAME:
        return True
    nest = loop_nest(op) if op.name == "linalg.generic" and len(op.results) == 1 else None
    return nest is not None and nest.is_elementwise and _is_whole(nest)


def _edges(found: LayoutClasses) -> Iterator[Edge]:
    for result in found.of:
        op = result.owner.operation
        if op.name != ViewOp.OPERATION_NAME:
            continue
        source, index_map = read_by(op)
        if keeps_dims(index_map) and source in found.of:
            continue  # tied
        readers = users(result)
        yield Edge(
            source,
            result,
            index_map,
            is_read_anyhow=bool(readers) and all(map(contracts, readers)),
            is_written_anyhow=source not in found.of
            and len(list(source.uses)) == 1
            and is_contracted(source),
        )
