"""Build a padding of a view: what computes the view's source can write both."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.index_map import (
    IndexMap,
    Shape,
    box_domain,
    compose,
    divisions,
    extract_slice,
    reshape,
)
from smartmem.passes.analysis.ir.movement import Piece
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.movement_ops import build_movement
from smartmem.passes.rewrites.loops.split_loops import reshaped


def padded_view(
    source: ir.Value, index_map: IndexMap, box: build.Box, shape: Shape, fill: ir.Value
) -> ir.Value:
    """``source`` read through ``index_map`` in ``box`` of a tensor of ``shape``, else ``fill``.

    Neighbouring dims that are not padded are one dim to the padding.
    """
    index_map, box, merged = _merged(index_map, box, shape)
    part = build.tensor_type(source, index_map.shape)
    viewed = build_movement([Piece(source, index_map)], None, part)
    back = extract_slice([-low for low, _ in box], list(merged), [1] * len(merged))
    piece = Piece(viewed, back, box_domain(box, merged))
    padded = build_movement([piece], fill, build.tensor_type(source, merged))
    return reshaped(padded, shape)


def _merged(
    index_map: IndexMap, box: build.Box, shape: Shape
) -> tuple[IndexMap, build.Box, Shape]:
    """The same with those neighbouring dims merged that are not padded and lie together."""
    for d in range(len(shape) - 1):
        if any(box[k] != (0, shape[k]) or shape[k] == 1 for k in (d, d + 1)):
            continue
        joined = (*index_map.shape[:d], shape[d] * shape[d + 1], *index_map.shape[d + 2 :])
        through = compose(reshape(index_map.shape, joined), index_map)
        if divisions(through) <= divisions(index_map):
            padded = (*shape[:d], shape[d] * shape[d + 1], *shape[d + 2 :])
            whole = (0, padded[d])
            return _merged(through, [*box[:d], whole, *box[d + 2 :]], padded)
    return index_map, box, shape
