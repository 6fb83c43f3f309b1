"""Which convolutions add up, start at zero, and have windows that do not overlap."""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import linalg

from smartmem.passes.analysis.ir.movement import is_static, shape_of

_CONVOLUTION = "linalg.conv_2d_nchw_fchw"


def is_convolution(op: ir.Operation) -> bool:
    if not op.name.startswith("linalg.") or len(op.results) != 1:
        return False
    types = {v.type.element_type for v in op.operands if is_static(v)}
    windows = bool(linalg.isa_convolution_op(op)) and "pooling" not in op.name
    return windows and _sums(op) and len(types) == 1 and all(map(is_static, op.operands))


def _sums(op: ir.Operation) -> bool:
    """Whether it adds up: a generic over windows can also look for their maximum."""
    end = list(op.regions[0].blocks[0].operations)[-1]
    return end.operands[0].owner.name in ("arith.addf", "arith.addi")


def starts_at_zero(op: ir.Operation) -> bool:
    init = op.operands[-1].owner
    if isinstance(init, ir.Block) or init.name != "linalg.fill":
        return False
    scalar = init.operands[0].owner
    if isinstance(scalar, ir.Block) or scalar.name != "arith.constant":
        return False
    value = scalar.attributes["value"]
    return bool(getattr(value, "value", None) == 0)


def is_patchwise(op: ir.Operation) -> bool:
    """Whether no element is under two windows: of 1x1, or whose size is the stride, or one."""
    if op.name != _CONVOLUTION:
        return False
    if shape_of(op.operands[1])[2:] == (1, 1):
        return True
    strides, dilations = steps(op, "strides"), steps(op, "dilations")
    extents = [shape_of(value)[2:] for value in op.operands]
    return all(map(_is_tiled, *extents, strides, dilations))


def _is_tiled(size: int, window: int, points: int, stride: int, dilation: int) -> bool:
    """Whether windows tile a dim of an image, which has no other elements."""
    undilated = dilation == 1 or window == 1
    return undilated and size == points * window and (window == stride or points == 1)


def steps(op: ir.Operation, name: str) -> list[int]:
    """An attribute of a convolution over height and width; 1 where it is not written."""
    if name not in op.attributes:
        return [1, 1]
    return list(ir.DenseIntElementsAttr(op.attributes[name]))
