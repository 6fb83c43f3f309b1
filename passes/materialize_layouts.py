"""Make physical shapes of the layouts that are written on tensors.

Rewrites:
  %l = relayout(%t) to a layout, read as relayout(%l) back to the plain type
    ->
  %t is written, and read, where the layout puts its elements

  %l = "smartmem.relayout"(%t) : (tensor<4x8xf32>)
      -> tensor<4x8xf32, #smartmem.layout<"split(1, 2, 4) reorder(1, 0, 2)", "buffer", []>>
    ->
  linalg.generic over (a, b, l): %t[b, a, l]   outs(%e : tensor<2x4x4xf32>)

Arguments and results of functions that carry a layout get its physical shape. The producer
writes the layout and each reader reads it by its indexing map, whose loops are split where
dims are; ``pad`` and ``store_at`` are a padding that the producer's kernel writes into.
``unfold`` is for operations that slide a window of that size and stride: its elements and its
windows become dims of their own.

Where a producer or reader cannot, a view stays between, which is a copy, and gets a remark.
The storage of a layout is only checked; ``smartmem-bind-images``, which knows the device, decides
how a kernel reads images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch_mlir import ir

from smartmem.dialect import RelayoutOp, layout_fault, layout_of, storage_of
from smartmem.errors import PassError
from smartmem.passes.analysis.elimination.placement import (
    InWrite,
    in_write,
    is_address,
    read_access,
)
from smartmem.passes.analysis.ir.movement import Refusal, is_view
from smartmem.passes.analysis.operators.window_layouts import window_read
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations
from smartmem.passes.eliminate_views import FREE
from smartmem.passes.rewrites.layout.lay_out import (
    carrying_arguments,
    is_plain,
    laid_out,
    one_for_each_use,
    read_back,
    read_windows,
    through_plain,
    update_type,
)
from smartmem.passes.rewrites.layout.permute_tensors import permute_tensors
from smartmem.passes.rewrites.loops.order_loops import order_loops
from smartmem.passes.rewrites.loops.split_loops import read_through, write_through

_IN_KERNELS = "its storage is chosen kernel by kernel (smartmem-bind-images)"


@dataclass(frozen=True)
class MaterializeLayouts(Pass):
    """Lets producers write, and readers read, the layouts that relayouts name."""

    argument = "smartmem-materialize-layouts"
    summary = "Make physical shapes of the layouts that are written on tensors"
    is_needed = True

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Materializes one layout after the other, in program order.

        Raises:
            PassError: an operation that knows no layouts reads a tensor that has one, or
                other than windows read one that lies in windows.
        """
        permute_tensors(module, self.argument)
        for op in _relayouts(module):
            through_plain(op)
        for op in filter(is_plain, _relayouts(module)):
            op.results[0].replace_all_uses_with(op.operands[0])
            op.erase()
        functions = [op for op in outer_operations(module) if op.name == "func.func"]
        for argument in [a for f in functions for a in carrying_arguments(f)]:
            if fault := layout_fault(argument.type):
                raise PassError(self.argument, f"argument {argument.arg_number}: {fault}")
            self._materialize(argument, context)
        # All first: those back to the plain type go with what they read.
        for op in [op for op in _relayouts(module) if layout_of(op.results[0].type)]:
            self._materialize(op.results[0], context)
        for function in functions:
            update_type(function)
        erase_unused(module)

    def _materialize(self, value: ir.Value, context: PassContext) -> None:
        """Places a layout in the write of a tensor and in all of its reads."""
        type_ = value.type
        readers = [use.owner.operation for use in value.uses]
        for reader in readers:
            _check_reader(reader)
        owner = value.owner if isinstance(value.owner, ir.Block) else value.owner.operation
        if storage_of(type_) != "buffer" and not isinstance(owner, ir.Block):
            context.remark(self.argument, owner, False, _IN_KERNELS)
        laid = laid_out(value)
        for reader in readers:
            if reader.name == RelayoutOp.OPERATION_NAME:
                self._read(reader, laid, type_, context)
        if laid == value:
            return  # an argument: the caller writes it
        relayout = value.owner.operation
        source = relayout.operands[0]
        value.replace_all_uses_with(laid)
        relayout.erase()
        if laid == source:
            return  # the layout changes nothing
        _erase_views(source)  # other readers would keep the producer from writing
        if is_view(laid):
            self._write(laid, context)

    def _write(self, laid: ir.Value, context: PassContext) -> None:
        view = laid.owner.operation
        if "domain" in view.attributes:
            context.remark(self.argument, view, True, "its producer writes into the padding")
            return
        found = in_write(view)
        if isinstance(found, InWrite):
            context.remark(self.argument, view, True, "its producer writes the layout")
            order_loops(write_through(found.access, view))
        else:
            context.remark(self.argument, view, False, _what_is_left(view, found))

    def _read(
        self,
        back: ir.Operation,
        laid: ir.Value,
        type_: ir.RankedTensorType,
        context: PassContext,
    ) -> None:
        """Lets all that read the relayout ``back`` read what lies in the layout."""
        refusal = Refusal("nothing reads it")
        for use in list(back.results[0].uses):
            found = window_read(use.owner.operation, use.operand_number, type_)
            if isinstance(found, Refusal):
                refusal = found
            else:
                read_windows(found, laid)
                context.remark(self.argument, back, True, "its reader reads the layout")
        if not list(back.results[0].uses):
            back.erase()
            return
        views = read_back(back, laid, type_)
        if views is None:
            reason = "what lies in windows is read by a linalg.generic that slides them only"
            raise PassError(self.argument, f"{back.location}: {reason}: {refusal.reason}")
        for own in [own for view in views for own in one_for_each_use(view)]:
            self._read_view(own, context)

    def _read_view(self, view: ir.Operation, context: PassContext) -> None:
        for use in list(view.results[0].uses):
            found = read_access(view, use.owner.operation, use.operand_number)
            if isinstance(found, Refusal):
                context.remark(self.argument, view, False, _what_is_left(view, found))
            else:
                context.remark(self.argument, view, True, "its reader reads the layout")
                # What it writes has a layout of its own.
                own = replace(found, keeps_order=False)
                order_loops(read_through(own, view.operands[0]))
        if not list(view.results[0].uses):
            view.erase()


def _what_is_left(view: ir.Operation, refusal: Refusal) -> str:
    return FREE if is_address(view) else f"a copy: {refusal.reason}"


def _erase_views(value: ir.Value) -> None:
    """Erases the view that makes ``value``, and those before it, if nothing reads them."""
    while is_view(value) and not list(value.uses):
        view = value.owner.operation
        value = view.operands[0]
        view.erase()


def _relayouts(module: ir.Operation) -> list[ir.Operation]:
    return [op for op in outer_operations(module) if op.name == RelayoutOp.OPERATION_NAME]


def _check_reader(op: ir.Operation) -> None:
    if op.name in (RelayoutOp.OPERATION_NAME, "func.return"):
        return
    raise PassError(
        MaterializeLayouts.argument,
        f"{op.location}: {op.name} reads a tensor with a layout; put a smartmem.relayout to "
        "the plain type before it",
    )
