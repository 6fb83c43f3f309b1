"""Write Resize as gathers at constant indices, weighted by constants.

    Resize(x, mode="nearest")  ->  Gather(x, places), for each resized axis
    Resize(x, mode="linear")   ->  left + (right - left) * weight, of gathered elements
    Resize(x, mode="cubic")    ->  sum of Gather(x, places) * weights, for each resized axis

torch-mlir has half of the modes, and computes coordinates anew for each element. Two
neighbouring axes are interpolated at once, from four gathers: one kernel, not two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from smartmem.frontend.onnx_coordinates import Line, Taps, taps
from smartmem.frontend.onnx_expansion import Expansion, Rewrite
from smartmem.parameters import Numbers

Nodes = list[onnx.NodeProto]

_UNROLLED = 4
"""Elements of a sum that are added one by one; longer sums are reductions."""


def _resize(expansion: Expansion) -> Nodes:
    source = expansion.node.input[0]
    mode = expansion.attribute("mode", "nearest")
    found = _taps(expansion, mode)
    is_integer = expansion.dtype(source).kind in "iu" and mode != "nearest"
    value = expansion.op("Cast", source, to=onnx.TensorProto.FLOAT) if is_integer else source
    value = _interpolated(expansion, value, found)
    if expansion.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        value = _extrapolated(expansion, value, found)
    if is_integer:
        # In two steps: torch-mlir takes a number for a signed one of as many bits.
        value = expansion.op("Cast", value, to=onnx.TensorProto.INT32)
        value = expansion.op("Cast", value, to=expansion.element(source))
    return expansion.finish(value)


def _interpolated(expansion: Expansion, value: str, found: Mapping[int, Taps]) -> str:
    axes = sorted(found)
    counts = {taps.places.shape[1] for taps in found.values()}
    if counts == {2} and len(axes) == 2 and axes[1] == axes[0] + 1:
        return _bilinear(expansion, value, axes[0], found[axes[0]], found[axes[1]])
    # Those first that leave the least to do for the others.
    for axis in sorted(axes, key=lambda a: len(found[a].places) / expansion.shape(value)[a]):
        value = _along(expansion, value, axis, found[axis])
    return value


def _along(expansion: Expansion, value: str, axis: int, taps: Taps) -> str:
    """Interpolates along one axis."""
    count, dtype = taps.places.shape[1], expansion.dtype(value)
    behind = [1] * (len(expansion.shape(value)) - axis - 1)
    if count > _UNROLLED:
        value = expansion.op("Gather", value, expansion.constant(taps.places), axis=axis)
        weights = expansion.constant(taps.weights.reshape(*taps.weights.shape, *behind), dtype)
        value = expansion.op("Mul", value, weights)
        return expansion.reduce("ReduceSum", value, [axis + 1])
    parts = [
        expansion.op("Gather", value, expansion.constant(places), axis=axis)
        for places in taps.places.T
    ]
    if count == 1:
        return parts[0]
    factors = [expansion.constant(w.reshape(-1, *behind), dtype) for w in taps.weights.T]
    if count == 2:
        return _between(expansion, parts[0], parts[1], factors[1])
    products = [expansion.op("Mul", *pair) for pair in zip(parts, factors, strict=True)]
    total = products[0]
    for product in products[1:]:
        total = expansion.op("Add", total, product)
    return total


def _bilinear(expansion: Expansion, value: str, axis: int, rows: Taps, columns: Taps) -> str:
    """Interpolates along an axis and the one behind it."""
    shape, dtype = expansion.shape(value), expansion.dtype(value)
    height, width = shape[axis : axis + 2]
    flat = expansion.constant([*shape[:axis], height * width, *shape[axis + 2 :]])
    value = expansion.op("Reshape", value, flat)
    behind = [1] * (len(shape) - axis - 2)

    def at(row: Numbers, column: Numbers) -> str:
        # Added by the kernel: a table of all would be as large as the image.
        index = expansion.op(
            "Add",
            expansion.constant((row * width)[:, None]),
            expansion.constant(column[None, :]),
        )
        return expansion.op("Gather", value, index, axis=axis)

    across = expansion.constant(columns.weights[:, 1].reshape(-1, *behind), dtype)
    down = expansion.constant(rows.weights[:, 1].reshape(-1, 1, *behind), dtype)
    lines = [
        _between(
            expansion, at(row, columns.places[:, 0]), at(row, columns.places[:, 1]), across
        )
        for row in rows.places.T
    ]
    return _between(expansion, lines[0], lines[1], down)


def _between(expansion: Expansion, low: str, high: str, weight: str) -> str:
    step = expansion.op("Mul", expansion.op("Sub", high, low), weight)
    return expansion.op("Add", low, step)


def _extrapolated(expansion: Expansion, value: str, found: Mapping[int, Taps]) -> str:
    """With a constant where a coordinate does not lie on its axis."""
    rank, dtype = len(expansion.shape(value)), expansion.dtype(value)
    fill = expansion.constant(expansion.attribute("extrapolation_value", 0.0), dtype)
    for axis, made in found.items():
        if not made.inside.all():
            inside = made.inside.reshape(-1, *[1] * (rank - axis - 1))
            value = expansion.op("Where", expansion.constant(inside, bool), value, fill)
    return value


def _taps(expansion: Expansion, mode: str) -> dict[int, Taps]:
    """By axis that is resized."""
    found = {}
    for axis, line in enumerate(_lines(expansion)):
        try:
            found[axis] = _without_idle(taps(line, mode, expansion.attribute))
        except KeyError as error:
            raise expansion.unsupported(f"there is no mode {error}") from error
        if _is_identity(found[axis], line.size):
            del found[axis]
    return found


def _without_idle(taps: Taps) -> Taps:
    """Without elements that no result takes."""
    used = (taps.weights != 0).any(axis=0)
    return Taps(taps.places[:, used], taps.weights[:, used], taps.inside)


def _is_identity(taps: Taps, size: int) -> bool:
    places = taps.places[np.arange(len(taps.places)), taps.weights.argmax(axis=1)]
    return (
        np.array_equal(places, np.arange(size))
        and bool((taps.weights.max(axis=1) == 1).all())
        and bool(taps.inside.all())
    )


def _lines(expansion: Expansion) -> list[Line]:
    sizes = expansion.shape(expansion.node.input[0])
    results = expansion.shape(expansion.node.output[0])
    rank = len(sizes)
    axes = [a % rank for a in expansion.attribute("axes") or range(rank)]
    scales = _scales(expansion, sizes, results, axes)
    starts, ends = _regions(expansion, axes)
    return [
        Line(
            sizes[axis],
            results[axis],
            scales.get(axis, 1.0),
            starts.get(axis, 0.0),
            ends.get(axis, 1.0),
        )
        for axis in range(rank)
    ]


def _scales(
    expansion: Expansion, sizes: Sequence[int], results: Sequence[int], axes: Sequence[int]
) -> dict[int, float]:
    given = expansion.known(2)
    if given is not None and given.size:
        return dict(zip(axes, map(float, given), strict=True))
    policy = expansion.attribute("keep_aspect_ratio_policy", "stretch")
    wanted = expansion.known(3)
    if policy != "stretch" and wanted is not None:
        choose = min if policy == "not_larger" else max
        ratios = [
            np.float32(w) / np.float32(sizes[a]) for a, w in zip(axes, wanted, strict=True)
        ]
        return dict.fromkeys(axes, float(choose(ratios)))
    return {a: float(np.float32(results[a]) / np.float32(sizes[a])) for a in axes}


def _regions(
    expansion: Expansion, axes: Sequence[int]
) -> tuple[dict[int, float], dict[int, float]]:
    if expansion.attribute("coordinate_transformation_mode") != "tf_crop_and_resize":
        return {}, {}
    given = expansion.known(1)
    if given is None or given.size != 2 * len(axes):
        raise expansion.invalid("tf_crop_and_resize needs a region of two numbers for an axis")
    starts, ends = given.reshape(2, -1).astype(float)
    return (
        dict(zip(axes, starts.tolist(), strict=True)),
        dict(zip(axes, ends.tolist(), strict=True)),
    )


RESIZE_REWRITES: Mapping[str, Rewrite] = {"Resize": _resize}
