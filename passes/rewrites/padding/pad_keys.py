"""Rebuild attention with keys of zeros, whose scores a mask lowers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.dialect import ViewOp
from smartmem.index_map import identity
from smartmem.parameters import Array, Parameters, numpy_dtype
from smartmem.passes.analysis.ir.movement import shape_of, view_map
from smartmem.passes.analysis.padding.key_padding import KeyPadding
from smartmem.passes.analysis.padding.row_padding import Place
from smartmem.passes.analysis.scalars.constant_values import constant_value
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.padding.pad_rows import Make, pad_rows
from smartmem.passes.rewrites.padding.pad_views import padded_view

# Far below all scores, so that exp makes zero of it, and no infinity when more is added.
_LOW, _LOW_HALF = -1e30, -3e4


def pad_keys(found: KeyPadding, parameters: Parameters) -> None:
    """Pads keys and values with zeros, and masks their scores."""
    made: dict[ir.Value, Make] = {found.source[0]: lambda _: _padded(found)}
    if (bias := found.bias) is None:
        made[found.scores.results[0]] = lambda longer: _masked(longer, found, parameters)
    else:
        made[bias[0]] = lambda _: _low_bias(bias, found, parameters)
    pad_rows(found.padding, parameters, made)


def _padded(found: KeyPadding) -> ir.Value:
    """What keys and values are parts of, with zeros behind its rows."""
    value, d = found.source
    made, index_map = value, identity(shape_of(value))
    if value.owner.name == ViewOp.OPERATION_NAME:
        made, index_map = value.owner.operands[0], view_map(value.owner)
    box = [(0, n) for n in shape_of(value)]
    shape = tuple(found.padding.new if k == d else n for k, n in enumerate(shape_of(value)))
    zero = build.zero(value.type.element_type)
    return padded_view(made, index_map, box, shape, zero)


def _masked(
    longer: Callable[[], ir.Value], found: KeyPadding, parameters: Parameters
) -> ir.Value:
    """The scores, with the lowest numbers added to those of the keys of zeros."""
    scores = longer()
    type_ = build.tensor_type(scores, shape_of(scores)[-1:])
    mask = np.zeros(found.padding.old, numpy_dtype(type_.element_type))
    value = constant_tensor("mask", _lowered(mask, 0, found), type_, parameters)
    return build.combine(arith.addf, scores, value, [len(shape_of(scores)) - 1])


def _low_bias(bias: Place, found: KeyPadding, parameters: Parameters) -> ir.Value:
    """The constant that is added to the scores, with the lowest numbers behind its keys."""
    value, d = bias
    array = constant_value(value, parameters)
    assert array is not None, "the search has seen that it is known"
    array = _lowered(array, d, found)
    type_ = build.tensor_type(value, array.shape)
    return constant_tensor("bias", array, type_, parameters)


def _lowered(array: Array, d: int, found: KeyPadding) -> Array:
    more = found.padding.new - found.padding.old
    widths = [(0, more if k == d else 0) for k in range(array.ndim)]
    low = _LOW_HALF if array.dtype == np.float16 else _LOW
    return np.pad(array, widths, constant_values=low)
