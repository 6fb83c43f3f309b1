"""Write transposed convolutions as convolutions.

    ConvTranspose(x, w)  ->  Conv(x with zeros between its elements, w turned around)

torch-mlir transposes only without groups and with the same padding on both sides; such
convolutions stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from smartmem.frontend.onnx_convolutions import convolved, kernel_of
from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_windows import Window, numbers, strides_dilations_pads

Nodes = list[onnx.NodeProto]


@dataclass(frozen=True)
class _Axis:
    """A transposed convolution along one axis.

    Attributes:
        before: results that are left out in front; below 0 where there are zeros instead.
        after: likewise behind.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def margins(self) -> tuple[int, int]:
        """Zeros around the operand, which stands apart by the stride; below 0: to cut."""
        around = (self.kernel - 1) * self.dilation
        return around - self.before, around - self.after


def _transposed(expansion: Expansion) -> Nodes | None:
    source, weight = expansion.node.input[:2]
    axes = _transposed_axes(expansion)
    group = expansion.attribute("group", 1)
    if group == 1 and _is_canonical(expansion, axes):
        return None
    value = _with_zeros_between(expansion, source, axes)
    value = _with_margins(expansion, value, axes)
    turned = _turned(expansion, weight, group)
    sizes = expansion.shape(value)[2:]
    windows = [
        Window(n, a.kernel, 1, a.dilation, 0, 0, n - (a.kernel - 1) * a.dilation)
        for n, a in zip(sizes, axes, strict=True)
    ]
    bias = expansion.node.input[2:]
    return expansion.finish(convolved(expansion, value, turned, bias, windows, group))


def _transposed_axes(expansion: Expansion) -> list[_Axis]:
    source, weight = expansion.node.input[:2]
    sizes, kernel = expansion.shape(source)[2:], kernel_of(expansion, weight)
    strides, dilations, pads = strides_dilations_pads(expansion, len(sizes))
    more = numbers(expansion, "output_padding", [0] * len(sizes), 0)
    results = expansion.shape(expansion.node.output[0])[2:]
    is_given_size = _is_given_size(expansion)
    axes = []
    for d, size in enumerate(sizes):
        before, after = pads[d], pads[d + len(sizes)] - more[d]
        if is_given_size:
            whole = (size - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1
            before, after = _split(expansion, whole + more[d] - results[d], more[d])
        axes.append(_Axis(size, kernel[d], strides[d], dilations[d], before, after))
    return axes


def _is_given_size(expansion: Expansion) -> bool:
    """Whether the size of the result is given, and padding has to lead to it."""
    auto_pad = expansion.attribute("auto_pad", "NOTSET")
    return bool(expansion.attribute("output_shape")) or auto_pad.startswith("SAME")


def _split(expansion: Expansion, total: int, more: int) -> tuple[int, int]:
    """Padding on both sides: the larger half behind in mode SAME_UPPER, else in front."""
    padding = max(0, total)
    low = padding // 2
    is_upper = expansion.attribute("auto_pad", "NOTSET") == "SAME_UPPER"
    before = low if is_upper else padding - low
    return before, total - before - more


def _is_canonical(expansion: Expansion, axes: Sequence[_Axis]) -> bool:
    pads = expansion.attribute("pads", [0] * 2 * len(axes))
    more = expansion.attribute("output_padding", [0] * len(axes))
    return (
        expansion.attribute("auto_pad", "NOTSET") in ("", "NOTSET")
        and not expansion.attribute("output_shape")
        and list(pads[: len(axes)]) == list(pads[len(axes) :])
        and all(m < a.stride for m, a in zip(more, axes, strict=True))
    )


def _with_zeros_between(expansion: Expansion, value: str, axes: Sequence[_Axis]) -> str:
    """Elements apart by the strides; zeros behind the last stay."""
    if all(axis.stride == 1 for axis in axes):
        return value
    n, c, *_ = expansion.shape(value)
    split = [n, c, *(size for axis in axes for size in (axis.size, 1))]
    value = expansion.op("Reshape", value, expansion.constant(split))
    zeros = [0, 0, *(size for axis in axes for size in (0, axis.stride - 1))]
    value = expansion.op("Pad", value, expansion.constant([0] * len(zeros) + zeros))
    joined = [n, c, *(axis.size * axis.stride for axis in axes)]
    return expansion.op("Reshape", value, expansion.constant(joined))


def _with_margins(expansion: Expansion, value: str, axes: Sequence[_Axis]) -> str:
    # Behind the last element lie the zeros that keep elements apart.
    margins = [(a.margins[0], a.margins[1] - (a.stride - 1)) for a in axes]
    if any(min(pair) < 0 for pair in margins):
        starts = [max(0, -low) for low, _ in margins]
        ends = [
            a.size * a.stride - max(0, -high)
            for a, (_, high) in zip(axes, margins, strict=True)
        ]
        places = expansion.constant(range(2, 2 + len(axes)))
        limits = expansion.constant(starts), expansion.constant(ends)
        value = expansion.op("Slice", value, *limits, places)
    lows = [0, 0, *(max(0, low) for low, _ in margins)]
    highs = [0, 0, *(max(0, high) for _, high in margins)]
    if not any((*lows, *highs)):
        return value
    return expansion.op("Pad", value, expansion.constant([*lows, *highs]))


def _turned(expansion: Expansion, weight: str, group: int) -> str:
    """Weights of the convolution that computes the transpose of another's."""
    inner, features, *kernel = expansion.shape(weight)
    for axis, size in enumerate(kernel, 2):
        if size > 1:
            backwards = expansion.constant(np.arange(size)[::-1])
            weight = expansion.op("Gather", weight, backwards, axis=axis)
    split = expansion.constant([group, inner // group, features, *kernel])
    weight = expansion.op("Reshape", weight, split)
    weight = expansion.op("Transpose", weight, perm=[0, 2, 1, *range(3, 3 + len(kernel))])
    joined = expansion.constant([group * features, inner // group, *kernel])
    return expansion.op("Reshape", weight, joined)


TRANSPOSED_REWRITES: Mapping[str, Rewrite] = {"ConvTranspose": _transposed}
