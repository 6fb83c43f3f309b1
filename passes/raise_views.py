"""Turn every data movement into ``smartmem.view`` or ``smartmem.concat``.

Rewrites:
  tensor.expand_shape, collapse_shape, reshape      ->  smartmem.view
  tensor.extract_slice, linalg.transpose, broadcast ->  smartmem.view
  tensor.pad, insert_slice into a constant          ->  smartmem.view with a fill value
  tensor.concat, insert_slice                       ->  smartmem.concat
  linalg.pack, unpack, copy                         ->  smartmem.view
  linalg.generic that only moves (broadcast, flip,
    roll, gather at constant quasi-affine indices)  ->  smartmem.view or concat

  %t = linalg.transpose ins(%x : tensor<4x8xf32>) ... permutation = [1, 0]
    ->
  %t = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}

Keeps, with a remark: dynamic shapes, padding with a computed value, gathers at
indices known at run time only or without a quasi-affine form.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import concat, view
from smartmem.index_map import Domain
from smartmem.index_map.affine import to_affine_map
from smartmem.passes.analysis.movement import Movement, Piece, Refusal
from smartmem.passes.analysis.movements import movement
from smartmem.passes.base import Pass, PassContext, operations


@dataclass(frozen=True)
class RaiseViews(Pass):
    """Turns every data movement into a view or a concat with index maps."""

    argument = "smartmem-raise-views"
    summary = "Turn every data movement into smartmem.view or smartmem.concat"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rewrites each recognized movement; what it keeps gets a remark."""
        for op in operations(module):
            outcome = movement(op, context.parameters)
            if isinstance(outcome, Refusal):
                context.remark(self.argument, op, False, outcome.reason)
            elif outcome is not None:
                _replace(op, outcome)


def _replace(op: ir.Operation, found: Movement) -> None:
    result = op.results[0]
    with ir.InsertionPoint(op), op.location:
        views = [_view(p, found.fill, result.type) for p in found.pieces]
        new = views[0]
        if len(views) > 1:
            domains = [_domain(p.domain, result.type) for p in found.pieces]
            new = concat(views, domains, result.type)
    result.replace_all_uses_with(new)
    op.erase()


def _view(
    piece: Piece, fill: ir.Value | ir.Attribute | None, type_: ir.RankedTensorType
) -> ir.Value:
    if piece.index_map.is_identity and piece.source.type == type_:
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
    return ir.Operation.create(
        "arith.constant", results=[fill.type], attributes={"value": fill}
    ).result
