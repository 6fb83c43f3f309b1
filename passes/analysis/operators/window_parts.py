"""Which steps of a convolution's window read more than padding, and which become a loop.

A window becomes a sum of one slice of the image for each of its steps, which kernels read as
vectors. Two kinds of windows are made smaller before:

- steps that read padding alone add nothing: of 3 x 3 steps dilated by 24, eight of nine lie
  outside of an image of 16 x 16;
- of a window of more steps than kernels have slices, an outer part becomes a loop over parts
  of the image that are laid side by side (im2col of that part alone).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.index_map import Dim, Expr
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.operators.product_sums import products_of
from smartmem.passes.analysis.operators.sliding_windows import (
    IMAGE,
    MOST_STEPS,
    WEIGHTS,
    Windows,
    loops_of,
)
from smartmem.passes.analysis.scalars.constant_values import constant_value

_FEWEST_PRODUCTS = 4
"""For each element that is laid side by side; fewer cost less than to move it."""


@dataclass(frozen=True)
class Axis:
    """A dim of the image: ``image * stride + window * dilation``.

    Attributes:
        dim: of the image.
        image, window: the loops.
    """

    dim: int
    image: int
    window: int
    stride: int
    dilation: int

    def reads(self, found: Windows, steps: int) -> int:
        """The extent of the image dim that so many steps of the window read."""
        return self.stride * (found.domain[self.image] - 1) + self.dilation * (steps - 1) + 1


@dataclass(frozen=True)
class Parts:
    """A window taken in parts.

    Attributes:
        steps: of each axis whose window is taken in parts, how many a part has; they divide
            the window.
    """

    steps: dict[Axis, int]

    def __str__(self) -> str:
        parts = " x ".join(str(n) for n in self.steps.values())
        return f"its window in parts of {parts} steps, which are laid side by side"


def axes_of(found: Windows) -> list[Axis]:
    """The dims of the image along which a window slides."""
    axes = []
    for d, expr in enumerate(found.accesses[IMAGE].exprs):
        factors = {a.index: f for a, f in expr.terms if isinstance(a, Dim)}
        loops = loops_of(expr)
        window = [loop for loop in loops if loop in found.roles["window"]]
        image = [loop for loop in loops if loop in found.roles["image"]]
        if len(window) == len(image) == 1:
            axes.append(Axis(d, image[0], window[0], factors[image[0]], factors[window[0]]))
    return axes


def steps_within(found: Windows, parameters: Parameters) -> dict[Axis, tuple[int, int]]:
    """The steps of each axis, ``[first, end)``, that read more than zeros around the image.

    Axes of which all steps do are left out. All are if the weights are not known to be
    finite: a product with zero is NaN then.
    """
    if not _sums_products(found):
        return {}
    read = reading(found.op.operands[IMAGE])
    if len(read.pieces) != 1 or read.fill is None or not is_zero(read.fill):
        return {}
    box = read.pieces[0].domain.box(read.shape)
    if box is None or any(low >= high for low, high in box):
        return {}
    needed = {axis: _steps_inside(found, axis, *box[axis.dim]) for axis in axes_of(found)}
    fewer = {a: s for a, s in needed.items() if s != (0, found.domain[a.window])}
    if not fewer or any(first >= end for first, end in fewer.values()):
        return {}
    weights = constant_value(found.op.operands[WEIGHTS], parameters)
    return fewer if weights is not None and bool(np.isfinite(weights).all()) else {}


def window_parts(found: Windows) -> Parts | Refusal | None:
    """How the window is taken in parts of few steps; None if it has few."""
    if found.extent("window") <= MOST_STEPS or not _sums_products(found):
        return None
    axes = axes_of(found)
    if len(axes) < len(found.roles["window"]):
        return Refusal("its window is not one of an image alone")
    candidates = [dict(zip(axes, steps, strict=True)) for steps in _divisors(found, axes)]
    sizes = [(_side_by_side(found, steps), steps) for steps in candidates]
    size, best = min(sizes, key=lambda sized: sized[0])
    if math.prod(found.domain) < _FEWEST_PRODUCTS * size:
        return Refusal(
            f"to lay a window of {found.extent('window')} steps side by side is as much work"
        )
    return Parts({a: n for a, n in best.items() if n < found.domain[a.window]})


def _divisors(found: Windows, axes: list[Axis]) -> Iterator[tuple[int, ...]]:
    """The steps of a part, for each axis: at most ``MOST_STEPS`` together."""
    extents = [found.domain[axis.window] for axis in axes]
    each = [[n for n in range(1, extent + 1) if extent % n == 0] for extent in extents]
    return (steps for steps in itertools.product(*each) if math.prod(steps) <= MOST_STEPS)


def _side_by_side(found: Windows, steps: dict[Axis, int]) -> int:
    """Elements of all parts of the image."""
    sizes = list(shape_of(found.op.operands[IMAGE]))
    for axis, n in steps.items():
        sizes[axis.dim] = axis.reads(found, n) * (found.domain[axis.window] // n)
    return math.prod(sizes)


def _steps_inside(found: Windows, axis: Axis, low: int, high: int) -> tuple[int, int]:
    """The first step whose last place is not before the image, and the end of those not behind."""
    steps = range(found.domain[axis.window])
    last = axis.stride * (found.domain[axis.image] - 1)
    inside = [k for k in steps if k * axis.dilation + last >= low and k * axis.dilation < high]
    return (inside[0], inside[-1] + 1) if inside else (0, 0)


def _sums_products(found: Windows) -> bool:
    """Whether each step adds a product with a weight: not so poolings."""
    if found.op.name == "linalg.generic":
        return bool(products_of(found.op))
    return any(loops_of(e)[0] not in found.roles["window"] for e in _weights(found))


def _weights(found: Windows) -> tuple[Expr, ...]:
    return found.accesses[WEIGHTS].exprs


def is_zero(scalar: ir.Value) -> bool:
    """Whether ``scalar`` is a constant zero."""
    if isinstance(scalar.owner, ir.Block) or scalar.owner.name != "arith.constant":
        return False
    return bool(getattr(scalar.owner.attributes["value"], "value", None) == 0)
