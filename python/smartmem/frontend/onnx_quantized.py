"""Write quantized operators in 32-bit integers and floats.

    QuantizeLinear(x, s, z)    ->  Cast(Clip(Round(x / s) + z))
    DequantizeLinear(x, s, z)  ->  (x - z) * s
    MatMulInteger(a, b)        ->  Cast(MatMul(a1 - za, b1 - zb)) + ..., floats, cast to int32
    QLinearMatMul(a, b)        ->  Cast(Clip(Round(MatMul(a - za, b - zb) * (sa * sb / s)) + z))
    DynamicQuantizeLinear(x)   ->  QuantizeLinear(x, s, z), s and z from the range of x

ConvInteger and QLinearConv are written like the products of matrices. torch-mlir lowers some
forms of these operators, computes other numbers for some, and crashes for the rest.

Integers are multiplied as floats, in parts of the sum that floats hold exactly (514 products of
bytes by weights of int8): kernels have vectors of floats.

Sums of integers are exact, as in the standard; ONNX Runtime saturates pairs of products of
u8 and s8 to 16 bits on processors without VNNI. Everything else is as ONNX Runtime has it:
factors in f32, multiplied from left to right, and a scale of 1 for a tensor of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from smartmem.frontend.onnx_convolutions import convolved, kernel_of
from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_windows import windows_of

Nodes = list[onnx.NodeProto]
Shape = tuple[int, ...]

_F32, _I32 = TensorProto.FLOAT, TensorProto.INT32
_BYTES = (TensorProto.INT8, TensorProto.UINT8)
_STORED = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT16, TensorProto.UINT16)

Layout = Shape | None
"""The shape for a vector of parameters, -1 for its length; None keeps it a vector."""


def _quantize(e: Expansion) -> Nodes:
    quotient = e.op("Div", _cast(e, e.node.input[0], _F32), _spread(e, 1))
    return e.finish(_stored(e, quotient, _spread(e, 2) if e.operand(2) else ""))


def _dequantize(e: Expansion) -> Nodes:
    value, zero = e.node.input[0], e.operand(2)
    if e.element(value) not in (*_STORED, _I32):
        raise e.unsupported(f"there is no lowering of {_spelled(e.element(value))}")
    shape = e.shape(value)
    blocks = _blocked_shape(e)
    value = _cast(e, value, _F32) if blocks is None else _blocks(e, value, blocks)
    if zero and not _is_zero(e, zero):
        value = e.op("Sub", value, _spread(e, 2, blocks))
    value = e.op("Mul", value, _spread(e, 1, blocks))
    if blocks is not None:
        value = e.op("Reshape", value, e.constant(shape))
    return e.finish(_cast(e, value, e.element(e.node.output[0])))


def _blocked_shape(e: Expansion) -> Shape | None:
    """The operand's shape with the axis split into blocks, if whole ones share a scale."""
    shape, given = e.shape(e.node.input[0]), e.shape(e.node.input[1])
    axis, block = e.attribute("axis", 1), e.attribute("block_size", 0)
    if block < 1 or len(given) != len(shape) or not -len(shape) <= axis < len(shape):
        return None
    axis %= len(shape)
    count = shape[axis] // block
    fits = given == (*shape[:axis], count, *shape[axis + 1 :])
    if shape[axis] % block or not fits:
        return None
    return (*shape[:axis], count, block, *shape[axis + 1 :])


def _blocks(e: Expansion, value: str, blocks: Shape) -> str:
    array = e.array(value)
    if array is not None:
        return _cast(e, e.constant(array.reshape(blocks), array.dtype), _F32)
    return e.op("Reshape", _cast(e, value, _F32), e.constant(blocks))


def _quantize_dynamically(e: Expansion) -> Nodes:
    value, zero, most = e.node.input[0], e.constant(0, np.float32), e.constant(255, np.float32)
    low = e.op("Min", e.op("ReduceMin", value, keepdims=0), zero)
    high = e.op("Max", e.op("ReduceMax", value, keepdims=0), zero)
    width = e.op("Sub", high, low)
    is_flat = e.op("Equal", width, zero)
    scale = e.op("Where", is_flat, e.constant(1, np.float32), e.op("Div", width, most))
    offset = e.op("Neg", e.op("Div", low, scale))
    point = e.op("Round", e.op("Clip", offset, zero, most))
    quantized = _stored(e, e.op("Div", value, scale), point)
    return e.finish(quantized, scale, _cast(e, _cast(e, point, _I32), TensorProto.UINT8))


def _multiply_integers(e: Expansion) -> Nodes:
    return e.finish(_product(e, (0, 2), (1, 3)))


