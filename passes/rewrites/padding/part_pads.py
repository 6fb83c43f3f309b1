"""Let an operation of its own pad what is padded with another number already.

iree-compile 3.13 puts an elementwise operation and all paddings behind it into one kernel. It
fails where these pad with different numbers: it stores outside the kernel's loops.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.fusion.padded_writes import constant_fill
from smartmem.passes.analysis.ir.movement import Movement
from smartmem.passes.analysis.raising.data_movements import movement
from smartmem.passes.rewrites.builders.read_through import GatherPiece, gather

_PAD = "tensor.pad"


def part_pads(pad: ir.Operation, parameters: Parameters) -> None:
    """Computes ``pad`` element by element if it reads a padding with another constant."""
    if pad.name != _PAD or isinstance(pad.operands[0].owner, ir.Block):
        return
    inner, fill = pad.operands[0].owner.operation, constant_fill(pad)
    if inner.name != _PAD or fill is None or constant_fill(inner) == fill:
        return
    moved = movement(pad, parameters)
    if not isinstance(moved, Movement):
        return
    pieces = [GatherPiece(p.source, p.index_map, p.domain) for p in moved.pieces]
    with ir.InsertionPoint(pad), pad.location:
        padded = gather(pieces, fill, pad.results[0].type)
    pad.results[0].replace_all_uses_with(padded)
    pad.erase()
