"""Offsets, sizes and strides that are partly attributes and partly operands."""

from __future__ import annotations

from collections.abc import Iterator

from torch_mlir import ir

from smartmem.interpreter.values import Array

DYNAMIC = ir.ShapedType.get_dynamic_size()
DYNAMIC_STRIDE = ir.ShapedType.get_dynamic_stride_or_offset()


def numbers(op: ir.Operation, name: str, operands: Iterator[Array]) -> list[int]:
    """The integers of a ``DenseI64ArrayAttr``; those that are dynamic are operands.

    Args:
        operands: where to take the next ones from, in order.
    """
    static = [int(n) for n in ir.DenseI64ArrayAttr(op.attributes[name])]
    return [int(next(operands)) if n in (DYNAMIC, DYNAMIC_STRIDE) else n for n in static]


def integers(op: ir.Operation, name: str) -> list[int]:
    """The integers of a ``DenseI64ArrayAttr``."""
    return [int(n) for n in ir.DenseI64ArrayAttr(op.attributes[name])]


def integer(op: ir.Operation, name: str) -> int:
    """The value of an ``IntegerAttr``."""
    return int(ir.IntegerAttr(op.attributes[name]).value)


def shape_of(value: ir.Value, dynamic: Iterator[Array] | None = None) -> tuple[int, ...]:
    """The shape of a tensor type; dynamic sizes are operands."""
    rest = iter(()) if dynamic is None else dynamic
    return tuple(int(next(rest)) if n == DYNAMIC else n for n in value.type.shape)
