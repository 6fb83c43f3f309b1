"""Where Resize reads along one axis, and with which weights.

In single precision, operation by operation as in ONNX Runtime: where a coordinate lies
exactly between two elements, the last bit decides which is nearer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from smartmem.parameters import Numbers

_ONE, _HALF = np.float32(1), np.float32(0.5)


@dataclass(frozen=True)
class Line:
    """An axis that is resized.

    Attributes:
        size: before.
        result: size behind it.
        scale: what coordinates are divided by.
        start: of the region of interest, as a part of the axis.
        end: likewise.
    """

    size: int
    result: int
    scale: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True)
class Taps:
    """What an axis is interpolated from.

    Attributes:
        places: result x count; elements of the axis.
        weights: result x count; add up to 1.
        inside: result; whether the coordinate lies on the axis.
    """

    places: Numbers
    weights: Numbers
    inside: Numbers


def taps(line: Line, mode: str, attribute: Callable[[str, Any], Any]) -> Taps:
    """The elements that each result is made of.

    Args:
        line: the axis.
        mode: nearest, linear or cubic.
        attribute: by name and default, the attributes of the operator.

    Raises:
        KeyError: an unknown mode.
    """
    transform = _COORDINATES[attribute("coordinate_transformation_mode", "half_pixel")]
    x = transform(line, np.arange(line.result, dtype=np.float32))
    inside = (x >= 0) & (x <= line.size - 1)
    if mode == "nearest":
        nearest = _ROUNDINGS[attribute("nearest_mode", "round_prefer_floor")](x)
        places = np.clip(nearest, 0, line.size - 1).astype(np.int64)[:, None]
        return Taps(places, np.ones(places.shape, np.float32), inside)
    places, weights = _filtered(x, line, mode, attribute)
    is_outside = (places < 0) | (places >= line.size)
    if attribute("exclude_outside", 0):
        weights = np.where(is_outside, 0, weights)
        weights = weights / weights.sum(axis=1, keepdims=True)
    return Taps(np.clip(places, 0, line.size - 1), weights.astype(np.float32), inside)


def _filtered(
    x: Numbers, line: Line, mode: str, attribute: Callable[[str, Any], Any]
) -> tuple[Numbers, Numbers]:
    """Elements around each coordinate, and the filter's values there.

    To avoid aliasing, the filter becomes as wide as the elements of the result are.
    """
    radius, shrink = {"linear": 1, "cubic": 2}[mode], 1.0
    if attribute("antialias", 0):
        shrink = min(line.scale, 1.0)
    first = int(np.floor(-radius / shrink)) + 1
    base = np.floor(x)
    steps = np.arange(first, 2 - first)
    distance = np.abs((steps - (x - base)[:, None]).astype(np.float64) * shrink)
    weights = (
        np.clip(1 - distance, 0, 1)
        if mode == "linear"
        else _cubic(distance, attribute("cubic_coeff_a", -0.75))
    )
    weights = weights / weights.sum(axis=1, keepdims=True)
    return base.astype(np.int64)[:, None] + steps, weights


def _cubic(x: Numbers, a: float) -> Numbers:
    """Keys' cubic convolution."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _asymmetric(line: Line, x: Numbers) -> Numbers:
    return x / np.float32(line.scale)


def _half_pixel(line: Line, x: Numbers) -> Numbers:
    return (x + _HALF) / np.float32(line.scale) - _HALF


def _pytorch_half_pixel(line: Line, x: Numbers) -> Numbers:
    return _half_pixel(line, x) if line.result > 1 else np.zeros_like(x)


def _tf_half_pixel(line: Line, x: Numbers) -> Numbers:
    return (x + _HALF) / np.float32(line.scale)


def _half_pixel_symmetric(line: Line, x: Numbers) -> Numbers:
    """The region that is left out by rounding the size is so on both sides."""
    whole = np.float32(line.scale) * np.float32(line.size)
    center = np.float32(line.size) / np.float32(2)
    offset = center * (_ONE - np.float32(line.result) / whole)
    return offset + _half_pixel(line, x)


def _align_corners(line: Line, x: Numbers) -> Numbers:
    if line.result == 1:
        return np.zeros_like(x)
    return x * np.float32(line.size - 1) / np.float32(line.result - 1)


def _crop_and_resize(line: Line, x: Numbers) -> Numbers:
    start, end, last = np.float32(line.start), np.float32(line.end), np.float32(line.size - 1)
    if line.result == 1:
        return np.full_like(x, _HALF * (start + end) * last)
    return start * last + x * (end - start) * last / np.float32(line.result - 1)


_COORDINATES: Mapping[str, Callable[[Line, Numbers], Numbers]] = {
    "align_corners": _align_corners,
    "asymmetric": _asymmetric,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "tf_crop_and_resize": _crop_and_resize,
    "tf_half_pixel_for_nn": _tf_half_pixel,
}

_ROUNDINGS: Mapping[str, Callable[[Numbers], Numbers]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x.astype(np.float64) + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x.astype(np.float64) - 0.5),
}
