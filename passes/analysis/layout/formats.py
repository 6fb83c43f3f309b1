"""The graph of a model as einsums, and the memory formats of the tensors between them.

A memory format is the order of a tensor's dims; those of size 1 do not count. A tensor is
free to have any if one operation makes it and operations that index it by single loops read
it, and nothing else: then its format is only how it is written and read. What is returned,
reshaped, padded or concatenated keeps the order that it has (after He et al., Memory format
search, 2022).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import Dim
from smartmem.index_map.primitives import Primitive, Reorder
from smartmem.passes.analysis.elimination.producer_consumer import PairTable
from smartmem.passes.analysis.ir.accesses import plain_nest
from smartmem.passes.analysis.ir.loops import LoopNest
from smartmem.passes.analysis.ir.movement import is_free, is_static, shape_of
from smartmem.passes.analysis.layout.kernel_costs import Einsum, Loops, einsum_of
from smartmem.passes.analysis.operators.classification import is_searched

Order = tuple[int, ...]
"""Number of the tensor's dim at each place in memory, outermost first; of its long dims."""

Formats = Mapping[int, Order]
"""The order of some tensors by their number; the others keep theirs."""

# Tensors of more dims than this are only tried with each dim innermost: what kernels cost
# depends most on that one.
_ALL_ORDERS = 3

_MULTIPLY_AND_ADD = [
    [f"arith.mul{kind}", f"arith.add{kind}", "linalg.yield"] for kind in ("f", "i")
]


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor whose format is free.

    Attributes:
        value: what its operation makes; readers can read it with other dims of size 1.
        orders: the formats that it may have; the first is the one that it has.
    """

    value: ir.Value
    orders: tuple[Order, ...]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
        op: the operation.
        nest: its loops.
        einsum: the same as an einsum, all tensors in the order that they have: the loops
            of their long dims.
        reads: numbers of the free tensors that its operands are; None for others.
        writes: number of its result if that is free.
    """

    op: ir.Operation
    nest: LoopNest
    einsum: Einsum
    reads: tuple[int | None, ...]
    writes: int | None

    @property
    def tensors(self) -> tuple[int, ...]:
        """The numbers of the free tensors that it reads and writes."""
        return tuple(n for n in (*self.reads, self.writes) if n is not None)

    def with_formats(self, formats: Formats) -> Einsum:
        """The einsum with its tensors in other formats."""
        read = tuple(
            ordered(loops, None if number is None else formats.get(number))
            for loops, number in zip(self.einsum.read, self.reads, strict=True)
        )
        order = None if self.writes is None else formats.get(self.writes)
        return replace(self.einsum, read=read, written=ordered(self.einsum.written, order))


@dataclass(frozen=True, eq=False)
class Graph:
    """Operations in program order, and the tensors between them that are free."""

    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]

    def last_reads(self) -> dict[int, int]:
        """The place of the last node that reads each tensor."""
        return {n: place for place, node in enumerate(self.nodes) for n in node.tensors}


def graph_of(block: ir.Block, pairs: PairTable) -> Graph:
    """The operations of ``block`` that have loops, as a graph.

    Args:
        pairs: says whether the layout between two operations is searched (table 6).
    """
    plain = _einsums(_nests(block))
    numbers: dict[ir.Value, int] = {}
    tensors: list[Tensor] = []
    for op in plain:
        same = _same_tensor(op.results[0])
        read_by = (use.owner.operation for value in same for use in _readers(value))
        if not is_searched(op, read_by, pairs):
            continue
        if is_static(op.results[0]) and all(_read_by(value, plain) for value in same):
            orders = _orders(len(long_dims(op.results[0])))
            if len(orders) > 1 and any(_readers(value) for value in same):
                numbers |= dict.fromkeys(same, len(tensors))
                tensors.append(Tensor(op.results[0], orders))
    nodes = tuple(
        Node(
            op,
            nest,
            einsum,
            tuple(numbers.get(value) for value in list(op.operands)[:-1]),
            numbers.get(op.results[0]),
        )
        for op, (nest, einsum) in plain.items()
    )
    return Graph(tuple(tensors), nodes)


def _nests(block: ir.Block) -> dict[ir.Operation, LoopNest]:
    """The operations of ``block`` that index each operand by single loops."""
    found = {view.operation: plain_nest(view.operation) for view in block.operations}
    return {op: nest for op, nest in found.items() if isinstance(nest, LoopNest)}


def _einsums(
    nests: Mapping[ir.Operation, LoopNest],
) -> dict[ir.Operation, tuple[LoopNest, Einsum]]:
    found = {op: (nest, _einsum(op, nest)) for op, nest in nests.items()}
    return {op: (nest, einsum) for op, (nest, einsum) in found.items() if einsum is not None}


def hidden_contractions(block: ir.Block) -> list[Node]:
    """The operations that multiply and sum but for an index that is constant, and their ends.

    With one, an operation is no contraction to the code generator, nor to those passes that
    pack weights and pad rows. Elementwise operations behind it follow: else a view between
    would keep them apart.
    """
    nests = _nests(block)
    if not any(map(_has_constant_index, nests.values())):
        return []  # early: most networks have none
    nodes = {
        op: Node(op, nest, einsum, (), None)  # as they are, whatever formats there are
        for op, (nest, einsum) in _einsums(nests).items()
    }
    found: dict[ir.Operation, Node] = {}
    for hidden in filter(_is_hidden, nodes.values()):
        node: Node | None = hidden
        while node is not None:
            found[node.op] = node
            node = _end(node, nodes)
    return list(found.values())


