"""Write what puts elements back where they came from as scatters and gathers.

MaxUnpool(x, indices)  ->  ScatterElements(zeros, indices, x)
Col2Im(x)              ->  ReduceSum of the elements that meet at each place
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_windows import numbers
from smartmem.parameters import Numbers

Nodes = list[onnx.NodeProto]


def _max_unpool(expansion: Expansion) -> Nodes:
    """Indices count in what the pool read; a larger result has zeros behind that."""
    source, indices = expansion.node.input[:2]
    n, c, *sizes = expansion.shape(source)
    kernel = list(expansion.attribute("kernel_shape"))
    strides = numbers(expansion, "strides", [1] * len(kernel), 1)
    pads = numbers(expansion, "pads", [0] * 2 * len(kernel), 0)
    pooled = [
        (size - 1) * stride + k - pads[d] - pads[d + len(kernel)]
        for d, (size, stride, k) in enumerate(zip(sizes, strides, kernel, strict=True))
    ]
    results = expansion.shape(expansion.node.output[0])
    flat = expansion.constant([-1])
    zeros = expansion.constant(np.zeros(n * c * math.prod(pooled)), expansion.dtype(source))
    places, elements = (expansion.op("Reshape", v, flat) for v in (indices, source))
    value = expansion.op("ScatterElements", zeros, places, elements, axis=0)
    value = expansion.op("Reshape", value, expansion.constant([n, c, *pooled]))
    behind = [r - p for r, p in zip(results[2:], pooled, strict=True)]
    if min(behind, default=0) < 0:
        raise expansion.invalid("output_shape is smaller than what was pooled")
    if any(behind):
        pads = [0] * len(results) + [0, 0, *behind]
        value = expansion.op("Pad", value, expansion.constant(pads))
    return expansion.finish(value)


def _columns_to_image(expansion: Expansion) -> Nodes:
    """Each place of the image takes at most one element of each place of a block."""
    source = expansion.node.input[0]
    image, block = expansion.known(1), expansion.known(2)
    assert image is not None and block is not None  # not optional
    n, rows, columns = expansion.shape(source)
    area = math.prod(map(int, block))
    channels = rows // area
    flat = expansion.constant([n, channels, area * columns])
    value = expansion.op("Reshape", source, flat)
    value = expansion.op("Pad", value, expansion.constant([0, 0, 0, 0, 0, 1]))  # a zero
    table = _meeting(expansion, image.tolist(), block.tolist(), columns)
    value = expansion.op("Gather", value, expansion.constant(table), axis=2)
    value = expansion.reduce("ReduceSum", value, [3])
    shape = expansion.constant([n, channels, *image.tolist()])
    return expansion.finish(expansion.op("Reshape", value, shape))


def _meeting(
    expansion: Expansion, image: Sequence[int], block: Sequence[int], columns: int
) -> Numbers:
    """For each place of the image, the elements of all blocks there: places x block.

    The number behind the last stands for a zero.
    """
    rank = len(image)
    strides = numbers(expansion, "strides", [1] * rank, 1)
    dilations = numbers(expansion, "dilations", [1] * rank, 1)
    pads = numbers(expansion, "pads", [0] * 2 * rank, 0)
    place = np.zeros((1, 1), np.int64)
    missing = np.zeros((1, 1), np.int64)
    for d in range(rank):
        extent = (block[d] - 1) * dilations[d] + 1
        count = (image[d] + pads[d] + pads[d + rank] - extent) // strides[d] + 1
        start = np.arange(image[d])[:, None] + pads[d] - np.arange(block[d]) * dilations[d]
        number = start // strides[d]
        is_there = (start % strides[d] == 0) & (number >= 0) & (number < count)
        place = _crossed(place * count, number)
        missing = _crossed(missing, (~is_there).astype(np.int64))
    kernel = np.arange(math.prod(block)) * columns
    return np.where(missing == 0, place + kernel, math.prod(block) * columns)


def _crossed(first: Numbers, second: Numbers) -> Numbers:
    """Sums of all rows and columns of two tables with all of the other's."""
    total = first[:, None, :, None] + second[None, :, None, :]
    return np.asarray(total.reshape(len(first) * len(second), -1))


UNPOOL_REWRITES: Mapping[str, Rewrite] = {
    "Col2Im": _columns_to_image,
    "MaxUnpool": _max_unpool,
}
