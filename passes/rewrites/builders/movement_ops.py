"""Build ``smartmem.view`` and ``smartmem.concat`` from pieces."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.dialect import concat, view
from smartmem.index_map import Domain
from smartmem.index_map.affine import to_affine_map
from smartmem.passes.analysis.ir.movement import Movement, Piece


def replace_with_movement(op: ir.Operation, found: Movement) -> None:
    """Replaces ``op`` by what it moves, and erases it."""
    result = op.results[0]
    with ir.InsertionPoint(op), op.location:
        new = build_movement(found.pieces, found.fill, result.type)
    result.replace_all_uses_with(new)
    op.erase()


def build_movement(
    pieces: Sequence[Piece],
    fill: ir.Value | ir.Attribute | None,
    type_: ir.RankedTensorType,
) -> ir.Value:
    """The value of type ``type_`` made of ``pieces``, at the current insertion point."""
    views = [_view(p, fill, type_) for p in pieces]
    if len(views) == 1:
        return views[0]
    return concat(views, [_domain(p.domain, type_) for p in pieces], type_)


def _view(
    piece: Piece, fill: ir.Value | ir.Attribute | None, type_: ir.RankedTensorType
) -> ir.Value:
    covers = fill is None or not piece.domain.constraints
    if covers and piece.index_map.is_identity and piece.source.type == type_:
        return piece.source  # the untouched rest of an insert_slice, or a copy
    map_ = piece.index_map.to_affine(type_.context)
    domain = _domain(piece.domain, type_) if piece.domain.constraints else None
    scalar = None if fill is None or domain is None else _scalar(fill)
    return view(piece.source, map_, type_, domain, scalar)


def _domain(domain: Domain, type_: ir.RankedTensorType) -> ir.AffineMap:
    return to_affine_map(domain.constraints, len(type_.shape), type_.context)


def _scalar(fill: ir.Value | ir.Attribute) -> ir.Value:
    if isinstance(fill, ir.Value):
        return fill
    op = ir.Operation.create("arith.constant", [fill.type], [], {"value": fill})
    return op.results[0]
