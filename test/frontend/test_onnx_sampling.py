"""ONNX operators that sample: Resize, GridSample, regions, unpooling; the numbers agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper
from onnx_models import floats, model, value

from smartmem.errors import UnsupportedError
from smartmem.frontend import import_model

Check = Callable[..., None]


def unsized(nodes: list[NodeProto], rank: int = 4) -> list[Any]:
    """The results of nodes, of sizes that are inferred."""
    return [value(name, *[None] * rank) for node in nodes for name in node.output]


def resized(check: Check, shape: tuple[int, ...], *variants: dict[str, Any]) -> None:
    """Checks a Resize of ``x`` for each set of attributes, scales or sizes among them."""
    nodes, given = [], {}
    for number, attributes in enumerate(variants):
        names = ["x", "", "", ""]
        for place, key in ((1, "roi"), (2, "scales"), (3, "sizes")):
            if key in attributes:
                names[place] = f"{key}{number}"
                dtype = np.int64 if key == "sizes" else np.float32
                given[names[place]] = np.asarray(attributes.pop(key), dtype)
        nodes.append(helper.make_node("Resize", names, [f"y{number}"], **attributes))
    proto = model(nodes, [value("x", *shape)], unsized(nodes, len(shape)), given, opset=19)
    check(import_model(proto), floats(*shape))


TRANSFORMS = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")


@pytest.mark.parametrize(
    "rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
)
def test_nearest_elements(check: Check, rounding: str) -> None:
    """4 to 7 and 6 to 9 have coordinates that lie exactly between two elements."""
    variants: list[dict[str, Any]] = [
        {
            "sizes": [1, 2, 7, 9],
            "nearest_mode": rounding,
            "coordinate_transformation_mode": transform,
        }
        for transform in (*TRANSFORMS, "half_pixel_symmetric")
    ]
    scaled = {"scales": [1, 1, 0.6, 1.5], "nearest_mode": rounding}
    resized(check, (1, 2, 4, 6), *variants, scaled)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_interpolation_of_images(check: Check, mode: str) -> None:
    variants: list[dict[str, Any]] = [
        {"sizes": [1, 2, 7, 3], "mode": mode, "coordinate_transformation_mode": transform}
        for transform in TRANSFORMS
    ]
    thin = {"sizes": [4, 3], "axes": [2, 3], "mode": mode, "antialias": 1}
    kept = {**thin, "keep_aspect_ratio_policy": "not_larger"}
    resized(check, (1, 2, 5, 6), *variants, thin, kept)


def test_interpolation_of_other_axes(check: Check) -> None:
    resized(
        check,
        (1, 4, 5, 2),
        {"scales": [1, 2, 2, 1], "mode": "linear"},
        {"scales": [1, 2, 1, 2], "mode": "linear"},
        {"sizes": [1, 3, 9, 2], "mode": "nearest"},
    )


@pytest.mark.parametrize("shape", [(1, 2, 5), (1, 2, 3, 4, 3)])
def test_interpolation_of_lines_and_volumes(check: Check, shape: tuple[int, ...]) -> None:
    scales = [1, 1, 2, 1.5, 2][: len(shape)]
    resized(check, shape, {"scales": scales, "mode": "linear"})


def test_cubic_without_elements_outside(check: Check) -> None:
    variant = {"mode": "cubic", "exclude_outside": 1, "cubic_coeff_a": -0.5}
    resized(check, (1, 1, 4, 4), {**variant, "sizes": [1, 1, 9, 3]})


def test_crop_and_resize(check: Check) -> None:
    region = [0, 0, 0.4, -0.2, 1, 1, 0.6, 1.3]
    crop = {
        "roi": region,
        "sizes": [1, 1, 3, 5],
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "extrapolation_value": 10.0,
    }
    resized(check, (1, 1, 4, 6), {**crop, "mode": "linear"}, {**crop, "mode": "nearest"})


def test_interpolation_of_integers(check: Check) -> None:
    """Sums are cut to integers: taken in another order, they may differ by one."""
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    sizes = {"s": np.array([1, 1, 1.5, 2], np.float32)}
    uint8 = TensorProto.UINT8
    proto = model(
        [node],
        [value("x", 1, 1, 4, 3, element=uint8)],
        [value("y", 1, 1, 6, 6, element=uint8)],
        sizes,
    )
    x = np.arange(0, 240, 20, dtype=np.uint8).reshape(1, 1, 4, 3)
    check(import_model(proto), x, tolerance=1 / 220)


def test_unknown_mode_is_refused() -> None:
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], name="up", mode="spline")
    sizes = {"s": np.array([1, 1, 2, 2], np.float32)}
    proto = model([node], [value("x", 1, 1, 2, 2)], [value("y", 1, 1, 4, 4)], sizes)
    with pytest.raises(UnsupportedError, match=r"Resize \(node 'up'\): there is no mode"):
        import_model(proto)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_samples_on_a_grid(check: Check, padding: str) -> None:
    nodes = [
        helper.make_node(
            "GridSample",
            ["x", "grid"],
            [f"{mode}{aligned}"],
            mode=mode,
            padding_mode=padding,
            align_corners=aligned,
        )
        for mode in ("linear", "nearest", "cubic")
        for aligned in (0, 1)
    ]
    inputs = [value("x", 2, 3, 4, 5), value("grid", 2, 3, 2, 2)]
    proto = model(nodes, inputs, unsized(nodes), opset=20)
    check(import_model(proto), floats(2, 3, 4, 5), 2 * floats(2, 3, 2, 2), tolerance=1e-4)


def test_samples_of_a_volume(check: Check) -> None:
    node = helper.make_node("GridSample", ["x", "g"], ["y"], padding_mode="border")
    inputs = [value("x", 1, 2, 3, 4, 5), value("g", 1, 2, 2, 3, 3)]
    proto = model([node], inputs, unsized([node], 5), opset=20)
    check(import_model(proto), floats(1, 2, 3, 4, 5), floats(1, 2, 2, 3, 3))


@pytest.mark.parametrize("size", [[2, 1, 3, 4], [2, 1, 2, 3, 4]])
def test_grid_of_an_affine_map(check: Check, size: list[int]) -> None:
    rank = len(size) - 2
    nodes = [
        helper.make_node("AffineGrid", ["theta", "size"], [f"y{n}"], align_corners=n)
        for n in (0, 1)
    ]
    theta, given = value("theta", 2, rank, rank + 1), {"size": size}
    proto = model(nodes, [theta], unsized(nodes, rank + 2), given, opset=20)
    check(import_model(proto), floats(2, rank, rank + 1))


def test_regions(check: Check) -> None:
    nodes = [
        helper.make_node(
            "RoiAlign",
            ["x", "rois", "batch"],
            [f"{mode}_{transform}"],
            output_height=2,
            output_width=3,
            sampling_ratio=samples,
            spatial_scale=0.5,
            mode=mode,
            coordinate_transformation_mode=transform,
        )
        for mode, transform, samples in (
            ("avg", "half_pixel", 2),
            ("avg", "output_half_pixel", 3),
            ("max", "half_pixel", 1),
        )
    ]
    nodes.append(
        helper.make_node("MaxRoiPool", ["x", "numbered"], ["pooled"], pooled_shape=[2, 2])
    )
    rois = np.array([[0, 0, 5, 5], [2, 3, 14, 12.5], [-4, -3, 3, 20]], np.float32)
    batch = np.array([1, 0, 1])
    numbered = np.concatenate([batch[:, None], np.clip(rois, 0, 6)], 1).astype(np.float32)
    inputs = [
        value("x", 2, 2, 7, 8),
        value("rois", 3, 4),
        value("batch", 3, element=TensorProto.INT64),
        value("numbered", 3, 5),
    ]
    proto = model(nodes, inputs, unsized(nodes))
    check(import_model(proto), floats(2, 2, 7, 8), rois, batch, numbered)


def test_samples_that_regions_decide_on_are_refused() -> None:
    node = helper.make_node("RoiAlign", ["x", "r", "b"], ["y"], name="roi")
    inputs = [
        value("x", 1, 1, 4, 4),
        value("r", 2, 4),
        value("b", 2, element=TensorProto.INT64),
    ]
    with pytest.raises(UnsupportedError, match=r"RoiAlign \(node 'roi'\).*sampling_ratio"):
        import_model(model([node], inputs, [value("y", 2, 1, 1, 1)]))


def test_unpooling(check: Check) -> None:
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p", "i"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("MaxUnpool", ["p", "i"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    proto = model(nodes, [value("x", 2, 2, 4, 6)], unsized(nodes[1:]))
    check(import_model(proto), floats(2, 2, 4, 6), tolerance=0)


def test_columns_that_overlap(check: Check) -> None:
    node = helper.make_node("Col2Im", ["x", "image", "block"], ["y"], pads=[1, 0, 1, 1])
    given = {"image": [4, 5], "block": [2, 3]}
    proto = model([node], [value("x", 2, 12, 20)], unsized([node]), given, opset=18)
    check(import_model(proto), floats(2, 12, 20))
