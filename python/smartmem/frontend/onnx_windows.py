"""What a window reads along each axis: kernel, stride, dilation and padding of an operator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smartmem.frontend.onnx_expansion import Expansion
from smartmem.parameters import Numbers


@dataclass(frozen=True)
class Window:
    """The windows along one axis.

    Attributes:
        size: elements along the axis.
        kernel: elements that a window reads.
        stride: from one window to the next.
        dilation: from one element of a window to the next.
        before: padding in front.
        after: padding behind, as the operator counts it.
        count: windows; the last may reach over ``after``.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    count: int

    @property
    def extent(self) -> int:
        """From the first element that a window reads to behind its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def reach(self) -> int:
        """Padding behind that the last window reaches; negative where elements are left."""
        return (self.count - 1) * self.stride + self.extent - self.size - self.before

    def positions(self) -> Numbers:
        """Where elements of windows lie on the axis, below 0 in the padding: count x kernel."""
        starts = np.arange(self.count) * self.stride - self.before
        return starts[:, None] + np.arange(self.kernel) * self.dilation


def windows_of(expansion: Expansion, kernel: list[int], axes: list[int]) -> list[Window]:
    """The windows of a pooling operator or a convolution.

    Args:
        expansion: of the node, whose first operand they read, and whose first result has an
            element for each window.
        kernel: elements along each axis.
        axes: of the operand.

    Raises:
        InvalidInputError: an attribute has not one number for each axis, or a number that
            cannot be.
    """
    sizes = expansion.shape(expansion.operand(0) or "")
    counts = expansion.shape(next(filter(None, expansion.node.output)))
    strides, dilations, pads = strides_dilations_pads(expansion, len(axes))
    found = []
    for place, axis in enumerate(axes):
        window = Window(
            sizes[axis],
            kernel[place],
            strides[place],
            dilations[place],
            pads[place],
            pads[place + len(axes)],
            counts[axis],
        )
        found.append(_padded(window, expansion.attribute("auto_pad", "NOTSET")))
    return found


def strides_dilations_pads(expansion: Expansion, rank: int) -> tuple[list[int], ...]:
    """The attributes of these names for ``rank`` axes; pads in front of all, then behind.

    Raises:
        InvalidInputError: as ``windows_of``.
    """
    ones, zeros = [1] * rank, [0] * 2 * rank
    return (
        numbers(expansion, "strides", ones, 1),
        numbers(expansion, "dilations", ones, 1),
        numbers(expansion, "pads", zeros, 0),
    )


def numbers(expansion: Expansion, name: str, default: list[int], least: int) -> list[int]:
    """An attribute of as many numbers as ``default``, none below ``least``."""
    found = list(expansion.attribute(name, default) or default)
    if len(found) != len(default):
        raise expansion.invalid(f"{name} has {len(found)} numbers, not {len(default)}")
    if min(found, default=least) < least:
        raise expansion.invalid(f"{name} holds {min(found)}; the least is {least}")
    return found


def _padded(window: Window, auto_pad: str) -> Window:
    """With the padding that makes results as large as operands, if the operator asks for it."""
    if auto_pad in ("", "NOTSET"):
        return window
    fields = {**vars(window), "before": 0, "after": 0}
    if auto_pad == "VALID":
        return Window(**fields)
    total = max(0, Window(**fields).reach)
    before = total // 2 if auto_pad == "SAME_UPPER" else math.ceil(total / 2)
    return Window(**{**fields, "before": before, "after": total - before})
