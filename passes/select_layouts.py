"""Select the layouts that operations with windows read and write.

Rewrites:
  convolution(%x, %w), pooling(%x)  ->  view(generic(view(%x), view(%w)))

  %r = linalg.depthwise_conv_2d_nchw_chw ins(%x, %w : tensor<1x8x7x7xf32>, tensor<8x3x3xf32>)
    ->
  %a = "smartmem.view"(%x) {map = affine_map<(n, h, w, c) -> (n, c, h, w)>}
  %k = "smartmem.view"(%w) {map = affine_map<(r, q, c) -> (c, r, q)>}
  %b = linalg.generic over (n, h, w, c, r, q): %b[n, h, w, c] += %a[n, h + r, w + q, c] * %k[...]
  %r = "smartmem.view"(%b) {map = affine_map<(n, c, h, w) -> (n, h, w, c)>}

  %r[h, n] += %x[h + 24 * r, c] * %w[r, c, n], of 16 rows between 24 of zeros
    ->
  %r[h, n] += %x[h, c] * %w[1, c, n]          the other steps of the window read zeros alone

  %r[h, n] += %x[h + r, c] * %w[r, c, n], r < 128                                 on CPUs
    ->
  %p = "smartmem.view"(%x) {map = affine_map<(h, p, c) -> (h + 64 * p, c)>}
  %r[h, n] += %p[h + r, p, c] * %w[64 * p + r, c, n], p < 2, r < 64

The reduction dim is innermost, or the groups where the reduction dim is short (``FORMS`` in
``analysis/operators/sliding_windows.py``; SmartMem, section 3.2.2). Why: the innermost dim is
loaded as vectors. The views state the layout; elimination composes them into producers and
consumers, and views of weights are computed when compiling. For GPUs a padded image of three
channels gets a fourth channel of zeros, which the padding writes.

A window of up to 64 steps becomes a sum of slices (``--smartmem-lower-to-linalg``), of which
vectors are loaded. Of a longer one, parts of the image are laid side by side.

Keeps, with a remark: operations whose window loops are not seen, and long windows whose parts
are as much work to move as to multiply.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.sliding_windows import Windows, form_of, windows_of
from smartmem.passes.analysis.operators.window_parts import steps_within, window_parts
from smartmem.passes.analysis.padding.channel_padding import channel_padding
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.layout.part_windows import crop_window, part_window
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
        for op, whole in context.each(seen, itemgetter(0)):
            if isinstance(whole, Refusal):
                context.remark(self.argument, op, False, whole.reason)
                continue
            found = self._smaller(whole, context)
            op = found.op
            form = form_of(found, context.lanes)
            padding = None
            if context.gpu is not None:
                padding = channel_padding(found, context.lanes, context.parameters)
            more = "" if padding is None else f", {padding.channels} with zeros"
            context.remark(self.argument, op, True, f"{form}{more}: vectors are loaded of them")
            rearrange_windows(found, form, padding, context.parameters)

    def _smaller(self, found: Windows, context: PassContext) -> Windows:
        """The operation without steps that read padding alone, and in parts of few steps."""
        steps = steps_within(found, context.parameters)
        if steps:
            left = " x ".join(str(end - first) for first, end in steps.values())
            reason = f"the other steps of its window than {left} read padding alone"
            context.remark(self.argument, found.op, True, reason)
            found = _seen(crop_window(found, steps))
        parts = window_parts(found) if context.gpu is None else None
        if isinstance(parts, Refusal):
            context.remark(self.argument, found.op, False, parts.reason)
        elif parts is not None:
            context.remark(self.argument, found.op, True, str(parts))
            found = _seen(part_window(found, parts))
        return found


def _seen(op: ir.Operation) -> Windows:
    found = windows_of(op)
    assert isinstance(found, Windows), "its loops have the roles that they had"
    return found
