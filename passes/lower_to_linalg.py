"""Lower the ``smartmem`` dialect to upstream operations.

Rewrites:
  smartmem.view              ->  extract_slice, expand_shape, linalg.transpose,
                                 linalg.broadcast, collapse_shape, as needed
  smartmem.view with fill    ->  the same, then tensor.pad
  smartmem.concat            ->  tensor.concat, or tensor.insert_slice for each piece
  maps or domains without such a form, and concats that one elementwise operation reads,
    unless its pieces are computed
                             ->  linalg.generic with tensor.extract
  generic(%x, %w) with %x[h + r, w + q, c]
                             ->  generic(slice of %x for each (r, q), ...)
  linalg.exp and its like    ->  linalg.generic: iree-compile does not have them
  linalg.matmul over one     ->  linalg.generic: multiplies, and sums nothing up
  tensor.pad of a tensor.pad ->  linalg.fill, tensor.insert_slice: where they fill with
                                 different constants, iree-compile fails
  math.erf of f32            ->  one quotient of two polynomials, off by at most 3.2e-7:
                                 iree-compile selects one of four for each element
  smartmem.* attributes      ->  removed: the code generator does not know them
  dense_resource of few bf16 ->  dense: iree-compile takes small constants into kernels,
                                 where it widens bf16, but not in resources
  dense_resource of rank 0   ->  dense: iree-compile folds what reads such a constant, and
                                 crashes where its elements are in a resource

  %t = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}
    ->
  %t = linalg.transpose ins(%x) outs(%empty) permutation = [1, 0]

  %o[h, w, c] += %x[h + r, w + q, c] * %k[r, q, c]
    ->
  %o[h, w, c] = 0 + %x00[h, w, c] * %k00[c] + %x01[h, w, c] * %k01[c] + ...
  %x01 = tensor.extract_slice %x[0, 1, 0] [H, W, C] [1, 1, 1]

Every access of a window becomes a projected permutation, of which code generators make vectors;
of an index that is a sum of loops they make scalar code. A slice in a kernel is an offset. The
products of a window are added up before they are added to the result, as chained additions are
not vectorized. For CPUs, contractions over several loops, such as a convolution whose windows do
not overlap, keep their longest reduction loop; the others are unrolled.

Every view that verifies has a lowering. Relayouts are materialized before this pass;
one that is left is an error.

Keeps, with a remark, erf of other types than f32, and windows of more elements than
``max-window``: the code would be too long.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from torch_mlir import ir

from smartmem.dialect import ConcatOp, RelayoutOp, ViewOp, layout_of
from smartmem.errors import PassError
from smartmem.parameters import Parameters, resource_key
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.sliding_windows import (
    MOST_STEPS,
    Windows,
    many_reductions_of,
    windows_of,
)
from smartmem.passes.base import Pass, PassContext, operations, outer_operations
from smartmem.passes.rewrites.algebra.rational_erf import rational_erf
from smartmem.passes.rewrites.builders.generalize import UNKNOWN_TO_IREE, generalize
from smartmem.passes.rewrites.lowering.lower_views import lower_concat, lower_view
from smartmem.passes.rewrites.lowering.unroll_window import combination, unroll_window
from smartmem.passes.rewrites.padding.part_pads import part_pads

_KERNEL_CONSTANT_BYTES = 256
"""The largest constant that IREE puts into a kernel."""


@dataclass(frozen=True)
class LowerToLinalg(Pass):
    """Turns views and concats into linalg and tensor operations; drops attributes."""

    argument = "smartmem-lower-to-linalg"
    summary = "Lower the smartmem dialect to linalg and tensor operations"
    is_needed = True

    max_window: int = MOST_STEPS
    """The most elements of a window that is unrolled."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Lowers concats first: they read through the views that feed them.

        Raises:
            PassError: a relayout is left.
        """
        for op in filter(_needs_generic, operations(module)):
            generalize(op)
        for op in [op for op in operations(module) if op.name == "math.erf"]:
            self._expand_erf(op, context)
        found = operations(module)
        for op in found:
            if fault := _not_lowerable(op):
                raise PassError(self.argument, f"{op.location}: {fault}")
            if op != module:  # what a module says is of later stages, too
                _drop_attributes(op)
            _inline_small(op, context.parameters)
        concats = [op for op in found if op.name == ConcatOp.OPERATION_NAME]
        views = [op for op in found if op.name == ViewOp.OPERATION_NAME]
        for op in concats:
            _replace(op.opview, lower_concat(op.opview))
        for op in reversed(views):
            if list(op.results[0].uses):
                _replace(op.opview, lower_view(op.opview))
            else:
                op.erase()
        for op in operations(module):
            part_pads(op, context.parameters)
        self._unroll_windows(module, context)

    def _expand_erf(self, op: ir.Operation, context: PassContext) -> None:
        type_ = op.results[0].type
        if not isinstance(type_, ir.F32Type):
            context.remark(self.argument, op, False, f"it is of type {type_}, not f32")
            return
        context.remark(self.argument, op, True, "one quotient of two polynomials")
        with op.location, ir.InsertionPoint(op):
            value = rational_erf(op.operands[0])
        op.results[0].replace_all_uses_with(value)
        op.erase()

    def _unroll_windows(self, module: ir.Operation, context: PassContext) -> None:
        # All first: a body goes with its operation.
        generics = [op for op in outer_operations(module) if op.name == "linalg.generic"]
        decided = [(op, _windows(op, context)) for op in context.each(generics)]
        seen = [(op, found) for op, found in decided if found is not None]
        for op, found in context.each(seen, itemgetter(0)):
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found.extent("window") > self.max_window:
                reason = f"a window of more than {self.max_window} elements"
                context.remark(self.argument, op, False, reason)
            elif (combined := combination(op)) is None:
                reason = "its reduction is no operation on the output and one value"
                context.remark(self.argument, op, False, reason)
            else:
                taps = found.extent("window")
                context.remark(self.argument, op, True, f"a sum of {taps} slices")
                unroll_window(found, combined)


def _windows(op: ir.Operation, context: PassContext) -> Windows | Refusal | None:
    """The window of ``op``; on a GPU, tiles of 1 serve for reductions that do not slide."""
    found = windows_of(op)
    return found if found is not None or context.gpu else many_reductions_of(op)


def _needs_generic(op: ir.Operation) -> bool:
    """Whether iree-compile does not know ``op``, or would not see that it sums nothing up."""
    if op.name in UNKNOWN_TO_IREE:
        return bool(op.results)
    nest = None if op.name == "linalg.generic" else loop_nest(op)
    return (
        nest is not None
        and nest.is_contraction
        and all(nest.domain[d] == 1 for d in nest.reductions)
    )


def _not_lowerable(op: ir.Operation) -> str | None:
    if op.name == RelayoutOp.OPERATION_NAME:
        return "smartmem.relayout is left; layouts must be materialized before lowering"
    for result in op.results:
        if isinstance(result.type, ir.RankedTensorType) and layout_of(result.type):
            return f"{result.type} carries a layout; materialize layouts before lowering"
    return None


def _drop_attributes(op: ir.Operation) -> None:
    for name in [n for n in op.attributes.keys() if n.startswith("smartmem.")]:  # noqa: SIM118
        del op.attributes[name]


def _inline_small(op: ir.Operation, parameters: Parameters) -> None:
    if op.name != "arith.constant":
        return
    array = parameters.get(resource_key(op.attributes["value"]) or "")
    if array is None or array.nbytes > _KERNEL_CONSTANT_BYTES:
        return
    type_ = ir.RankedTensorType(op.results[0].type)
    is_bf16 = isinstance(type_.element_type, ir.BF16Type)
    if is_bf16 or not type_.rank:
        elements = array.view(np.uint16) if is_bf16 else array
        op.attributes["value"] = ir.DenseElementsAttr.get(elements, type=type_)


def _replace(op: ViewOp | ConcatOp, value: ir.Value) -> None:
    op.result.replace_all_uses_with(value)
    op.operation.erase()
