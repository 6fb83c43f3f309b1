"""Lower the ``smartmem`` dialect to upstream operations.

Rewrites:
  smartmem.view              ->  extract_slice, expand_shape, linalg.transpose,
                                 linalg.broadcast, collapse_shape, as needed
  smartmem.view with fill    ->  the same, then tensor.pad
  smartmem.concat            ->  tensor.concat, or tensor.insert_slice for each piece
  maps or domains without such a form, and concats that one elementwise operation reads
                             ->  linalg.generic with tensor.extract
  linalg.exp and its like    ->  linalg.generic: iree-compile does not have them
  linalg.matmul over one     ->  linalg.generic: multiplies, and sums nothing up
  tensor.pad of a tensor.pad ->  linalg.fill, tensor.insert_slice: where they fill with
                                 different constants, iree-compile fails
  math.erf of f32            ->  one quotient of two polynomials, off by at most 3.2e-7:
                                 iree-compile selects one of four for each element
  smartmem.* attributes      ->  removed: the code generator does not know them
  dense_resource of few bf16 ->  dense: iree-compile takes small constants into kernels,
                                 where it widens bf16, but not in resources

  %t = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}
    ->
  %t = linalg.transpose ins(%x) outs(%empty) permutation = [1, 0]

Every view that verifies has a lowering. Relayouts are materialized before this pass;
one that is left is an error.

Keeps, with a remark, erf of other types than f32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.dialect import ConcatOp, RelayoutOp, ViewOp, layout_of
from smartmem.errors import PassError
from smartmem.index_map import Domain, Shape, identity, is_reshape, restrict
from smartmem.parameters import Parameters, resource_key
from smartmem.passes.analysis.ir.chains import readers
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import domain_of, shape_of, view_map
from smartmem.passes.base import Pass, PassContext, operations
from smartmem.passes.rewrites.algebra.rational_erf import rational_erf
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.generalize import UNKNOWN_TO_IREE, generalize
from smartmem.passes.rewrites.builders.read_through import GatherPiece, gather, read
from smartmem.passes.rewrites.padding.part_pads import part_pads

_KERNEL_CONSTANT_BYTES = 256
"""The largest constant that IREE puts into a kernel."""


@dataclass(frozen=True)
class LowerToLinalg(Pass):
    """Turns views and concats into linalg and tensor operations; drops attributes."""

    argument = "smartmem-lower-to-linalg"
    summary = "Lower the smartmem dialect to linalg and tensor operations"
    is_needed = True

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
            _drop_attributes(op)
            _inline_small_bf16(op, context.parameters)
        concats = [op for op in found if op.name == ConcatOp.OPERATION_NAME]
        views = [op for op in found if op.name == ViewOp.OPERATION_NAME]
        for op in concats:
            _replace(op.opview, _lower_concat(op.opview))
        for op in reversed(views):
            if list(op.results[0].uses):
                _replace(op.opview, _lower_view(op.opview))
            else:
                op.erase()
        for op in operations(module):
            part_pads(op, context.parameters)

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


def _inline_small_bf16(op: ir.Operation, parameters: Parameters) -> None:
    if op.name != "arith.constant" or "xbf16>" not in str(op.results[0].type):
        return
    array = parameters.get(resource_key(op.attributes["value"]) or "")
    if array is not None and array.nbytes <= _KERNEL_CONSTANT_BYTES:
        bits = array.view(np.uint16)
        op.attributes["value"] = ir.DenseElementsAttr.get(bits, type=op.results[0].type)


def _replace(op: ViewOp | ConcatOp, value: ir.Value) -> None:
    op.result.replace_all_uses_with(value)
    op.operation.erase()


def _lower_view(view: ViewOp) -> ir.Value:
    with ir.InsertionPoint(view), view.location:
        if view.domain is None:
            return read(view.source, view_map(view))
        # Outside its domain a view without fill is undefined: any value will do.
        fill = view.fill or build.zero(view.result.type.element_type)
        return _lower_padded(view, fill)


def _lower_padded(view: ViewOp, fill: ir.Value) -> ir.Value:
    shape, type_ = shape_of(view.result), view.result.type
    domain = domain_of(view.domain, shape)
    box = domain.box(shape)
    if box is None:
        piece = GatherPiece(view.source, view_map(view), domain)
        return gather([piece], fill, type_)
    if _volume(box) == 0:
        return build.splat(fill, type_)
    inside = restrict(view_map(view), box)
    is_argument = isinstance(view.source.owner, ir.Block)
    if is_argument and not is_reshape(inside, shape_of(view.source)):
        # Nothing before it could move or pad: one kernel does both.
        return gather([GatherPiece(view.source, view_map(view), domain)], fill, type_)
    return build.pad(read(view.source, inside), box, shape, fill)


def _volume(box: build.Box) -> int:
    return math.prod(max(high - low, 0) for low, high in box)


def _lower_concat(concat: ConcatOp) -> ir.Value:
    shape = shape_of(concat.result)
    domains = [domain_of(d, shape) for d in ir.ArrayAttr(concat.domains)]
    boxes = [d.box(shape) for d in domains]
    with ir.InsertionPoint(concat), concat.location:
        if any(box is None for box in boxes) or _is_read_by_element(concat.result):
            return _gather_pieces(concat, domains)
        known = [box for box in boxes if box is not None]
        axis = _joined_axis(known, shape)
        if axis is not None and all(n == 1 for n in shape[:axis]):
            return _join(concat, known, axis)
        return _insert(concat, known)


def _is_read_by_element(value: ir.Value) -> bool:
    """Whether one elementwise operation reads ``value``, once: it can look for the pieces.

    To store the pieces first would be a copy of each; a kernel that only waits for memory
    has time to choose. Contractions and reductions load vectors.
    """
    found = readers(value)
    nest = loop_nest(found[0]) if len(found) == 1 else None
    return nest is not None and nest.is_elementwise and not nest.uses_index


def _gather_pieces(concat: ConcatOp, domains: list[Domain]) -> ir.Value:
    shape = shape_of(concat.result)
    pieces = []
    for source, domain in zip(concat.sources, domains, strict=True):
        view = _partial_view(source)
        if view is None:
            pieces.append(GatherPiece(source, identity(shape), domain))
        else:
            pieces.append(GatherPiece(view.source, view_map(view), domain))
    return gather(pieces, None, concat.result.type)


def _partial_view(value: ir.Value) -> ViewOp | None:
    """The view without fill that defines ``value``, if one does."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != ViewOp.OPERATION_NAME:
        return None
    view = owner.opview
    return view if view.fill is None else None


