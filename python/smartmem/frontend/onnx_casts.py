"""Cast to the integer types that torch-mlir's Cast leaves out.

    Cast(x, to=INT16)   ->  convert_element_type(x) : si16
    Cast(x, to=UINT32)  ->  the same as si32, and its bits as ui32

PyTorch's numbers for these types are unknown to torch-mlir, but not the types: below the
dialect all integers are without a sign. Floats go through 64 bits, which hold what unsigned
types do.
"""

from __future__ import annotations

import onnx
from torch_mlir import ir

from smartmem.frontend.lowering import walk

_BITS = {
    onnx.TensorProto.INT16: 16,
    onnx.TensorProto.UINT16: 16,
    onnx.TensorProto.UINT32: 32,
    onnx.TensorProto.UINT64: 64,
}
_TORCH_NUMBERS = {16: 2, 32: 3, 64: 4}
"""``torch.int16``, ``torch.int32``, ``torch.int64`` as PyTorch numbers them."""


def cast_to_integers(module: ir.Module) -> None:
    """Applies the rewrite to every such Cast of ``module``, in place."""
    for operation in walk(module):
        if operation.name != "torch.operator":
            continue
        if ir.StringAttr(operation.attributes["name"]).value == "onnx.Cast":
            target = ir.IntegerAttr(operation.attributes["torch.onnx.to"]).value
            if target in _BITS:
                _rewrite(operation, _BITS[target])


def _rewrite(cast: ir.Operation, bits: int) -> None:
    source, type = cast.operands[0], str(cast.results[0].type)
    signed = type.replace("ui", "si")
    with cast.location, ir.InsertionPoint(cast):
        if "f" in str(source.type).rpartition(",")[2]:
            source = _converted(source, signed.replace(f"si{bits}", "si64"), 64)
        value = _converted(source, signed, bits)
        if signed != type:
            sizes = type[type.index("[") + 1 : type.index("]")].split(",")
            tensor = f"tensor<{'x'.join([*filter(None, sizes), f'i{bits}'])}>"
            for name, to in (("to_builtin_tensor", tensor), ("from_builtin_tensor", type)):
                value = _make(f"torch_c.{name}", to, value)
    cast.results[0].replace_all_uses_with(value)
    cast.erase()


def _converted(value: ir.Value, to: str, bits: int) -> ir.Value:
    number = ir.IntegerAttr.get(ir.IntegerType.get_signless(64), _TORCH_NUMBERS[bits])
    dtype = _make("torch.constant.int", "!torch.int", value=number)
    return _make("torch.prims.convert_element_type", to, value, dtype)


def _make(name: str, to: str, *operands: ir.Value, **attributes: ir.Attribute) -> ir.Value:
    made = ir.Operation.create(
        name, results=[ir.Type.parse(to)], operands=list(operands), attributes=attributes
    )
    value: ir.Value = made.result
    return value
