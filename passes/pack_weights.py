"""Pack the weights of linear layers into blocks, now.

Rewrites:
  contraction(%x, W[n, k])  ->  view(contraction(%x, W'[n / 32, k, n % 32]))

  %r = linalg.generic over (m, n, k): %r[m, n] += %x[m, k] * %w[n, k]
    ->
  %p = linalg.generic over (m, b, l, k): %p[m, b, l] += %x[m, k] * %packed[b, k, l]
  %r = "smartmem.view"(%p)      a reshape, which moves nothing

  %r[h, w, n] += %x[h + r, w + q, k] * %w[r, q, k, n]
    ->
  %p[h, w, b, l] += %x[h + r, w + q, k] * %packed[b, k, r, q, l]         on CPUs

  %w[n, k] = (%q[n, k] - %z[n, k / 32]) * %s[n, k / 32];  contraction(%x[k], %w)       on CPUs
    ->
  %p[b, l] += %s'[b, g, l] * (%x[g, 0] * unpacked(%words[b, g, 0, l], 0) + ...)

  contraction(%x[m, k], %w)  ->  contraction(%x, %w'), %w'[b, g, i, l] unpacked from %words

  linear(%x, %q * %s[n])  ->  linear'(%x, %q) * %s,  linear' { %x * float(%q) }      on CPUs

Quantized weights q are constants of 2, 4 or 8 bits, by their values; their scales s and zero
points z are the same for groups of steps. A word of 32 bits holds steps that follow each other:
it is shifted in the registers of the kernel, for each row; of more than 16 rows by a kernel before.
Where all steps of a channel have one scale, convolutions and layers of more rows are packed as bytes
and multiply by the integers, which they convert in registers.

The elementwise operations behind the contraction run over the split channels, too. The weights
are packed when compiling: nothing is packed when a model is loaded. On GPUs a block is all
channels, and only weights that could not be loaded as vectors are packed: weights of windows
that do not overlap, stored with the window innermost.

Keeps, with a remark, layers of few rows, layers with fewer channels than a vector has
elements, and quantized weights whose scales change within a word.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter

from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.layout.packing import (
    Packing,
    QuantizedPacking,
    column_packing,
    packing,
    quantized_packing,
)
from smartmem.passes.analysis.layout.scaled_integers import scaled_integers
from smartmem.passes.analysis.layout.window_packing import WindowPacking, window_packing
from smartmem.passes.analysis.operators.sliding_windows import Windows, windows_of
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.layout.narrow_weights import narrow_weights
from smartmem.passes.rewrites.layout.pack_layer import pack_layer, split_end
from smartmem.passes.rewrites.layout.pack_quantized import pack_quantized
from smartmem.passes.rewrites.layout.pack_window import pack_window

Found = Packing | QuantizedPacking | WindowPacking | Refusal | None
Decision = Callable[[ir.Operation, int], Found]


@dataclass(frozen=True)
class PackWeights(Pass):
    """Stores weights in the order in which a kernel's blocks read them."""

    argument = "smartmem-pack-weights"
    summary = "Pack the weights of linear layers into blocks of channels"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Packs each layer as its kernel reads it; what it keeps gets a remark."""
        if context.gpu is None:
            self._narrow(module, context)
        blocks = partial(_block_packing, parameters=context.parameters)
        self._pack(module, context, column_packing if context.gpu else blocks)
        windows = [op for op in outer_operations(module) if isinstance(windows_of(op), Windows)]
        for op in context.each(
            reversed(windows)
        ):  # what is behind is replaced, another window maybe
            split_end(op.results[0])

    def _narrow(self, module: ir.Operation, context: PassContext) -> None:
        """Has operations of many rows multiply by the integers of their quantized weights."""
        ops = context.each(outer_operations(module))
        decided = [(op, scaled_integers(op, context.parameters)) for op in ops]
        seen = [(op, found) for op, found in decided if found is not None]
        for op, found in context.each(seen, itemgetter(0)):
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
                continue
            reason = "it multiplies by integers, and its result is scaled"
            context.remark(self.argument, op, True, reason)
            narrow_weights(found, context.parameters)

    def _pack(self, module: ir.Operation, context: PassContext, decide: Decision) -> None:
        # All decisions first: packing a layer replaces the operations behind it.
        decided = [
            (op, decide(op, context.lanes)) for op in context.each(outer_operations(module))
        ]
        seen = [(op, found) for op, found in decided if found is not None]
        for op, found in context.each(seen, itemgetter(0)):
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
                continue
            context.remark(self.argument, op, True, str(found))
            if isinstance(found, WindowPacking):
                pack_window(found, context.parameters)
            elif isinstance(found, QuantizedPacking):
                pack_quantized(found, context.parameters)
            else:
                pack_layer(found, context.parameters)


def _block_packing(op: ir.Operation, lanes: int, parameters: Parameters) -> Found:
    quantized = quantized_packing(op, lanes, parameters)
    return quantized or packing(op, lanes) or window_packing(op, lanes)
