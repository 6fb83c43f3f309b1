"""Which order of dims each class of tensors is to lie in: its layout, by cost.

An edge is free where it keeps the order in memory, and where a contraction behind it reads any
order (``act`` of the pair in table 5 is "eliminate"). Otherwise its bytes are moved. Each class
takes the order that costs least with its neighbours as they are, until nothing changes: the
layouts that windows prefer travel forward and backward through all that takes any order
(SmartMem, section 3.2.2).

This decides and changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import (
    Dim,
    IndexMap,
    Shape,
    atoms,
    compose,
    transpose,
)
from smartmem.passes.analysis.elimination.producer_consumer import PairTable
from smartmem.passes.analysis.ir.accesses import is_contracted, sums
from smartmem.passes.analysis.ir.chains import defining_op, users
from smartmem.passes.analysis.ir.def_use import MOVEMENTS
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import (
    bits_of,
    is_in_order,
    is_view,
    shape_of,
)
from smartmem.passes.analysis.layout.layout_classes import (
    Edge,
    LayoutClasses,
    Order,
    TensorClass,
    layout_classes,
    ties,
)
from smartmem.passes.analysis.operators.classification import is_searched, makes_tensor

_MOST_ROUNDS = 8
"""Times that all classes choose anew: each time the sum of all costs falls."""

# What a kernel that computes loses where it reads or writes against its order, of the bytes
# that a kernel of its own would move.
_STRIDED = 0.25


def layout_orders(block: ir.Block, pairs: PairTable) -> LayoutClasses:
    """The classes of ``block``, each with the order that costs least.

    Args:
        pairs: says of each pair of groups whether its layout is searched (table 6). Where none
            of a class is, all movements beside it go away, and its tensors lie row-major.
    """
    found = layout_classes(block)
    chosen = [c for c in found.classes if _has_choice(c, pairs)]
    for _ in range(_MOST_ROUNDS):
        if not sum(_choose(c, found) for c in chosen):
            break
    return found


def _has_choice(one: TensorClass, pairs: PairTable) -> bool:
    """Whether tensors of a class are stored, and something beside them depends on how."""
    # A view alone is how another tensor is read.
    stored = [v for v in one.values if not is_view(v) or "domain" in v.owner.attributes]
    stays = any(v.owner.name in MOVEMENTS for v in stored)
    return stays or bool(stored and any(_is_searched(v, pairs) for v in one.values))


def _is_searched(value: ir.Value, pairs: PairTable) -> bool:
    """Whether the table has the layout of ``value`` chosen for its producer or its readers."""
    producer = value.owner.operation
    makers = [maker for v in producer.operands if (maker := defining_op(v)) is not None]
    return is_searched(producer, users(value), pairs) or any(
        is_searched(maker, [producer], pairs) for maker in makers if makes_tensor(maker)
    )


def _choose(chosen: TensorClass, found: LayoutClasses) -> bool:
    """Gives a class its cheapest order; whether that is another one than before."""
    before, costs = chosen.order, {}
    for order in dict.fromkeys(_candidates(chosen, found)):  # all before: they depend on it
        chosen.order = order
        costs[order] = _cost(chosen, found)
    # The order that it has wins among equals, and so does the model's.
    chosen.order = min(costs, key=lambda o: costs[o]) if costs else before
    return chosen.order != before


def _candidates(chosen: TensorClass, found: LayoutClasses) -> Iterator[Order]:
    """The order that the class has, the model's, and those in which an edge is free."""
    yield chosen.order
    yield tuple(range(len(chosen.order)))
    for edge in found.edges[chosen]:
        if found.of.get(edge.source) is chosen:
            there = transpose(shape_of(edge.result), found.order_of(edge.result))
            yield _read_order(compose(there, edge.index_map), shape_of(edge.source))
        if found.of[edge.result] is chosen:
            yield _written_order(edge.index_map, found.order_of(edge.source))


def _read_order(index_map: IndexMap, source: Shape) -> Order:
    """The order of the source's dims in which a view's result runs through them."""

    def place(d: int) -> tuple[int, int, int]:
        used = [a.index for a in atoms(index_map.exprs[d]) if isinstance(a, Dim)]
        return (int(bool(used)), min(used, default=-1), d)

    return _plain_if_long_dims_are(tuple(sorted(range(len(source)), key=place)), source)