def _multiply_quantized(e: Expansion) -> Nodes:
    rows = (-1, 1)
    product = _product(e, (0, 2), (3, 5))
    factor = _factor(e, _number(e, 1, rows), _number(e, 4), _number(e, 6, rows))
    return e.finish(
        _stored(e, e.op("Mul", _cast(e, product, _F32), factor), _number(e, 7, rows))
    )


def _product(e: Expansion, left: tuple[int, int], right: tuple[int, int]) -> str:
    """The product of two operands without their zero points, in int32.

    Integers of bytes are multiplied as floats, of which kernels have vectors; parts of the sum
    are so short that floats hold them exactly.

    Args:
        left: the places of the operand and its zero point; ``right`` likewise.
    """
    rows = _centred(e, *left, (-1, 1))
    bytes_only = all(e.element(e.node.input[k]) in _BYTES for k in (left[0], right[0]))
    if not bytes_only:
        return e.op("MatMul", rows, _centred(e, *right))
    steps, columns = e.shape(rows)[-1], _cast(e, _centred(e, *right), _F32)
    rows, most = _cast(e, rows, _F32), _most_steps(e, right)

    def part(begin: int, end: int) -> str:
        operands = [rows, columns]
        if end - begin < steps:
            axes = (-1, max(-2, -len(e.shape(columns))))
            pairs = zip(operands, axes, strict=True)
            operands = [_part(e, v, begin, end, axis) for v, axis in pairs]
        return e.op("MatMul", *operands)

    return _in_parts(e, steps, most, part)