def _joined_axis(boxes: list[build.Box], shape: Shape) -> int | None:
    """The axis along which the boxes, in order, tile ``shape``."""
    for axis, n in enumerate(shape):
        ends = [0, *(box[axis][1] for box in boxes)]
        abut = all(box[axis][0] == end for box, end in zip(boxes, ends, strict=False))
        full = all(
            box[other] == (0, m)
            for box in boxes
            for other, m in enumerate(shape)
            if other != axis
        )
        if abut and full and ends[-1] == n and all(b[axis][0] < b[axis][1] for b in boxes):
            return axis
    return None


def _piece(source: ir.Value, box: build.Box) -> ir.Value:
    """The part ``box`` of a concat's source."""
    view = _partial_view(source)
    if view is not None:
        return read(view.source, restrict(view_map(view), box))
    return read(source, restrict(identity(shape_of(source)), box))


def _join(concat: ConcatOp, boxes: list[build.Box], axis: int) -> ir.Value:
    parts = [_piece(s, b) for s, b in zip(concat.sources, boxes, strict=True)]
    if len(parts) == 1:
        return parts[0]
    return build.concat(parts, axis, concat.result.type)


def _insert(concat: ConcatOp, boxes: list[build.Box]) -> ir.Value:
    """Inserts the pieces from last to first, so that the first to hold an index wins."""
    shape = shape_of(concat.result)
    value = build.empty(concat.result.type)
    for source, box in reversed(list(zip(concat.sources, boxes, strict=True))):
        if _volume(box) == 0:
            continue
        part = _piece(source, box)
        value = part if shape_of(part) == shape else build.insert_slice(part, value, box)
    return value