def _written_order(index_map: IndexMap, source_order: Order) -> Order:
    """The order of the result's dims in which they lie in the source."""
    seen: list[int] = []
    for d in source_order:
        used = {a.index for a in atoms(index_map.exprs[d]) if isinstance(a, Dim)}
        seen += sorted(used - set(seen))
    rest = [d for d in range(len(index_map.shape)) if d not in seen]
    return _plain_if_long_dims_are((*rest, *seen), index_map.shape)


def _plain_if_long_dims_are(order: Order, shape: Shape) -> Order:
    long = [d for d in order if shape[d] > 1]
    return tuple(range(len(order))) if long == sorted(long) else order


def _cost(chosen: TensorClass, found: LayoutClasses) -> float:
    """Bytes that move at the borders of a class."""
    edges = sum(_edge_cost(edge, found) for edge in found.edges[chosen])
    return edges + sum(_value_cost(value, chosen, found) for value in chosen.values)


def _edge_cost(edge: Edge, found: LayoutClasses) -> float:
    if edge.is_read_anyhow or edge.is_written_anyhow:
        return 0
    source, result = edge.source, edge.result
    read, written = found.order_of(source), found.order_of(result)
    shape = shape_of(source)
    through = compose(transpose(shape_of(result), written), edge.index_map)
    physical = IndexMap(tuple(through.exprs[d] for d in read), through.shape)
    if is_in_order(physical, tuple(shape[d] for d in read)):
        return 0
    return min(_bytes(source), _bytes(result))


def _value_cost(value: ir.Value, chosen: TensorClass, found: LayoutClasses) -> float:
    """What the leaves of a tensor's operation, and its readers, cost."""
    permutes = _plain_if_long_dims_are(chosen.order, shape_of(value)) != tuple(
        range(len(chosen.order))
    )
    cost = sum(_reader_cost(use, chosen.order, permutes, found) for use in value.uses)
    if permutes:
        op = value.owner.operation
        cost += sum(_leaf_cost(v) for v in ties(op) if v not in found.of)
    return cost


def _leaf_cost(value: ir.Value) -> float:
    """An operation of a class reads a tensor of another order as it computes."""
    if isinstance(value.owner, ir.Block):
        return _STRIDED * _bytes(value)
    op = value.owner.operation
    if op.name == "arith.constant" or is_contracted(value):
        return 0  # permuted now, or written in another order
    return _STRIDED * _bytes(value) if sums(op) else _bytes(value)


def _reader_cost(
    use: ir.OpOperand, order: Order, permutes: bool, found: LayoutClasses
) -> float:
    op = use.owner.operation
    value = op.operands[use.operand_number]
    if op.name in (ViewOp.OPERATION_NAME, ConcatOp.OPERATION_NAME):
        return 0  # of the class, or an edge
    nest = loop_nest(op)
    if (
        nest is not None
        and use.operand_number < nest.output
        and nest.reductions
        and nest.is_plain
    ):
        inner = nest.accesses[use.operand_number].exprs[_innermost(value, order)]
        summed = {a.index for a in atoms(inner) if isinstance(a, Dim)} & nest.reductions
        return 0 if summed else _STRIDED * _bytes(value)
    if not permutes:
        return 0
    if nest is not None and _reads_elements(op, use, nest, found):
        return 0
    return _bytes(value)


def _reads_elements(
    op: ir.Operation, use: ir.OpOperand, nest: LoopNest, found: LayoutClasses
) -> bool:
    """Whether an elementwise operation of a class reads the tensor, by single loops."""
    number = use.operand_number
    if op.results[0] not in found.of or number == nest.output:
        return False
    return nest.is_projected_permutation(number)


def _innermost(value: ir.Value, order: Order) -> int:
    long = [d for d in order if shape_of(value)[d] > 1]
    return long[-1] if long else order[-1]


def _bytes(value: ir.Value) -> float:
    return math.prod(shape_of(value)) * bits_of(value.type.element_type) / 8


def changed(found: LayoutClasses) -> Sequence[TensorClass]:
    """The classes whose tensors are not to lie row-major."""
    return [c for c in found.classes if not c.is_plain]


def orders(found: LayoutClasses) -> Mapping[ir.Value, Order]:
    """The order of each tensor that does not lie row-major."""
    return {v: c.order for c in changed(found) for v in c.values}
