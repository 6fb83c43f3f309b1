"""Write on each tensor the layout in which it lies.

Rewrites:
  the tensors that operations of free order tie together  ->  the same with one layout

  %a = "smartmem.view"(%conv) {map = (n, c, h, w) -> (n, h, w, c)}
  %b = linalg.generic {relu} ins(%a) -> tensor<1x8x7x7xf32>
  %c = "smartmem.view"(%b) {map = (n, h, w, c) -> (n, c, h, w)}     read by a convolution
    ->
  %a, %b : tensor<1x8x7x7xf32, #smartmem.layout<"reorder(0, 2, 3, 1)", "buffer", []>>

The views that ``smartmem-select-layouts`` has put around convolutions and poolings are the seeds.
A layout travels forward and backward through elementwise operations, paddings, slices, concats
and repetitions, which take any order (SmartMem, tables 3 and 5). All tensors that these tie take
the order in which the fewest bytes move at their borders; ``analysis/layout/layout_orders.py``
has the cost. Why: a tensor with several readers has one order, and which one is best depends on
all of its readers together.

``smartmem-materialize-layouts`` makes physical shapes of the layouts. Keeps tensors that lie best
row-major without a layout: that is the layout without primitives.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.layout.layout_orders import changed, layout_orders, orders
from smartmem.passes.base import Pass, PassContext
from smartmem.passes.rewrites.layout.write_orders import write_orders


@dataclass(frozen=True)
class PropagateLayouts(Pass):
    """Gives tensors that are tied together one layout."""

    argument = "smartmem-propagate-layouts"
    summary = "Write on each tensor the layout in which it lies"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Decides for each function, and writes the layouts; each class gets a remark."""
        for function in module.regions[0].blocks[0].operations:
            if function.operation.name != "func.func" or not function.regions[0].blocks:
                continue
            found = layout_orders(function.regions[0].blocks[0], context.pairs)
            for one in changed(found):
                reason = f"{len(one.values)} tensors lie in the order {list(one.order)}"
                context.remark(self.argument, one.values[0].owner.operation, True, reason)
            write_orders(orders(found))
