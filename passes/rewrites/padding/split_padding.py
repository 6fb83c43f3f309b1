"""Let a contraction run over the dims in which its result is padded."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.elimination.padded_reshape import PaddedReshape
from smartmem.passes.analysis.ir.chains import is_whole_view, users
from smartmem.passes.analysis.ir.movement import Piece, domain_of, shape_of, view_map
from smartmem.passes.rewrites.builders.movement_ops import build_movement
from smartmem.passes.rewrites.builders.read_elements import extracts, read_element
from smartmem.passes.rewrites.loops.split_loops import view_as, write_through


def split_padding(view: ir.Operation, found: PaddedReshape) -> None:
    """Replaces ``view`` by a padding of the middle, which its operation writes as it is."""
    domain = domain_of(view.attributes["domain"], shape_of(view.results[0]))
    fill = view.operands[1] if len(view.operands) > 1 else None
    with ir.InsertionPoint(view), view.location:
        middle = view_as(view.operands[0], found.reshape)
        piece = Piece(middle, found.pad, domain)
        padded = build_movement([piece], fill, view.results[0].type)
    view.results[0].replace_all_uses_with(padded)
    view.erase()
    write_through(found.write.access, middle.owner.operation)
    for back in filter(is_whole_view, users(padded.owner.operands[0])):
        for extract in extracts(back.results[0]):
            read_element(extract, back.operands[0], view_map(back))
