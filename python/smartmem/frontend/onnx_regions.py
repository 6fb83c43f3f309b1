"""Write pooling over regions of interest as gathers and reductions.

    RoiAlign(x, rois, batch)  ->  ReduceMean of samples between elements
    MaxRoiPool(x, rois)       ->  ReduceMax of the elements inside of each bin

How many samples RoiAlign takes must not depend on the regions: ``sampling_ratio`` says how
many, or the regions are constants of one such number.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_gathers import Arithmetic, Image

Nodes = list[onnx.NodeProto]


def _roi_align(expansion: Expansion) -> Nodes:
    source, regions, batch = expansion.node.input
    do, image = Arithmetic(expansion), Image(expansion, source)
    bins = [expansion.attribute(f"output_{side}", 1) for side in ("height", "width")]
    samples = _samples(expansion, bins)
    regions = do("Mul", regions, expansion.attribute("spatial_scale", 1.0))
    count = expansion.shape(regions)[0]
    axes = [
        _between(expansion, image, axis, _points(expansion, regions, axis, bins, samples))
        for axis in range(2)
    ]
    number = expansion.op("Cast", batch, to=TensorProto.INT64)
    number = expansion.op("Reshape", number, expansion.constant([count, 1, 1]))
    parts = []
    for row, column in itertools.product(*axes):
        value = image.at([row[0], column[0]], number)
        parts.append(do("Mul", do("Mul", value, row[1]), column[1]))
    is_max = expansion.attribute("mode", "avg") == "max"
    total = parts[0]
    for part in parts[1:]:
        total = do("Max" if is_max else "Add", total, part)
    channels = expansion.shape(total)[0]
    split = [channels, count, bins[0], samples[0], bins[1], samples[1]]
    total = expansion.op("Reshape", total, expansion.constant(split))
    total = expansion.reduce("ReduceMax" if is_max else "ReduceMean", total, [3, 5])
    return expansion.finish(expansion.op("Transpose", total, perm=[1, 0, 2, 3]))


def _samples(expansion: Expansion, bins: Sequence[int]) -> list[int]:
    """How many points of each bin are looked at, along each axis."""
    ratio = expansion.attribute("sampling_ratio", 0)
    if ratio > 0:
        return [ratio, ratio]
    if not expansion.is_known(expansion.node.input[1]):
        raise expansion.unsupported(
            "with sampling_ratio 0 the regions say how many samples there are, and they are "
            "computed; give sampling_ratio a number"
        )
    known = expansion.known(1)
    assert known is not None  # not optional
    sizes = _sizes(expansion, known)
    counts = [np.ceil(size / n).astype(int) for size, n in zip(sizes, bins, strict=True)]
    if any((count != count[0]).any() for count in counts if count.size):
        raise expansion.unsupported(
            "with sampling_ratio 0 these regions have different numbers of samples; give "
            "sampling_ratio a number"
        )
    return [max(1, int(count[0])) if count.size else 1 for count in counts]


def _sizes(expansion: Expansion, regions: np.ndarray) -> list[np.ndarray]:
    """Height and width of constant regions."""
    scaled = regions.astype(np.float32) * np.float32(expansion.attribute("spatial_scale", 1.0))
    found = [scaled[:, 3] - scaled[:, 1], scaled[:, 2] - scaled[:, 0]]
    return found if _is_half_pixel(expansion) else [np.maximum(size, 1) for size in found]


def _is_half_pixel(expansion: Expansion) -> bool:
    """The default since opset 16."""
    default = "half_pixel" if expansion.opset >= 16 else "output_half_pixel"
    mode = expansion.attribute("coordinate_transformation_mode", default)
    return bool(mode == "half_pixel")


def _points(
    expansion: Expansion, regions: str, axis: int, bins: Sequence[int], samples: Sequence[int]
) -> str:
    """Where the samples lie along an axis: regions x (bins * samples)."""
    do = Arithmetic(expansion)
    low, high = (
        expansion.op("Gather", regions, expansion.constant([column]), axis=1)
        for column in (1 - axis, 3 - axis)
    )
    size = do("Sub", high, low)
    if _is_half_pixel(expansion):
        low = do("Sub", low, 0.5)
    else:
        size = do("Max", size, 1.0)
    count = bins[axis] * samples[axis]
    width = do("Div", size, bins[axis])
    dtype = expansion.dtype(size)
    number = np.arange(bins[axis]).repeat(samples[axis])[None]
    inner = (np.tile(np.arange(samples[axis]), bins[axis])[None] + 0.5) / samples[axis]
    assert number.shape == inner.shape == (1, count)
    start = do("Add", do("Mul", width, expansion.constant(number, dtype)), low)
    return do("Add", start, do("Mul", width, expansion.constant(inner, dtype)))


def _between(
    expansion: Expansion, image: Image, axis: int, points: str
) -> list[tuple[str, str]]:
    """The elements in front of the points and behind them, with their weights.

    Points further than 1 outside have weights of 0.
    """
    do, size = Arithmetic(expansion), image.sizes[axis]
    inside = do.within(points, -1.0, float(size))
    weight = expansion.op("Cast", inside, to=expansion.element(points))
    near = do.clip(points, 0.0, size - 1)
    low = expansion.op("Floor", near)
    part = do("Sub", near, low)
    rest = expansion.op("Neg", do("Sub", part, 1.0))
    shape = [*expansion.shape(points), 1]
    shape = [shape[0], *((shape[1], 1) if axis == 0 else (1, shape[1]))]
    found = []
    for position, share in ((low, rest), (do("Add", low, 1.0), part)):
        pair = (image.place(position, axis), do("Mul", share, weight))
        place, share = (expansion.op("Reshape", v, expansion.constant(shape)) for v in pair)
        found.append((place, share))
    return found


def _max_roi_pool(expansion: Expansion) -> Nodes:
    source, regions = expansion.node.input
    do = Arithmetic(expansion)
    bins = expansion.attribute("pooled_shape")
    count = expansion.shape(regions)[0]
    number = expansion.op("Gather", regions, expansion.constant(0), axis=1)
    number = expansion.op("Cast", number, to=TensorProto.INT64)
    corners = do("Mul", regions, expansion.attribute("spatial_scale", 1.0))
    corners = expansion.op("Floor", do("Add", corners, 0.5))
    value = expansion.op("Gather", source, number, axis=0)
    lowest = expansion.constant(-np.inf, expansion.dtype(source))
    # Along columns first: regions x channels x rows x bins x columns.
    for axis in (1, 0):
        inside = _inside(expansion, corners, axis, bins[axis])
        bin_count, size = expansion.shape(inside)[1:]
        if axis == 1:
            shape = [count, 1, 1, bin_count, size]
            value = expansion.op("Unsqueeze", value, expansion.constant([3]))
        else:
            shape = [count, 1, bin_count, size, 1]
            value = expansion.op("Unsqueeze", value, expansion.constant([2]))
        inside = expansion.op("Reshape", inside, expansion.constant(shape))
        value = expansion.op("Where", inside, value, lowest)
        value = expansion.reduce("ReduceMax", value, [4 if axis == 1 else 3])
    is_empty = do("Equal", value, lowest)
    zero = expansion.constant(0, expansion.dtype(source))
    return expansion.finish(expansion.op("Where", is_empty, zero, value))


def _inside(expansion: Expansion, corners: str, axis: int, bins: int) -> str:
    """Which elements along an axis each bin holds: regions x bins x elements."""
    do, size = Arithmetic(expansion), expansion.shape(expansion.node.input[0])[2 + axis]
    low, high = (
        expansion.op("Gather", corners, expansion.constant([column]), axis=1)
        for column in (2 - axis, 4 - axis)
    )
    dtype = expansion.dtype(low)
    width = do("Max", do("Add", do("Sub", high, low), 1.0), 1.0)
    width = do("Div", width, bins)
    number = np.arange(bins)[None]
    ends = [
        do("Add", expansion.op(rounding, do("Mul", width, expansion.constant(n, dtype))), low)
        for rounding, n in (("Floor", number), ("Ceil", number + 1))
    ]
    start, end = (expansion.op("Unsqueeze", v, expansion.constant([2])) for v in ends)
    place = expansion.constant(np.arange(size)[None, None], dtype)
    return do("And", do("LessOrEqual", start, place), do("Less", place, end))


REGION_REWRITES: Mapping[str, Rewrite] = {
    "MaxRoiPool": _max_roi_pool,
    "RoiAlign": _roi_align,
}
