"""Write pooling over windows as torch-mlir and IREE get it right.

    AveragePool(x, pads, ...)  ->  AveragePool(Pad(x, 0)) * kernel / counts
    MaxPool(x, pads, ...)      ->  MaxPool(Pad(x, lowest))
    LpPool(x, p)               ->  (AveragePool(Pad(|x|^p, 0)) * kernel)^(1/p)
    LRN(x)                     ->  x / (bias + alpha * AveragePool(x^2 over channels))^beta
    GlobalLpPool(x, p)         ->  ReduceSum(|x|^p)^(1/p)
    LpNormalization(x, p)      ->  x / norm, or 0 where the norm is 0

The counts, how many elements of a window are there, are constants. torch-mlir's divisors
are wrong for padding on one side, ``ceil_mode`` and dilations. Pools that have none of
these stay. A dilated average reads its windows side by side: ``Gather``, and a pool whose
stride is its kernel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.frontend.onnx_windows import Window, windows_of
from smartmem.parameters import Numbers

Nodes = list[onnx.NodeProto]


def _average(expansion: Expansion) -> Nodes | None:
    windows = _pool_windows(expansion)
    if all(_is_plain(w) and w.dilation == 1 for w in windows):
        return None if _is_canonical(expansion) else _plain_average(expansion, windows)
    return _plain_average(expansion, windows)


def _plain_average(expansion: Expansion, windows: Sequence[Window]) -> Nodes:
    value = _window_means(expansion, _source(expansion), windows)
    counts = _counts(windows, bool(expansion.attribute("count_include_pad", 0)))
    kernel = math.prod(w.kernel for w in windows)
    if (counts != kernel).any():
        ratio = expansion.constant(kernel / counts, expansion.dtype(value))
        value = expansion.op("Mul", value, ratio)
    return expansion.finish(value)


def _lp_pool(expansion: Expansion) -> Nodes:
    windows, p = _pool_windows(expansion), expansion.attribute("p", 2)
    powers = _power(expansion, _source(expansion), p)
    value = _window_means(expansion, powers, windows)
    kernel = math.prod(w.kernel for w in windows)
    if kernel > 1:
        kernel_value = expansion.constant(kernel, expansion.dtype(value))
        value = expansion.op("Mul", value, kernel_value)
    return expansion.finish(_root(expansion, value, p))


def _global_lp_pool(expansion: Expansion) -> Nodes:
    source, p = _source(expansion), expansion.attribute("p", 2)
    axes = list(range(2, len(expansion.shape(source))))
    powers = _power(expansion, source, p)
    sums = expansion.reduce("ReduceSum", powers, axes, keepdims=1)
    return expansion.finish(_root(expansion, sums, p))


def _lp_normalization(expansion: Expansion) -> Nodes:
    source, p = expansion.node.input[0], expansion.attribute("p", 2)
    axis = expansion.attribute("axis", -1) % len(expansion.shape(source))
    powers = _power(expansion, source, p)
    norm = _root(expansion, expansion.reduce("ReduceSum", powers, [axis], keepdims=1), p)
    zero, one = (expansion.constant(n, expansion.dtype(source)) for n in (0, 1))
    # What is divided is 0 where the norm is.
    divisor = expansion.op("Where", expansion.op("Equal", norm, zero), one, norm)
    return expansion.finish(expansion.op("Div", source, divisor))


def _power(expansion: Expansion, value: str, p: int) -> str:
    if p == 2:
        return expansion.op("Mul", value, value)
    value = expansion.op("Abs", value)
    if p == 1:
        return value
    return expansion.op("Pow", value, expansion.constant(p, expansion.dtype(value)))


def _root(expansion: Expansion, value: str, p: int) -> str:
    if p == 1:
        return value
    if p == 2:
        return expansion.op("Sqrt", value)
    return expansion.op("Pow", value, expansion.constant(1 / p, expansion.dtype(value)))


def _local_response(expansion: Expansion) -> Nodes:
    """The mean goes over neighbouring channels: windows along the first of two dims."""
    source, size = _source(expansion), expansion.attribute("size")
    shape = expansion.shape(source)
    n, c = shape[:2]
    if size < 1:
        raise expansion.invalid(f"size is {size}; the least is 1")
    squares = expansion.op("Mul", source, source)
    rows = expansion.constant([n, 1, c, math.prod(shape[2:])])
    before = (size - 1) // 2
    windows = [
        Window(c, size, 1, 1, before, size - 1 - before, c),
        Window(math.prod(shape[2:]), 1, 1, 1, 0, 0, math.prod(shape[2:])),
    ]
    means = _window_means(expansion, expansion.op("Reshape", squares, rows), windows)
    means = expansion.op("Reshape", means, expansion.constant(shape))
    dtype = expansion.dtype(source)
    alpha, beta, bias = (
        expansion.constant(expansion.attribute(name, default), dtype)
        for name, default in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0))
    )
    base = expansion.op("Add", expansion.op("Mul", means, alpha), bias)
    return expansion.finish(expansion.op("Div", source, expansion.op("Pow", base, beta)))


def _largest(expansion: Expansion) -> Nodes | None:
    windows = _pool_windows(expansion)
    has_indices = len(expansion.node.output) > 1 and bool(expansion.node.output[1])
    if has_indices:
        return _largest_with_indices(expansion, windows)
    if _is_canonical(expansion) and all(
        w.before == w.after and 2 * w.before <= w.kernel for w in windows
    ):
        return None
    value = _padded(expansion, _source(expansion), windows, is_max=True)
    value = expansion.op(
        "MaxPool",
        value,
        kernel_shape=[w.kernel for w in windows],
        strides=[w.stride for w in windows],
        dilations=[w.dilation for w in windows],
    )
    return expansion.finish(value)


def _largest_with_indices(expansion: Expansion, windows: Sequence[Window]) -> Nodes:
    """An index is where a window begins and how far into it the largest element lies.

    torch-mlir's index counts within a channel, and only along rows.
    """
    source = _source(expansion)
    shape = expansion.shape(source)
    value = _padded(expansion, source, windows, is_max=True)
    for axis, window in enumerate(windows):
        places = window.positions() + window.before
        value = expansion.op("Gather", value, expansion.constant(places), axis=2 + 2 * axis)
    rank = len(windows)
    order = [0, 1, *(2 + 2 * d for d in range(rank)), *(3 + 2 * d for d in range(rank))]
    value = expansion.op("Transpose", value, perm=order)
    counts = [w.count for w in windows]
    flat = expansion.constant([*shape[:2], *counts, math.prod(w.kernel for w in windows)])
    value = expansion.op("Reshape", value, flat)
    place = expansion.op("ArgMax", value, axis=-1, keepdims=0)
    largest = expansion.reduce("ReduceMax", value, [-1])
    steps = _steps(shape[2:], bool(expansion.attribute("storage_order", 0)))
    offsets = _outer_sum(
        [np.arange(w.kernel) * w.dilation * s for w, s in zip(windows, steps, strict=True)]
    )
    starts = _outer_sum([w.positions()[:, 0] * s for w, s in zip(windows, steps, strict=True)])
    channels = np.arange(shape[0] * shape[1]) * math.prod(shape[2:])
    index = expansion.op("Gather", expansion.constant(offsets.ravel()), place)
    index = expansion.op("Add", index, expansion.constant(starts))
    channels = channels.reshape(*shape[:2], *[1] * rank)
    index = expansion.op("Add", index, expansion.constant(channels))
    return expansion.finish(largest, index)


def _steps(sizes: Sequence[int], columns_first: bool) -> list[int]:
    """How far apart neighbours along each axis lie."""
    order = range(len(sizes)) if columns_first else reversed(range(len(sizes)))
    steps, step = [0] * len(sizes), 1
    for axis in order:
        steps[axis] = step
        step *= sizes[axis]
    return steps


def _outer_sum(lines: Sequence[Numbers]) -> Numbers:
    total = np.zeros((), np.int64)
    for line in lines:
        total = total[..., None] + line
    return total


def _source(expansion: Expansion) -> str:
    return expansion.node.input[0]


def _pool_windows(expansion: Expansion) -> list[Window]:
    rank = len(expansion.shape(_source(expansion))) - 2
    kernel = list(expansion.attribute("kernel_shape", []))
    if len(kernel) != rank or min(kernel, default=1) < 1:
        raise expansion.invalid(f"kernel_shape is {kernel}, for {rank} dims")
    return windows_of(expansion, kernel, list(range(2, rank + 2)))


def _is_plain(window: Window) -> bool:
    return window.before == window.after == 0 and window.reach <= 0


def _is_canonical(expansion: Expansion) -> bool:
    """Whether all of the padding is written down."""
    auto_pad = expansion.attribute("auto_pad", "NOTSET")
    return auto_pad in ("", "NOTSET") and not expansion.attribute("ceil_mode", 0)


def _window_means(expansion: Expansion, value: str, windows: Sequence[Window]) -> str:
    """The mean of each window, padding of zeros included."""
    value = _padded(expansion, value, windows)
    strides = [w.stride for w in windows]
    for axis, window in enumerate(windows):
        if window.dilation > 1 and window.kernel > 1:
            places = (window.positions() + window.before).ravel()
            value = expansion.op("Gather", value, expansion.constant(places), axis=2 + axis)
            strides[axis] = window.kernel
    kernel = [w.kernel for w in windows]
    if math.prod(kernel) * math.prod(strides) == 1:
        return value
    return expansion.op("AveragePool", value, kernel_shape=kernel, strides=strides)


def _padded(
    expansion: Expansion, value: str, windows: Sequence[Window], is_max: bool = False
) -> str:
    """With as much padding as windows reach."""
    before = [0, 0, *(w.before for w in windows)]
    after = [0, 0, *(max(0, w.reach) for w in windows)]
    if not any((*before, *after)):
        return value
    dtype = expansion.dtype(value)
    fill = _lowest(dtype) if is_max else 0
    pads = expansion.constant([*before, *after])
    return expansion.op("Pad", value, pads, expansion.constant(fill, dtype))


def _lowest(dtype: np.dtype[Any]) -> float:
    return int(np.iinfo(dtype).min) if dtype.kind in "iu" else -math.inf


def _counts(windows: Sequence[Window], with_padding: bool) -> Numbers:
    """How many elements of each window there are, or with those of the padding."""
    total = np.ones(())
    for window in windows:
        low, high = (window.before, window.after) if with_padding else (0, 0)
        places = window.positions()
        inside = (places >= -low) & (places < window.size + high)
        total = total[..., None] * np.maximum(inside.sum(axis=1), 1)
    return total


POOL_REWRITES: Mapping[str, Rewrite] = {
    "AveragePool": _average,
    "GlobalLpPool": _global_lp_pool,
    "LRN": _local_response,
    "LpNormalization": _lp_normalization,
    "LpPool": _lp_pool,
    "MaxPool": _largest,
}
