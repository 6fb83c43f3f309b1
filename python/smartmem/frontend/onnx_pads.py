"""Write padding with elements of the operand as gathers, and cutting as Slice.

    Pad(x, mode="wrap")        ->  Gather(x, indices), for each padded axis
    Pad(x, pads below 0)       ->  Pad(Slice(x))

So are reflect and edge where torch-mlir has no padding of these axes: it pads the last one
or two of up to four. In mode wrap it never comes to an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.parameters import Array

_NATIVE_RANK, _NATIVE_AXES = 4, 2
"""Padding that torch-mlir has: so many dims at most, so many of the last of them padded."""


def _pad(expansion: Expansion) -> list[onnx.NodeProto] | None:
    value = expansion.node.input[0]
    mode = expansion.attribute("mode", "constant")
    sides = _sides(expansion)
    negative = any(min(pair) < 0 for pair in sides.values())
    if not negative and (mode == "constant" or _is_native(expansion, mode, sides)):
        return None
    if negative:
        value = _cut(expansion, value, sides)
    added = {axis: (max(0, low), max(0, high)) for axis, (low, high) in sides.items()}
    if mode == "constant":
        return expansion.finish(_filled(expansion, value, added))
    for axis, pair in added.items():
        if any(pair):
            indices = _indices(expansion, expansion.shape(value)[axis], pair, mode)
            value = expansion.op("Gather", value, expansion.constant(indices), axis=axis)
    return expansion.finish(value)


def _sides(expansion: Expansion) -> dict[int, tuple[int, int]]:
    """Elements to add in front of each axis and behind it."""
    rank = len(expansion.shape(expansion.node.input[0]))
    pads, axes = expansion.known(1), expansion.known(3)
    assert pads is not None  # not optional
    named = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    lows, highs = pads.reshape(2, -1).tolist()
    return dict(zip(named, zip(lows, highs, strict=True), strict=True))


def _is_native(expansion: Expansion, mode: str, sides: Mapping[int, tuple[int, int]]) -> bool:
    shape = expansion.shape(expansion.node.input[0])
    padded = [axis for axis, pair in sides.items() if any(pair)]
    return (
        mode != "wrap"
        and 3 <= len(shape) <= _NATIVE_RANK
        and all(axis >= len(shape) - _NATIVE_AXES for axis in padded)
        and all(max(sides[axis]) < shape[axis] for axis in padded)
    )


def _cut(expansion: Expansion, value: str, sides: Mapping[int, tuple[int, int]]) -> str:
    shape = expansion.shape(value)
    axes = [axis for axis, pair in sides.items() if min(pair) < 0]
    starts = [max(0, -sides[axis][0]) for axis in axes]
    ends = [shape[axis] + min(0, sides[axis][1]) for axis in axes]
    return expansion.op("Slice", value, *map(expansion.constant, (starts, ends, axes)))


def _filled(expansion: Expansion, value: str, sides: Mapping[int, tuple[int, int]]) -> str:
    pairs = [sides.get(axis, (0, 0)) for axis in range(len(expansion.shape(value)))]
    if not any(map(any, pairs)):
        return value
    pads = expansion.constant([*(low for low, _ in pairs), *(high for _, high in pairs)])
    fill = expansion.operand(2)
    return expansion.op("Pad", value, pads, *([fill] if fill else []))


def _indices(expansion: Expansion, size: int, pair: tuple[int, int], mode: str) -> Array:
    """From where the elements along one axis come."""
    kind: Any = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}.get(mode)
    if kind is None:
        raise expansion.unsupported(f"there is no mode {mode!r}")
    if size == 0:
        raise expansion.unsupported("there are no elements to pad with; use mode constant")
    return np.asarray(np.pad(np.arange(size), pair, mode=kind))


PAD_REWRITES: Mapping[str, Rewrite] = {"Pad": _pad}
