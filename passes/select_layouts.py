"""Select the layouts that operations with windows read and write.

Rewrites:
  convolution(%x, %w), pooling(%x)  ->  view(generic(view(%x), view(%w)))

  %r = linalg.depthwise_conv_2d_nchw_chw ins(%x, %w : tensor<1x8x7x7xf32>, tensor<8x3x3xf32>)
    ->
  %a = "smartmem.view"(%x) {map = affine_map<(n, h, w, c) -> (n, c, h, w)>}
  %k = "smartmem.view"(%w) {map = affine_map<(r, q, c) -> (c, r, q)>}
  %b = linalg.generic over (n, h, w, c, r, q): %b[n, h, w, c] += %a[n, h + r, w + q, c] * %k[...]
  %r = "smartmem.view"(%b) {map = affine_map<(n, c, h, w) -> (n, h, w, c)>}

The reduction dim is innermost, or the groups where the reduction dim is short (``FORMS`` in
``analysis/operators/sliding_windows.py``; SmartMem, section 3.2.2). Why: the innermost dim is
loaded as vectors. The views state the layout; elimination composes them into producers and
consumers, and views of weights are computed when compiling. For GPUs a padded image of three
channels gets a fourth channel of zeros, which the padding writes.

Keeps, with a remark: operations whose window loops are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.sliding_windows import form_of, windows_of
from smartmem.passes.analysis.padding.channel_padding import channel_padding
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.layout.rearrange_windows import rearrange_windows


@dataclass(frozen=True)
class SelectLayouts(Pass):
    """Gives convolutions and poolings the layout that vectors can be loaded of."""

    argument = "smartmem-select-layouts"
    summary = "Select the layouts that convolutions and poolings read and write"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rearranges each operation with a window; what it keeps gets a remark."""
        # All first: a body goes with its operation.
        decided = [(op, windows_of(op)) for op in context.each(outer_operations(module))]
        seen = [(op, found) for op, found in decided if found is not None]
        for op, found in context.each(seen, itemgetter(0)):
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
                continue
            form = form_of(found, context.lanes)
            padding = None
            if context.gpu is not None:
                padding = channel_padding(found, context.lanes, context.parameters)
            more = "" if padding is None else f", {padding.channels} with zeros"
            context.remark(self.argument, op, True, f"{form}{more}: vectors are loaded of them")
            rearrange_windows(found, form, padding, context.parameters)
