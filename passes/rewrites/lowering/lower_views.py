"""Build what a view or a concat names of upstream operations."""

from __future__ import annotations

import math

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import Domain, Shape, identity, is_reshape, restrict
from smartmem.passes.analysis.ir.chains import origin, readers
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import domain_of, shape_of, view_map
from smartmem.passes.analysis.operators.strided_slices import whole_read
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.read_through import GatherPiece, gather, read

_CHOICES = 4
"""To choose from this many pieces, element by element, costs as much as to copy one of them."""


def lower_view(view: ViewOp) -> ir.Value:
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
    made = origin(view.source)
    if made is None or loop_nest(made) is None:
        return build.pad(read(view.source, inside), box, shape, fill)
    # What computes the source writes all of it into the padding: of a part it would be a copy.
    padded = [(low, high) != (0, n) for (low, high), n in zip(box, shape, strict=True)]
    whole = whole_read(inside, shape_of(view.source), padded)
    longer = tuple(n if p else w for n, w, p in zip(shape, whole.shape, padded, strict=True))
    ends = [low + n for (low, _), n in zip(box, whole.shape, strict=True)]
    larger = [(low, end) for (low, _), end in zip(box, ends, strict=True)]
    padding = build.pad(read(view.source, whole), larger, longer, fill)
    zeros, ones = [0] * len(shape), [1] * len(shape)
    return build.extract_slice(padding, zeros, list(shape), ones)


def _volume(box: build.Box) -> int:
    return math.prod(max(high - low, 0) for low, high in box)


def lower_concat(concat: ConcatOp) -> ir.Value:
    shape = shape_of(concat.result)
    domains = [domain_of(d, shape) for d in ir.ArrayAttr(concat.domains)]
    boxes = [d.box(shape) for d in domains]
    with ir.InsertionPoint(concat), concat.location:
        known = [box for box in boxes if box is not None]
        if len(known) < len(boxes) or _is_chosen_from(concat, known):
            return _gather_pieces(concat, domains)
        axis = _joined_axis(known, shape)
        if axis is not None and all(n == 1 for n in shape[:axis]):
            return _join(concat, known, axis)
        return _insert(concat, known)


def _is_chosen_from(concat: ConcatOp, boxes: list[build.Box]) -> bool:
    """Whether one elementwise operation reads the concat, once, and looks for the pieces.

    A kernel that only waits for memory has time to choose from a few pieces; to store them
    first is a copy of each that no kernel computes. What a kernel computes it stores in place.
    Contractions and reductions load vectors.
    """
    found = readers(concat.result)
    nest = loop_nest(found[0]) if len(found) == 1 else None
    reads_elements = nest is not None and nest.is_elementwise and not nest.uses_index
    computed = sum(map(_is_computed, concat.sources, boxes))
    return reads_elements and (len(boxes) - computed) * _CHOICES >= len(boxes)


def _is_computed(source: ir.Value, box: build.Box) -> bool:
    """Whether an operation computes the part ``box`` of a concat's source, and no more."""
    view = _partial_view(source)
    root = source if view is None else view.source
    index_map = identity(shape_of(source)) if view is None else view_map(view)
    made = origin(root) if is_reshape(restrict(index_map, box), shape_of(root)) else None
    return made is not None and loop_nest(made) is not None


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