def _in_parts(e: Expansion, steps: int, most: int, part: Callable[[int, int], str]) -> str:
    """The sum over ``steps`` in int32, of floats that are sums over at most ``most`` each.

    Args:
        part: makes the sum from a step up to another.
    """
    steps = max(steps, 1)
    size = -(-steps // -(-steps // most))
    total = ""
    for begin in range(0, steps, size):
        found = _cast(e, part(begin, min(begin + size, steps)), _I32)
        total = e.op("Add", total, found) if total else found
    return total


def _most_steps(e: Expansion, right: tuple[int, int]) -> int:
    """How many products of bytes a float adds up exactly: differences of bytes by weights."""
    array = e.array(e.node.input[right[0]])
    zero = e.array(e.node.input[right[1]]) if e.operand(right[1]) else np.zeros(1, np.int32)
    largest = 255
    if array is not None and zero is not None and array.size:
        least, most = int(array.min()) - int(zero.max()), int(array.max()) - int(zero.min())
        largest = max(-least, most, 1)
    return (1 << 24) // (255 * largest)


def _part(e: Expansion, value: str, begin: int, end: int, axis: int) -> str:
    """``value`` from ``begin`` to ``end`` of an axis."""
    return e.op("Slice", value, *(e.constant([n]) for n in (begin, end, axis)))


def _convolve_integers(e: Expansion) -> Nodes:
    return e.finish(_convolved(e, 1, 3))


def _convolve_quantized(e: Expansion) -> Nodes:
    product = _convolved(e, 3, 5)
    channels = (1, -1, *[1] * (len(e.shape(product)) - 2))
    if e.operand(8):
        product = e.op("Add", product, _number(e, 8, channels, _I32))
    factor = _factor(e, _number(e, 1), _number(e, 4, channels), _number(e, 6))
    return e.finish(_stored(e, e.op("Mul", _cast(e, product, _F32), factor), _number(e, 7)))


def _convolved(e: Expansion, weights: int, zero: int) -> str:
    """The convolution of an image with weights, in int32.

    torch-mlir pads floats only, which hold 16 bits without a zero point exactly.
    """
    image, name = _cast(e, e.node.input[0], _F32), e.node.input[weights]
    rank = len(e.shape(image)) - 2
    if e.operand(2) and not _is_zero(e, e.node.input[2]):
        image = e.op("Sub", image, _number(e, 2))
    windows = windows_of(e, kernel_of(e, name), list(range(2, rank + 2)))
    pads = [0, 0, *(w.before for w in windows), 0, 0, *(w.after for w in windows)]
    if any(pads):
        image = e.op("Pad", image, e.constant(pads))
    padded = [replace(w, size=w.before + w.size + w.after, before=0, after=0) for w in windows]
    centred = _centred(e, weights, zero, (-1, *[1] * (rank + 1)))
    channels, *kernel = e.shape(centred)[1:]
    group, most = e.attribute("group", 1), _most_steps(e, (weights, zero)) // math.prod(kernel)
    if most < 1 or (group > 1 and channels > most):
        return convolved(e, _cast(e, image, _I32), centred, [], padded, group)

    def part(begin: int, end: int) -> str:
        source, kernels = image, _cast(e, centred, _F32)
        if end - begin < channels:
            source, kernels = (_part(e, v, begin, end, 1) for v in (source, kernels))
        return convolved(e, source, kernels, [], padded, group)

    return _in_parts(e, channels, most, part)


def _stored(e: Expansion, value: str, zero: str) -> str:
    """Rounds, adds the zero point, saturates, and casts to the type of the first result."""
    target = e.element(e.node.output[0])
    if target not in _STORED:
        raise e.unsupported(f"there is no lowering of {_spelled(target)}")
    limits = np.iinfo(helper.tensor_dtype_to_np_dtype(target))
    value = e.op("Round", value)
    moved = e.op("Add", value, zero) if zero else value
    low, high = (e.constant(limit, np.float32) for limit in (limits.min, limits.max))
    # Floats above 127 have no cast to unsigned bytes.
    return _cast(e, _cast(e, e.op("Clip", moved, low, high), _I32), target)


def _centred(e: Expansion, value: int, zero: int, layout: Layout = None) -> str:
    """An operand without its zero point, in int32."""
    wide = _cast(e, e.node.input[value], _I32)
    if not e.operand(zero) or _is_zero(e, e.node.input[zero]):
        return wide
    return e.op("Sub", wide, _number(e, zero, layout, _I32))


def _factor(e: Expansion, left: str, right: str, out: str) -> str:
    """``left * right / out``, at once where they are constant."""
    arrays = [e.array(name) for name in (left, right, out)]
    if any(array is None for array in arrays):
        return e.op("Div", e.op("Mul", left, right), out)
    first, second, last = (np.asarray(array, np.float32) for array in arrays)
    return e.constant(first * second / last, np.float32)


def _number(e: Expansion, place: int, layout: Layout = None, element: int = _F32) -> str:
    """A scale or zero point: a scalar, a vector laid out, or a tensor that fits already."""
    name = e.node.input[place]
    shape = e.shape(name)
    if shape == (1,):
        shape = ()
    elif len(shape) == 1 and layout is not None:
        shape = tuple(shape[0] if size == -1 else size for size in layout)
    return _shaped(e, name, shape, element)


def _spread(e: Expansion, place: int, blocks: Shape | None = None) -> str:
    """A scale or zero point of QuantizeLinear, one for each element that it stands for.

    Args:
        blocks: the shape of an operand whose axis is split into blocks.
    """
    name, shape = e.node.input[place], e.shape(e.node.input[0])
    given, axis = e.shape(name), e.attribute("axis", 1)
    if blocks is not None:
        axis %= len(shape)
        return _shaped(e, name, (*given[: axis + 1], 1, *given[axis + 1 :]), _F32)
    if given in ((), (1,)):
        return _shaped(e, name, (), _F32)
    if not -len(shape) <= axis < len(shape):
        raise e.invalid(f"axis is {axis}, and the operand has {len(shape)} dims")
    axis %= len(shape)
    if len(given) == 1 and given[0] == shape[axis]:
        along = tuple(shape[axis] if d == axis else 1 for d in range(len(shape)))
        return _shaped(e, name, along, _F32)
    block = e.attribute("block_size", 0)
    blocks = (*shape[:axis], -(-shape[axis] // max(block, 1)), *shape[axis + 1 :])
    if block < 1 or given != blocks:
        sizes = "x".join(map(str, given))
        raise e.invalid(f"parameters of shape {sizes} do not fit axis {axis}")
    places = e.constant(np.arange(shape[axis]) // block)
    return e.op("Gather", _shaped(e, name, given, _F32), places, axis=axis)


def _shaped(e: Expansion, name: str, shape: Shape, element: int) -> str:
    """A value in another shape and type; a new constant where it is one."""
    array = e.array(name)
    if array is not None:
        return e.constant(array.reshape(shape), helper.tensor_dtype_to_np_dtype(element))
    value = _cast(e, name, element)
    return value if e.shape(name) == shape else e.op("Reshape", value, e.constant(shape))


def _cast(e: Expansion, name: str, element: int) -> str:
    return name if e.element(name) == element else e.op("Cast", name, to=element)


def _is_zero(e: Expansion, name: str) -> bool:
    array = e.array(name)
    return array is not None and not array.any()


def _spelled(element: int) -> str:
    return str(TensorProto.DataType.Name(element))


QUANTIZED_REWRITES: Mapping[str, Rewrite] = {
    "ConvInteger": _convolve_integers,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _quantize_dynamically,
    "MatMulInteger": _multiply_integers,
    "QLinearConv": _convolve_quantized,
    "QLinearMatMul": _multiply_quantized,
    "QuantizeLinear": _quantize,
}
