"""Round the weights of a linear layer to integers with scales, and tell the error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.index_map.taking import take
from smartmem.parameters import Numbers, Parameters
from smartmem.passes.analysis.ir.linear_layers import LinearLayer, linear_layer
from smartmem.passes.analysis.ir.loops import divisors
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.layout.quantized_weights import WORD
from smartmem.passes.analysis.scalars.constant_values import SMALL, constant_value
from smartmem.weight_format import WeightFormat


@dataclass(frozen=True, eq=False)
class RoundedLayer:
    """A linear layer and its weights as integers.

    Attributes:
        layer: with weights in f32.
        channels_first: whether its weights are [channels, steps], else the other way round.
        integers: i8 [channels, groups, steps of a group].
        scales: f32 [channels, groups, 1].
        bits: of an integer.
        error: the norm of what rounding changes, over that of the weights.
    """

    layer: LinearLayer
    channels_first: bool
    integers: Numbers
    scales: Numbers
    bits: int
    error: float

    def __str__(self) -> str:
        group = self.integers.shape[2]
        return f"{self.bits} bits, groups of {group}: relative error {self.error:.2g}"


def rounded_layer(
    op: ir.Operation, form: WeightFormat, parameters: Parameters
) -> RoundedLayer | Refusal | None:
    """The layer ``op`` with rounded weights; None if its weights are not known now."""
    layer = linear_layer(op)
    if not isinstance(layer, LinearLayer):
        return None
    number = 1 - layer.data
    if {str(value.type.element_type) for value in op.operands} != {"f32"}:
        return Refusal("it computes in other types than f32")
    loops = layer.nest.loops_of(number)
    if len(loops) != 2 or not layer.nest.is_plain:
        return Refusal("its weights have other dims than channels and steps")
    extents = [layer.nest.domain[d] for d in loops]
    if math.prod(extents) <= SMALL:
        return Refusal("it has few weights")
    channels_first = loops[0] == layer.channel
    steps = extents[channels_first]
    group = _group(steps, form)
    if group is None:
        return Refusal(f"its {steps} steps are no whole words of {form.bits} bits")
    source = constant_value(layer.stored.source, parameters)
    assert source is not None, "it is a constant"
    weights: Numbers = take(layer.stored.index_map, source).reshape(extents)
    weights = weights if channels_first else weights.T
    return _rounded(layer, channels_first, weights.reshape(len(weights), -1, group), form)


def _group(steps: int, form: WeightFormat) -> int | None:
    """The steps that share a scale: at most as many as asked for, in whole words."""
    most = form.group or steps
    found = (n for n in divisors(steps) if n <= most and n * form.bits % WORD == 0)
    return next(found, None)


def _rounded(
    layer: LinearLayer, channels_first: bool, groups: Numbers, form: WeightFormat
) -> RoundedLayer | Refusal:
    if not np.isfinite(groups).all():
        return Refusal("its weights are not all finite")
    integers, scales = _nearest(groups, form.bits)
    norm = float(np.linalg.norm(groups))
    error = float(np.linalg.norm(integers * scales - groups)) / (norm or 1.0)
    if error > form.max_error:
        return Refusal(
            f"{form.bits} bits would make a relative error of {error:.2g}, and "
            f"{form.max_error:g} is allowed"
        )
    kept = integers.astype(np.int8)
    return RoundedLayer(layer, channels_first, kept, scales, form.bits, error)


def _nearest(groups: Numbers, bits: int) -> tuple[Any, Any]:
    """Integers and scales: of two scales for each group the one with the smaller error.

    One makes the largest magnitude the largest integer; the other makes it the smallest, of
    which there is one more.
    """
    half = 1 << (bits - 1)
    place = np.abs(groups).argmax(axis=2)[..., None]
    extreme = np.take_along_axis(groups, place, axis=2)
    found = [_with_scale(groups, np.abs(extreme) / np.float32(half - 1), half)]
    found.append(_with_scale(groups, -extreme / np.float32(half), half))
    errors = [((q * s - groups) ** 2).sum(axis=2, keepdims=True) for q, s in found]
    first = errors[0] <= errors[1]
    (q0, s0), (q1, s1) = found
    return np.where(first, q0, q1), np.where(first, s0, s1).astype(np.float32)


def _with_scale(groups: Numbers, scales: Numbers, half: int) -> tuple[Numbers, Numbers]:
    scales = np.where(scales == 0, np.float32(1), scales)
    return np.clip(np.rint(groups / scales), -half, half - 1), scales
