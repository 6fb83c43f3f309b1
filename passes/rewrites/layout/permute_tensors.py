"""Make permuted shapes of the orders that are written on tensors: of all at once, in place."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.dialect import ConcatOp, RelayoutOp, ViewOp, layout_of, primitives_of, view
from smartmem.errors import PassError
from smartmem.index_map import IndexMap, compose, compose_domain, identity, transpose
from smartmem.index_map.affine import to_affine_map
from smartmem.index_map.primitives import Reorder
from smartmem.passes.analysis.ir.loops import indexing_maps, loop_nest
from smartmem.passes.analysis.ir.movement import domain_of, shape_of, view_map
from smartmem.passes.base import operations
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.loops.interchange_loops import interchange_loops
from smartmem.passes.rewrites.loops.order_loops import order_loops

Order = tuple[int, ...]


def permute_tensors(module: ir.Operation, argument: str) -> None:
    """Permutes what operations that compute or move make in another order than row-major.

    Relayouts of these become views; the others stay.

    Raises:
        PassError: a layout of such a tensor does more than permute, or an operation that knows no
            layouts reads it.
    """
    found = [op for op in operations(module) if any(map(_is_laid, op.results))]
    own = {v for op in found if op.name != RelayoutOp.OPERATION_NAME for v in op.results}
    own |= {v for op in found for v in op.results if _joins(v)}
    if not own:
        return
    orders = {value: _order(value, argument) for value in own}
    readers = {use.owner.operation: None for value in own for use in value.uses}
    touched = dict.fromkeys([*found, *readers])
    for op in touched:
        _permute(op, orders, argument)
    for value in own:
        with value.owner.operation.location:
            shape = [shape_of(value)[d] for d in orders[value]]
            value.set_type(build.tensor_type(value, shape))
    for op in touched:
        if op.name == RelayoutOp.OPERATION_NAME and not _is_kept(op, orders):
            _to_view(op, orders)
        elif op.name == "linalg.generic":
            _order_loops(op)


def _order_loops(op: ir.Operation) -> None:
    """Lets the loops of ``op`` run as its result lies."""
    nest = loop_nest(op)
    if nest is None or nest.reductions:
        order_loops(op.results[0])
    elif len(nest.written) == len(nest.domain) and nest.written != sorted(nest.written):
        interchange_loops(op, tuple(nest.written))


def _is_laid(value: ir.Value) -> bool:
    return isinstance(value.type, ir.RankedTensorType) and layout_of(value.type) is not None


def _joins(value: ir.Value) -> bool:
    """Whether a relayout makes ``value`` for operations that read layouts."""
    names = {use.owner.name for use in value.uses}
    return bool(names - {RelayoutOp.OPERATION_NAME, "func.return"})


def _order(value: ir.Value, argument: str) -> Order:
    steps = primitives_of(value.type)
    if len(steps) == 1 and isinstance(steps[0], Reorder):
        return steps[0].order
    raise PassError(
        argument,
        f"{value.owner.operation.location}: the layout of what {value.owner.name} makes does "
        "more than reorder; write it on a smartmem.relayout behind it",
    )


def _permute(op: ir.Operation, orders: dict[ir.Value, Order], argument: str) -> None:
    """Lets the maps of ``op`` index its operands and results as they are to lie."""
    if op.name == ViewOp.OPERATION_NAME:
        _permute_view(op, orders)
    elif op.name == ConcatOp.OPERATION_NAME:
        _permute_concat(op, orders)
    elif op.name == "linalg.generic":
        _permute_generic(op, orders)
    elif op.name not in (RelayoutOp.OPERATION_NAME, "linalg.fill", "tensor.empty"):
        raise PassError(
            argument,
            f"{op.location}: {op.name} reads a tensor with a layout; put a smartmem.relayout to "
            "the plain type before it",
        )


def _plain(value: ir.Value) -> Order:
    return tuple(range(len(shape_of(value))))


def _permute_generic(op: ir.Operation, orders: dict[ir.Value, Order]) -> None:
    maps = []
    for value, map_ in zip(op.operands, indexing_maps(op), strict=True):
        exprs = [map_.results[d] for d in orders.get(value, _plain(value))]
        maps.append(ir.AffineMap.get(map_.n_dims, 0, exprs, op.context))
    attributes = [ir.AffineMapAttr.get(map_) for map_ in maps]
    op.attributes["indexing_maps"] = ir.ArrayAttr.get(attributes, op.context)


def _permute_view(op: ir.Operation, orders: dict[ir.Value, Order]) -> None:
    source, result = op.operands[0], op.results[0]
    there = transpose(shape_of(result), orders.get(result, _plain(result)))
    through = compose(there, view_map(op))
    exprs = tuple(through.exprs[d] for d in orders.get(source, _plain(source)))
    new = IndexMap(exprs, through.shape).to_affine(op.context)
    op.attributes["map"] = ir.AffineMapAttr.get(new)
    if "domain" in op.attributes:
        op.attributes["domain"] = _domain(op.attributes["domain"], result, there)


def _permute_concat(op: ir.Operation, orders: dict[ir.Value, Order]) -> None:
    result = op.results[0]
    there = transpose(shape_of(result), orders.get(result, _plain(result)))
    domains = [_domain(d, result, there) for d in ir.ArrayAttr(op.attributes["domains"])]
    op.attributes["domains"] = ir.ArrayAttr.get(domains, op.context)


def _domain(attribute: ir.Attribute, result: ir.Value, there: IndexMap) -> ir.AffineMapAttr:
    held = compose_domain(there, domain_of(attribute, shape_of(result)))
    rank = len(there.shape)
    return ir.AffineMapAttr.get(to_affine_map(held.constraints, rank, attribute.context))


def _is_kept(op: ir.Operation, orders: dict[ir.Value, Order]) -> bool:
    """Whether a relayout has to do with no tensor that is permuted."""
    return op.operands[0] not in orders and op.results[0] not in orders


def _to_view(op: ir.Operation, orders: dict[ir.Value, Order]) -> None:
    source, result = op.operands[0], op.results[0]
    rank = len(shape_of(source))
    read, written = (orders.get(v, tuple(range(rank))) for v in (source, result))
    logical = [0] * rank
    for place, d in enumerate(read):
        logical[d] = shape_of(source)[place]
    there = transpose(logical, written)
    exprs = tuple(compose(there, identity(logical)).exprs[d] for d in read)
    with ir.InsertionPoint(op), op.location:
        type_ = build.tensor_type(result, there.shape)
        new = view(source, IndexMap(exprs, there.shape).to_affine(op.context), type_)
    result.replace_all_uses_with(new)
    op.erase()
