"""Write GridSample as gathers, and AffineGrid as a product.

    GridSample(x, grid)      ->  sum of Gather(x, places) * weights
    AffineGrid(theta, size)  ->  Transpose(MatMul(theta, places)), places being constants

Over the elements around each point: one in mode nearest, 2 along each axis in mode linear, 4
in mode cubic. torch-mlir has nearest and linear, with padding of zeros alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_gathers import Arithmetic, Image
from smartmem.parameters import Array

Nodes = list[onnx.NodeProto]

_MODES = {
    "bilinear": "linear",
    "linear": "linear",
    "nearest": "nearest",
    "bicubic": "cubic",
    "cubic": "cubic",
}
_PADDINGS = ("zeros", "border", "reflection")
_CUBIC = -0.75
"""Of Keys' cubic convolution."""


def _grid_sample(expansion: Expansion) -> Nodes:
    source, grid = expansion.node.input
    mode = _MODES.get(expansion.attribute("mode", "linear"))
    if mode is None:
        raise expansion.unsupported(f"there is no mode {expansion.attribute('mode')!r}")
    if expansion.attribute("padding_mode", "zeros") not in _PADDINGS:
        padding = expansion.attribute("padding_mode")
        raise expansion.unsupported(f"there is no padding_mode {padding!r}")
    sampler = _Sampler(expansion, source, grid, mode)
    total = sampler.total()
    rank = len(expansion.shape(total))
    return expansion.finish(expansion.op("Transpose", total, perm=[1, 0, *range(2, rank)]))


class _Sampler:
    def __init__(self, expansion: Expansion, source: str, grid: str, mode: str) -> None:
        self._expansion, self._mode = expansion, mode
        self._padding = expansion.attribute("padding_mode", "zeros")
        self._aligned = bool(expansion.attribute("align_corners", 0))
        self._image = Image(expansion, source)
        self._do = Arithmetic(expansion)
        self._rank = len(expansion.shape(grid)) - 1
        self._numbers = self._image.numbers(self._rank)
        self._positions = [self._position(grid, axis) for axis in range(len(self._image.sizes))]

    def total(self) -> str:
        """The sum over the elements around each point: channels x images x points."""
        axes = [self._around(axis) for axis in range(len(self._positions))]
        parts = [self._part(chosen) for chosen in itertools.product(*axes)]
        total = parts[0]
        for part in parts[1:]:
            total = self._do("Add", total, part)
        return total

    def _part(self, chosen: Sequence[tuple[str, str | None]]) -> str:
        """The elements at one position along each axis, times the weights."""
        positions = [position for position, _ in chosen]
        if self._padding == "reflection":
            positions = [self._reflected(p, axis) for axis, p in enumerate(positions)]
        places = [self._image.place(p, axis) for axis, p in enumerate(positions)]
        value = self._image.at(places, self._numbers)
        if self._padding == "zeros":
            value = self._inside(value, positions)
        for _, weight in chosen:
            if weight is not None:
                value = self._do("Mul", value, weight)
        return value

    def _inside(self, value: str, positions: Sequence[str]) -> str:
        inside: str | None = None
        for position, size in zip(positions, self._image.sizes, strict=True):
            here = self._do.within(position, 0, size - 1)
            inside = here if inside is None else self._do("And", inside, here)
        zero = self._expansion.constant(0, self._expansion.dtype(value))
        return self._expansion.op("Where", inside or "", value, zero)

    def _position(self, grid: str, axis: int) -> str:
        """Along an axis of the image; the grid says from -1 to 1, the last axis first."""
        size = self._image.sizes[axis]
        number = self._expansion.constant(len(self._image.sizes) - 1 - axis)
        value = self._expansion.op("Gather", grid, number, axis=self._rank)
        value = self._do("Add", value, 1.0)
        if self._aligned:
            value = self._do("Mul", self._do("Div", value, 2.0), size - 1)
        else:
            value = self._do("Div", self._do("Sub", self._do("Mul", value, size), 1.0), 2.0)
        if self._mode == "nearest":
            value = self._expansion.op("Round", value)
        if self._padding == "border" and self._mode != "cubic":
            return self._do.clip(value, 0, size - 1)  # cubic: each element is clipped instead
        return self._reflected(value, axis) if self._padding == "reflection" else value

    def _reflected(self, value: str, axis: int) -> str:
        """Between the borders of the image, as in two mirrors."""
        size = self._image.sizes[axis]
        low, high = (0.0, size - 1.0) if self._aligned else (-0.5, size - 0.5)
        if high == low:
            return self._do.clip(value, low, high)
        away = self._do("Sub", value, low)
        turns = self._expansion.op("Floor", self._do("Div", away, 2 * (high - low)))
        away = self._do("Sub", away, self._do("Mul", turns, 2 * (high - low)))
        back = self._expansion.op("Neg", self._do("Sub", away, 2 * (high - low)))
        return self._do("Add", self._expansion.op("Min", away, back), low)

    def _around(self, axis: int) -> list[tuple[str, str | None]]:
        """The elements that a point takes along an axis, and their weights."""
        position = self._positions[axis]
        if self._mode == "nearest":
            return [(position, None)]
        low = self._expansion.op("Floor", position)
        part = self._do("Sub", position, low)
        if self._mode == "linear":
            rest = self._expansion.op("Neg", self._do("Sub", part, 1.0))
            return [(low, rest), (self._do("Add", low, 1.0), part)]
        return [(self._do("Add", low, step), self._cubic(part, step)) for step in (-1, 0, 1, 2)]

    def _cubic(self, part: str, step: int) -> str:
        """The weight of the element ``step`` behind the one in front of the point."""
        a = _CUBIC
        x = self._expansion.op("Abs", self._do("Sub", part, step))
        coefficients = (
            (a + 2, -(a + 3), 0.0, 1.0) if step in (0, 1) else (a, -5 * a, 8 * a, -4 * a)
        )
        value = self._do("Mul", x, coefficients[0])
        for coefficient in coefficients[1:-1]:
            value = self._do("Mul", self._do("Add", value, coefficient), x)
        return self._do("Add", value, coefficients[-1])


def _affine_grid(expansion: Expansion) -> Nodes:
    size, theta = expansion.known(1), expansion.node.input[0]
    assert size is not None  # not optional
    sizes = size.tolist()[2:]
    lines = [_from_minus_one(n, bool(expansion.attribute("align_corners", 0))) for n in sizes]
    # The last axis of an image is the first coordinate.
    places = [*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(sizes)]
    rows = np.stack([place.ravel() for place in places])
    value = expansion.op("MatMul", theta, expansion.constant(rows, expansion.dtype(theta)))
    value = expansion.op("Transpose", value, perm=[0, 2, 1])
    shape = expansion.constant([size.tolist()[0], *sizes, len(sizes)])
    return expansion.finish(expansion.op("Reshape", value, shape))


def _from_minus_one(size: int, aligned: bool) -> Array:
    """Coordinates of elements along an axis, from -1 to 1."""
    if not aligned:
        return (2 * np.arange(size) + 1) / size - 1
    return np.linspace(-1, 1, size) if size > 1 else np.zeros(1)


GRID_REWRITES: Mapping[str, Rewrite] = {
    "AffineGrid": _affine_grid,
    "GridSample": _grid_sample,
}
