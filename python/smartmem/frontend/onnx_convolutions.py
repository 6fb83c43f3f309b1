"""Write convolutions as those that torch-mlir and IREE get right.

Conv(x, w, auto_pad)       ->  Conv(x, w, pads)
Conv(x, w, group) over 3D  ->  Conv over 2D, the windows of depth being channels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_windows import Window, windows_of

Nodes = list[onnx.NodeProto]


def _convolution(expansion: Expansion) -> Nodes | None:
    source, weight, *bias = expansion.node.input
    rank = len(expansion.shape(source)) - 2
    windows = windows_of(expansion, kernel_of(expansion, weight), list(range(2, rank + 2)))
    group = expansion.attribute("group", 1)
    is_explicit = expansion.attribute("auto_pad", "NOTSET") in ("", "NOTSET")
    if is_explicit and not (rank == 3 and group > 1):
        return None
    return expansion.finish(convolved(expansion, source, weight, bias, windows, group))


def convolved(
    expansion: Expansion,
    value: str,
    weight: str,
    bias: Sequence[str],
    windows: Sequence[Window],
    group: int,
) -> str:
    """The convolution of a value with these windows; ``bias`` holds at most one name."""
    if len(windows) == 3 and group > 1:
        return _over_planes(expansion, value, weight, bias, windows, group)
    return expansion.op(
        "Conv",
        value,
        weight,
        *bias,
        group=group,
        pads=[*(w.before for w in windows), *(w.after for w in windows)],
        strides=[w.stride for w in windows],
        dilations=[w.dilation for w in windows],
    )


def kernel_of(expansion: Expansion, weight: str) -> list[int]:
    """The elements of a window along each axis.

    Raises:
        InvalidInputError: the attribute says otherwise than the weights.
    """
    kernel = list(expansion.shape(weight)[2:])
    given = list(expansion.attribute("kernel_shape", kernel))
    if given != kernel:
        raise expansion.invalid(f"kernel_shape is {given}, and the weights are of {kernel}")
    return kernel


def _over_planes(
    expansion: Expansion,
    value: str,
    weight: str,
    bias: Sequence[str],
    windows: Sequence[Window],
    group: int,
) -> str:
    """A convolution over planes, whose channels are those of the windows of depth."""
    n, c, _, *plane = expansion.shape(value)
    depth, *rest = windows
    pads = [0, 0, depth.before, 0, 0, 0, 0, max(0, depth.reach), 0, 0]
    if any(pads):
        value = expansion.op("Pad", value, expansion.constant(pads))
    places = expansion.constant(depth.positions() + depth.before)
    value = expansion.op("Gather", value, places, axis=2)
    value = expansion.op("Transpose", value, perm=[0, 2, 1, 3, 4, 5])
    flat = expansion.constant([n * depth.count, c * depth.kernel, *plane])
    value = expansion.op("Reshape", value, flat)
    features, inner, _, *kernel = expansion.shape(weight)
    flat = expansion.constant([features, inner * depth.kernel, *kernel])
    weight = expansion.op("Reshape", weight, flat)
    value = convolved(expansion, value, weight, bias, rest, group)
    stack = expansion.constant([n, depth.count, *expansion.shape(value)[1:]])
    value = expansion.op("Reshape", value, stack)
    return expansion.op("Transpose", value, perm=[0, 2, 1, 3, 4])


CONVOLUTION_REWRITES: Mapping[str, Rewrite] = {"Conv": _convolution}
