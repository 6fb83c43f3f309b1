"""Linear operations whose quantized weights are integers of bytes, with a scale for each channel.

The scale is a factor of the result: a kernel of many rows multiplies by the integers, which it
converts in its registers once for all rows of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.parameters import Numbers, Parameters
from smartmem.passes.analysis.algebra.factor_planner import is_zero
from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.layout.quantized_weights import (
    QuantizedLayer,
    dequantized,
    quantized_layer,
)
from smartmem.passes.analysis.operators.sliding_windows import WEIGHTS, Windows, windows_of
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.expressions import ARGUMENT


@dataclass(frozen=True, eq=False)
class ScaledIntegers:
    """A linear operation by integers of bytes with a scale for each channel.

    Attributes:
        op: a generic of the data, the weights and the initial result, which is 0.
        number: the operand that is the weights.
        integers: i8, in the shape of the weights.
        scales: f32, over the dims of the weights that the result has, too.
        axes: these dims in the result.
    """

    op: ir.Operation
    number: int
    integers: Numbers
    scales: Numbers
    axes: tuple[int, ...]


def scaled_integers(
    op: ir.Operation, parameters: Parameters
) -> ScaledIntegers | Refusal | None:
    """The weights of ``op`` as integers with one scale for each output channel.

    None if it has no quantized weights, or few rows, or scales within a channel: these
    read words.
    """
    if op.name != "linalg.generic":
        return None
    if isinstance(windows_of(op), Windows):
        return _scaled(op, WEIGHTS, parameters)
    layer = quantized_layer(op, parameters)
    if not isinstance(layer, QuantizedLayer) or layer.has_few_rows:
        return None
    found = _scaled(op, 1 - layer.data, parameters)
    return found if isinstance(found, ScaledIntegers) else None


def _scaled(
    op: ir.Operation, number: int, parameters: Parameters
) -> ScaledIntegers | Refusal | None:
    found = dequantized(op.operands[number], parameters)
    if found is None:
        return None
    if not _adds_products(body_of(op, parameters)) or not is_zero(op.operands[-1], parameters):
        return Refusal("it does more than to add up products by its quantized weights")
    integers, scales, zeros = found
    integers = integers if zeros is None else integers - zeros
    if not _are_bytes(integers):
        return Refusal("its quantized weights take more than 8 bits")
    maps = [indexing_maps(op)[k].results for k in (number, -1)]
    if not all(isinstance(e, ir.AffineDimExpr) for exprs in maps for e in exprs):
        return Refusal("its weights or its result are not indexed by single loops")
    held, written = ([ir.AffineDimExpr(e).position for e in exprs] for exprs in maps)
    summed = tuple(k for k, loop in enumerate(held) if loop not in written)
    first = scales[tuple(slice(1) if k in summed else slice(None) for k in range(scales.ndim))]
    if not (scales == first).all():
        return Refusal("the scales of its quantized weights differ within a channel")
    axes = tuple(written.index(loop) for loop in held if loop in written)
    return ScaledIntegers(op, number, integers.astype(np.int8), first.squeeze(summed), axes)


def _are_bytes(integers: Numbers) -> bool:
    inside = integers.min() >= -128 and integers.max() <= 127
    return bool(inside and (integers == np.rint(integers)).all())


def _adds_products(body: Body | Refusal) -> bool:
    """Whether a body adds products of its two operands to the output."""
    if isinstance(body, Refusal) or body.combiner is None:
        return False
    factors = {arg.kind for arg in body.root.args}
    adds = body.combiner.name == "arith.addf" and body.root.kind == "arith.mulf"
    return adds and factors == {ARGUMENT}
