"""Tile sizes as an attribute of the operation that they are for.

``compilation_info`` says the same to iree-compile, in dialects that this build of MLIR does not
have. Passes and tuning read this attribute.

  linalg.generic ... attrs = {smartmem.tiles = {
      workgroup = array<i64: 1, 64, 64, 0>, thread = array<i64: 1, 16, 4, 0>,
      reduction = array<i64: 0, 0, 0, 4>, threads = array<i64: 16, 4, 1>}}
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from torch_mlir import ir

from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles
from smartmem.passes.analysis.tiling.tiles import Tiles

TILES = "smartmem.tiles"


def write_tiles(op: ir.Operation, tiles: Tiles) -> None:
    """Notes the tile sizes of ``op``, if others can be measured: not those of a GPU's rows."""
    if not isinstance(tiles, TileSizes | GpuTiles):
        return
    values = {field.name: getattr(tiles, field.name) for field in fields(tiles)}
    op.attributes[TILES] = ir.DictAttr.get(
        {name: _attribute(value, op.context) for name, value in values.items()}, op.context
    )


def read_tiles(op: ir.Operation) -> TileSizes | GpuTiles | None:
    """The tile sizes that were noted; None: there are none, or they have another form."""
    if TILES not in op.attributes:
        return None
    values = ir.DictAttr(op.attributes[TILES])
    found: dict[str, Any] = {named.name: _value(named.attr) for named in values}
    for form in (TileSizes, GpuTiles):
        if found.keys() == {field.name for field in fields(form)}:
            return form(**found)
    return None


def _attribute(value: bool | tuple[int, ...], context: ir.Context) -> ir.Attribute:
    if isinstance(value, bool):
        return ir.BoolAttr.get(value, context)
    return ir.DenseI64ArrayAttr.get(list(value), context)


def _value(attribute: ir.Attribute) -> bool | tuple[int, ...]:
    if isinstance(attribute, ir.BoolAttr):
        return bool(attribute.value)
    return tuple(ir.DenseI64ArrayAttr(attribute))
