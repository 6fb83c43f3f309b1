"""``arith``: integers wrap around, floats are computed in the type that they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.errors import UnsupportedError
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import (
    Array,
    ElementType,
    conform,
    element_type,
    signed,
    unsigned,
)

Function = Callable[..., Any]


def _divisor(b: Any) -> Any:
    """MLIR leaves a division by 0 undefined: any value does, an exception does not."""
    return np.where(b == 0, np.ones_like(b), b)


def _divide_to_zero(a: Any, b: Any) -> Any:
    b = _divisor(b)
    return (a - np.fmod(a, b)) // b


_FLOATS: Mapping[str, Function] = {
    "arith.addf": np.add,
    "arith.subf": np.subtract,
    "arith.mulf": np.multiply,
    "arith.divf": np.divide,
    "arith.negf": np.negative,
    "arith.remf": np.fmod,
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
    "arith.extf": np.asarray,
    "arith.truncf": np.asarray,
    "arith.fptosi": np.trunc,
    "arith.fptoui": np.trunc,
}

_SIGNED: Mapping[str, Function] = {
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.divsi": _divide_to_zero,
    "arith.floordivsi": lambda a, b: np.floor_divide(a, _divisor(b)),
    "arith.ceildivsi": lambda a, b: a // _divisor(b) + (a % _divisor(b) != 0),
    "arith.remsi": lambda a, b: np.fmod(a, _divisor(b)),
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
    "arith.shli": np.left_shift,
    "arith.shrsi": np.right_shift,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
    "arith.extsi": np.asarray,
    "arith.trunci": np.asarray,
    "arith.sitofp": np.asarray,
    "arith.index_cast": np.asarray,
}

_UNSIGNED: Mapping[str, Function] = {
    "arith.divui": lambda a, b: np.floor_divide(a, _divisor(b)),
    "arith.ceildivui": lambda a, b: a // _divisor(b) + (a % _divisor(b) != 0),
    "arith.remui": lambda a, b: np.remainder(a, _divisor(b)),
    "arith.shrui": np.right_shift,
    "arith.maxui": np.maximum,
    "arith.minui": np.minimum,
    "arith.extui": np.asarray,
    "arith.uitofp": np.asarray,
    "arith.index_castui": np.asarray,
}

_INTEGER_PREDICATES: tuple[Function, ...] = (
    *(np.equal, np.not_equal),
    *(np.less, np.less_equal, np.greater, np.greater_equal),  # signed
    *(np.less, np.less_equal, np.greater, np.greater_equal),  # unsigned
)
_FIRST_UNSIGNED = 6

_ORDERED: tuple[Function, ...] = (
    *(np.equal, np.greater, np.greater_equal, np.less, np.less_equal),
    np.not_equal,
)
_FALSE, _ORD, _UEQ, _UNO, _TRUE = 0, 7, 8, 14, 15


@evaluates("arith.constant")
def _constant(op: ir.Operation, _: Sequence[Array], frame: Frame) -> list[Array]:
    attribute = op.attributes["value"].maybe_downcast()
    kind = element_type(op.results[0].type)
    if isinstance(attribute, ir.FloatAttr | ir.IntegerAttr | ir.BoolAttr):
        return [_scalar(attribute.value, kind)]
    value = frame.parameters.value(attribute)
    if value is None and isinstance(attribute, ir.DenseElementsAttr):
        with suppress(TypeError):  # MLIR's bindings know no elements of other widths
            value = np.array(attribute).reshape(ir.ShapedType(attribute.type).shape)
    if value is None:
        raise UnsupportedError(f"the data of the constant at {op.location} is not known")
    return [conform(value, kind)]


def _scalar(value: Any, kind: ElementType) -> Array:
    if kind.bits <= 1:
        return np.asarray(value, kind.dtype)
    half = 1 << (kind.bits - 1)  # the attribute of an unsigned value may be above
    return np.asarray((int(value) + half) % (2 * half) - half, kind.dtype)


@evaluates(*_FLOATS)
def _float(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [conform(_FLOATS[op.name](*operands), element_type(op.results[0].type))]


@evaluates(*_SIGNED)
def _signed(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    result = _SIGNED[op.name](*map(signed, operands))
    return [conform(result, element_type(op.results[0].type))]


@evaluates(*_UNSIGNED)
def _unsigned(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    kinds = [element_type(value.type) for value in op.operands]
    result = _UNSIGNED[op.name](*map(unsigned, operands, kinds))
    return [conform(result, element_type(op.results[0].type))]


@evaluates("arith.cmpi")
def _compare_integers(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    number = ir.IntegerAttr(op.attributes["predicate"]).value
    kind = element_type(op.operands[0].type)
    if number >= _FIRST_UNSIGNED:
        a, b = (unsigned(operand, kind) for operand in operands)
    else:
        a, b = map(signed, operands)
    return [_INTEGER_PREDICATES[number](a, b)]


@evaluates("arith.cmpf")
def _compare_floats(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    """By MLIR's order: false; oeq .. one; ord; ueq .. une; uno; true."""
    number = ir.IntegerAttr(op.attributes["predicate"]).value
    a, b = operands
    if number in (_FALSE, _TRUE):
        return [np.full(np.broadcast(a, b).shape, number == _TRUE)]
    unordered = np.isnan(a) | np.isnan(b)
    if number in (_ORD, _UNO):
        return [unordered if number == _UNO else ~unordered]
    compared = _ORDERED[(number - 1) % _ORD](a, b)
    return [compared | unordered if number >= _UEQ else compared & ~unordered]


@evaluates("arith.select")
def _select(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [conform(np.where(*operands), element_type(op.results[0].type))]


@evaluates("arith.bitcast")
def _bitcast(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    return [
        np.ascontiguousarray(operands[0])
        .reshape(operands[0].shape)
        .view(element_type(op.results[0].type).dtype)
    ]


@evaluates("arith.addui_extended")
def _add_extended(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    kind = element_type(op.operands[0].type)
    total = conform(np.add(*map(signed, operands)), kind)
    return [total, unsigned(total, kind) < unsigned(operands[0], kind)]


@evaluates("arith.mulsi_extended", "arith.mului_extended")
def _multiply_extended(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    kind = element_type(op.operands[0].type)
    is_signed = op.name == "arith.mulsi_extended"
    a, b = (x if is_signed else unsigned(x, kind) for x in map(np.asarray, operands))
    product = signed(a).astype(object) * signed(b).astype(object)  # of any width
    low, high = np.asarray(product), np.asarray(product >> kind.bits)
    return [_wrapped(low, kind), _wrapped(high, kind)]


def _wrapped(numbers: Any, kind: ElementType) -> Array:
    half = 1 << (kind.bits - 1)
    return conform(((numbers + half) % (2 * half) - half).astype(np.int64), kind)