def _end(node: Node, nodes: Mapping[ir.Operation, Node]) -> Node | None:
    """The elementwise operation that alone reads what ``node`` makes."""
    uses = [use for value in _same_tensor(node.op.results[0]) for use in _readers(value)]
    end = nodes.get(uses[0].owner.operation) if len(uses) == 1 else None
    return end if end is not None and end.nest.is_elementwise else None


def _is_hidden(node: Node) -> bool:
    hides = _has_constant_index(node.nest) and _covers_operands(node)
    return hides and multiplies_and_adds(node.op, node.nest)


def _has_constant_index(nest: LoopNest) -> bool:
    """Whether a sum, no contraction, reads or writes at an index that is constant."""
    if nest.is_contraction or not nest.reductions:
        return False
    return any(not e.terms for access in nest.accesses for e in access.exprs)


def _covers_operands(node: Node) -> bool:
    """Whether each long dim of an operand is one whole loop: else it reads a part of it."""
    domain = node.nest.domain
    operands = zip(node.op.operands, (*node.einsum.read, node.einsum.written), strict=True)
    return all(
        [shape_of(value)[d] for d in long_dims(value)] == [domain[loop] for loop in loops]
        for value, loops in operands
    )


def multiplies_and_adds(op: ir.Operation, nest: LoopNest) -> bool:
    """Whether ``op`` sums products of its two operands, and does nothing else."""
    block = op.regions[0].blocks[0]
    body = [inner.operation for inner in block.operations]
    names = [inner.name for inner in body]
    types = {str(value.type.element_type) for value in op.operands}
    if nest.output != 2 or names not in _MULTIPLY_AND_ADD or len(types) != 1:
        return False
    product, total, end = body
    *factors, sum_ = block.arguments
    return (
        bool(nest.reductions)
        and set(product.operands) == set(factors)
        and set(total.operands) == {product.results[0], sum_}
        and end.operands[0] == total.results[0]
    )


def long_dims(value: ir.Value) -> list[int]:
    """The dims of a tensor that are longer than 1."""
    return [d for d, extent in enumerate(shape_of(value)) if extent > 1]


def layout_in(value: ir.Value, order: Order) -> tuple[Primitive, ...]:
    """The layout of a tensor whose long dims lie in ``order``."""
    long = long_dims(value)
    short = [d for d in range(len(shape_of(value))) if d not in long]
    return (Reorder((*short, *(long[d] for d in order))),)


def ordered(loops: Loops, order: Order | None) -> Loops:
    """The loops of a tensor's long dims in another order."""
    return loops if order is None else tuple(loops[d] for d in order)


def _einsum(op: ir.Operation, nest: LoopNest) -> Einsum | None:
    """``op`` as an einsum of long dims; None if a loop does not index each of them."""
    values = [*list(op.operands)[:-1], op.results[0]]
    found: list[Loops] = []
    for number, value in enumerate(values):
        exprs = [nest.accesses[number].exprs[d] for d in long_dims(value)]
        loops = [atom.index for e in exprs for atom, _ in e.terms if isinstance(atom, Dim)]
        if len(loops) < len(exprs):
            return None
        found.append(tuple(loops))
    einsum = einsum_of(op)
    return (
        None if einsum is None else replace(einsum, read=tuple(found[:-1]), written=found[-1])
    )


def _same_tensor(value: ir.Value) -> list[ir.Value]:
    """``value``, and all that views make of it which add or drop dims of size 1 only."""
    found = [value]
    for view in _squeezes(value):
        found += _same_tensor(view.results[0])
    return found


def is_squeeze(op: ir.Operation) -> bool:
    """Whether ``op`` is a view that adds or drops dims of size 1 and does nothing else."""
    if op.name != ViewOp.OPERATION_NAME or not is_free(op):
        return False
    source, result = (
        [n for n in shape_of(v) if n > 1] for v in (op.operands[0], op.results[0])
    )
    return source == result


def _squeezes(value: ir.Value) -> Iterator[ir.Operation]:
    return (op for use in value.uses if is_squeeze(op := use.owner.operation))


def _readers(value: ir.Value) -> list[ir.OpOperand]:
    """What reads ``value`` and is no view of the same tensor."""
    views = list(_squeezes(value))
    return [use for use in value.uses if use.owner.operation not in views]


def _read_by(value: ir.Value, plain: Mapping[ir.Operation, object]) -> bool:
    """Whether only operations with loops read ``value``, and none accumulates on it."""
    return all(
        use.owner.operation in plain
        and use.operand_number < len(use.owner.operation.operands) - 1
        for use in _readers(value)
    )


def _orders(rank: int) -> tuple[Order, ...]:
    """The orders of a tensor of so many long dims, first the one that it has."""
    if rank <= _ALL_ORDERS:
        return tuple(itertools.permutations(range(rank)))
    inner = reversed(range(rank))
    return tuple((*(d for d in range(rank) if d != last), last) for last in inner)
