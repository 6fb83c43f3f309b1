"""Read and write the slices that an ONNX Loop counts by.

    Gather(x, iteration, axis=0)                         ->  select(x, iteration)
    ScatterND(x, Reshape(iteration, [1, 1]), Reshape(y)) ->  slice_scatter(x, y, iteration)

torch-mlir lowers the left forms to tables of indices in memory; an iteration's number is
never negative, so that a slice can begin at it.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.frontend.lowering import walk

_INT = "!torch.int"


def slice_by_iteration(module: ir.Module) -> None:
    """Applies the rewrites in place, in the bodies of all loops of ``module``."""
    for operation in walk(module):
        rewrite = _REWRITES.get(_operator(operation))
        if rewrite is not None and _operator(operation.parent) == "onnx.Loop":
            with operation.location, ir.InsertionPoint(operation):
                rewrite(operation)


def _select(gather: ir.Operation) -> None:
    table, place = gather.operands
    axis = gather.attributes.get("torch.onnx.axis")
    if not _is_iteration(place) or (axis is not None and ir.IntegerAttr(axis).value != 0):
        return
    operands = [table, _constant(0), _make("aten.Int.Tensor", _int(), place)]
    _replace(gather, _make("aten.select.int", gather.results[0].type, *operands))


def _slice_scatter(scatter: ir.Operation) -> None:
    table, place, slices = scatter.operands
    if isinstance(place.owner, ir.Block):
        return
    reshape = place.owner.operation
    if _operator(reshape) != "onnx.Reshape":
        return
    if not _is_iteration(reshape.operands[0]) or "torch.onnx.reduction" in scatter.attributes:
        return
    begin, one = _make("aten.Int.Tensor", _int(), reshape.operands[0]), _constant(1)
    end = _make("aten.add.int", _int(), begin, one)
    operands = [table, slices, _constant(0), begin, end, one]
    _replace(scatter, _make("aten.slice_scatter", scatter.results[0].type, *operands))


_REWRITES = {"onnx.Gather": _select, "onnx.ScatterND": _slice_scatter}


def _operator(operation: ir.Operation) -> str:
    if operation is None or operation.operation.name != "torch.operator":
        return ""
    return str(ir.StringAttr(operation.attributes["name"]).value)


def _is_iteration(value: ir.Value) -> bool:
    """Whether ``value`` is the number of the iteration, the first argument of a body."""
    return isinstance(value, ir.BlockArgument) and value.arg_number == 0


def _int() -> ir.Type:
    return ir.Type.parse(_INT)


def _constant(value: int) -> ir.Value:
    number = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), value)
    return _make("constant.int", _int(), value=number)


def _make(
    name: str, type: ir.Type, *operands: ir.Value, **attributes: ir.Attribute
) -> ir.Value:
    operation = ir.Operation.create(
        f"torch.{name}", results=[type], operands=list(operands), attributes=attributes
    )
    value: ir.Value = operation.result
    return value


def _replace(operation: ir.Operation, value: ir.Value) -> None:
    operation.results[0].replace_all_uses_with(value)
    operation.erase()
