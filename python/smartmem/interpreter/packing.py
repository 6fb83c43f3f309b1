"""``linalg.pack`` and ``linalg.unpack``: tiles of some dims become dims of their own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from torch_mlir import ir

from smartmem.interpreter.attributes import integers, numbers
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.values import Array, element_type, undefined


@evaluates("linalg.pack", "tensor.pack")
def _pack(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    """Tiles become inner dims; what a tile lacks is the padding value."""
    source, dest = operands[:2]
    segments = ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"])
    padding = operands[2] if segments[2] else None
    tiles = numbers(op, "static_inner_tiles", iter(operands[2 + segments[2] :]))
    dims = integers(op, "inner_dims_pos")
    tiled = dict(zip(dims, tiles, strict=True))
    widths = [(0, -n % tiled.get(d, 1)) for d, n in enumerate(source.shape)]
    fill = undefined((), element_type(op.results[0].type)) if padding is None else padding
    if any(high for _, high in widths):
        source = np.pad(source, widths, constant_values=fill)
    split = [
        size
        for d, n in enumerate(source.shape)
        for size in ((n // tiled[d], tiled[d]) if d in tiled else (n,))
    ]
    outer, inner = _split_places(source.ndim, tiled)
    order = [*(outer[d] for d in _outer_order(op, source.ndim)), *(inner[d] for d in dims)]
    return [source.reshape(split).transpose(order).reshape(dest.shape)]


@evaluates("linalg.unpack", "tensor.unpack")
def _unpack(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    """The opposite of a pack: tiles go back to where they came from, padding is cut off."""
    source, dest = operands[:2]
    dims, rank = integers(op, "inner_dims_pos"), dest.ndim
    outer, inner = _split_places(rank, dict.fromkeys(dims, 0))
    order = [*(outer[d] for d in _outer_order(op, rank)), *(inner[d] for d in dims)]
    split = source.transpose(np.argsort(order))
    sizes = iter(split.shape)
    shape = [next(sizes) * (next(sizes) if d in dims else 1) for d in range(rank)]
    return [split.reshape(shape)[tuple(slice(0, n) for n in dest.shape)]]


def _split_places(rank: int, tiled: dict[int, int]) -> tuple[dict[int, int], dict[int, int]]:
    """Where each dim's tiles, and their elements, are once the tiled dims are split."""
    places = itertools.count()
    outer: dict[int, int] = {}
    inner: dict[int, int] = {}
    for dim in range(rank):
        outer[dim] = next(places)
        if dim in tiled:
            inner[dim] = next(places)
    return outer, inner


def _outer_order(op: ir.Operation, rank: int) -> list[int]:
    name = "outer_dims_perm"
    return (integers(op, name) if name in op.attributes else []) or list(range(rank))
