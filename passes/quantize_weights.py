"""Round the weights of linear layers to integers of few bits.

Rewrites:
  contraction(%x, W)  ->  contraction(%x, view(generic { q * s })),  q and s constants

  %r = linalg.generic over (m, n, k): %r[m, n] += %x[m, k] * %w[n, k]
    ->
  %v = linalg.generic over (n, g, i): %v[n, g, i] = float(%q[n, g, i]) * %s[n, g]
  %u = "smartmem.view"(%v)      a reshape
  %r = linalg.generic over (m, n, k): %r[m, n] += %x[m, k] * %u[n, k]

q are round(w / s), of 4 or 8 bits; s is of the groups of a channel's weights, and such that the
largest of them is one of the largest integers. ``--smartmem-pack-weights`` packs q behind this pass.
It does something if the option ``format`` is given, or the compilation's option ``weights``.

Keeps, with a remark that tells the error, layers whose weights would change by more than is
allowed; and layers whose integers could not be packed, or that have few weights.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.backend.targets.processor import Cpu
from smartmem.index_map import transpose
from smartmem.parameters import Numbers, Parameters
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.layout.packing import QuantizedPacking, quantized_packing
from smartmem.passes.analysis.layout.weight_rounding import RoundedLayer, rounded_layer
from smartmem.passes.base import Pass, PassContext, erase_if_unused, outer_operations
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.loops.split_loops import reshaped, view_as
from smartmem.weight_format import weight_format


@dataclass(frozen=True)
class QuantizeWeights(Pass):
    """Stores linear layers' weights as integers of few bits with scales."""

    argument = "smartmem-quantize-weights"
    summary = "Round the weights of linear layers to integers of few bits"
    runs_on = (Cpu,)
    keeps_numbers = False

    format: str = ""
    """Such as ``int4:group=32,error=0.1`` or ``int8``; nothing: as the compilation says."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rounds the weights of each layer, or says why not."""
        form = weight_format(self.format) if self.format else context.weights
        if form is None:
            return
        for op in context.each(outer_operations(module)):
            found = rounded_layer(op, form, context.parameters)
            if isinstance(found, RoundedLayer):
                found = _round(found, context)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                context.remark(self.argument, op, True, str(found))


def _round(found: RoundedLayer, context: PassContext) -> RoundedLayer | Refusal:
    """Gives the layer its rounded weights, if they can be packed."""
    op, number = found.layer.op, 1 - found.layer.data
    old = op.operands[number]
    with ir.InsertionPoint(op), op.location:
        op.operands[number] = _weights(found, old, context.parameters)
    packed = quantized_packing(op, context.lanes, context.parameters)
    if isinstance(packed, QuantizedPacking):
        return found
    made, op.operands[number] = op.operands[number], old
    _erase(made)
    return packed or Refusal("its integers could not be packed")


def _erase(value: ir.Value) -> None:
    """Erases what was made to compute a value that nothing reads."""
    op = value.owner.operation
    operands = list(op.operands)
    if erase_if_unused(op):
        for operand in operands:
            _erase(operand)


def _weights(found: RoundedLayer, old: ir.Value, parameters: Parameters) -> ir.Value:
    """The weights in f32, as ``old`` had them."""
    channels, groups, steps = found.integers.shape
    integers = _constant("integers", found.integers, "i8", parameters)
    scales = _constant("scales", found.scales.reshape(channels, groups), "f32", parameters)
    identity = ir.AffineMap.get_identity(3)
    init = build.empty(build.tensor_type(scales, found.integers.shape))
    value = build.elementwise(
        [integers, scales],
        [identity, identity.get_submap([0, 1])],
        init,
        lambda e: arith.mulf(arith.sitofp(e[1].type, e[0]), e[1]),
    )
    value = reshaped(value, (channels, groups * steps))
    if not found.channels_first:
        value = view_as(value, transpose((channels, groups * steps), [1, 0]))
    return reshaped(value, tuple(ir.RankedTensorType(old.type).shape))


def _constant(name: str, array: Numbers, element: str, parameters: Parameters) -> ir.Value:
    type_ = ir.RankedTensorType.get(list(array.shape), ir.Type.parse(element))
    return constant_tensor(name, array, type_, parameters)
