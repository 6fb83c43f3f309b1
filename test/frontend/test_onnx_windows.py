"""ONNX operators over windows: pools, convolutions, padding; the numbers agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper
from onnx_models import floats, model, value

from smartmem.errors import InvalidInputError
from smartmem.frontend import import_model

Check = Callable[..., None]


def results(
    nodes: list[NodeProto], rank: int, elements: dict[str, int] | None = None
) -> list[Any]:
    """What the nodes make, of sizes that are inferred."""
    names = [name for node in nodes for name in node.output]
    return [
        value(name, *[None] * rank, element=(elements or {}).get(name, TensorProto.FLOAT))
        for name in names
    ]


def pools(kind: str, **variants: dict[str, Any]) -> list[NodeProto]:
    """A pool of ``x`` for each set of attributes."""
    return [helper.make_node(kind, ["x"], [name], **a) for name, a in variants.items()]


ROUNDED_UP = {
    "begins_in_padding": {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    "stride_over_kernel": {"kernel_shape": [1, 2], "strides": [3, 3]},
    "one_side": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]},
    "other_side": {"kernel_shape": [4, 3], "strides": [3, 2], "pads": [1, 2, 0, 0]},
    "dilated": {"kernel_shape": [3, 2], "strides": [2, 2], "dilations": [2, 3]},
}


@pytest.mark.parametrize("opset", [19, 22])
def test_last_windows_of_rounded_pools(check: Check, opset: int) -> None:
    """ceil_mode, below the opset whose shape inference knows it, too."""
    largest = {f"max_{name}": {**a, "ceil_mode": 1} for name, a in ROUNDED_UP.items()}
    mean = {f"mean_{name}": {**a, "ceil_mode": 1} for name, a in ROUNDED_UP.items()}
    counted = {f"counted_{name}": {**a, "count_include_pad": 1} for name, a in mean.items()}
    nodes = [
        *pools("MaxPool", **largest),
        *pools("AveragePool", **mean),
        *pools("AveragePool", **counted),
    ]
    check(
        import_model(model(nodes, [value("x", 1, 2, 8, 9)], results(nodes, 4), opset=opset)),
        floats(1, 2, 8, 9),
    )


def test_counted_padding_ends_where_the_operator_says(check: Check) -> None:
    """The last window reaches further: onnxruntime#16203."""
    nodes = pools(
        "AveragePool",
        y={"kernel_shape": [7], "strides": [3], "pads": [3, 3], "ceil_mode": 1}
        | {"count_include_pad": 1},
    )
    proto = model(nodes, [value("x", 1, 2, 9)], results(nodes, 3), opset=19)
    check(import_model(proto), floats(1, 2, 9))


@pytest.mark.parametrize("rank", [1, 3])
def test_pools_of_other_ranks(check: Check, rank: int) -> None:
    window = {
        "kernel_shape": [3, 2, 2][:rank],
        "strides": [2, 1, 2][:rank],
        "pads": [1, 0, 1][:rank] + [0, 1, 0][:rank],
    }
    same = {"kernel_shape": [3] * rank, "strides": [2] * rank, "auto_pad": "SAME_LOWER"}
    apart = {"kernel_shape": [2] * rank, "dilations": [2] * rank}
    nodes = [
        *pools("AveragePool", a=window, b=same, c={**window, "count_include_pad": 1}, g=apart),
        *pools("MaxPool", d=window, e=same, f=apart),
    ]
    shape = (1, 2, 7, 6, 5)[: rank + 2]
    proto = model(nodes, [value("x", *shape)], results(nodes, rank + 2), opset=19)
    check(import_model(proto), floats(*shape))


def test_pool_between_transposes(check: Check) -> None:
    pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1}
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["t"], ["p"], **pool),
        helper.make_node("Transpose", ["p"], ["y"], perm=[0, 2, 3, 1]),
    ]
    proto = model(nodes, [value("x", 1, 8, 7, 3)], results(nodes[2:], 4))
    check(import_model(proto), floats(1, 8, 7, 3))


def test_norm_of_windows(check: Check) -> None:
    window = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 1]}
    nodes = [
        *pools("LpPool", one={**window, "p": 1}, two=window, three={**window, "p": 3}),
        *pools("GlobalLpPool", all={}, third={"p": 3}),
    ]
    proto = model(nodes, [value("x", 1, 3, 6, 5)], results(nodes, 4))
    check(import_model(proto), floats(1, 3, 6, 5))


@pytest.mark.parametrize("size", [1, 4, 5])
def test_normalization_by_neighbouring_channels(check: Check, size: int) -> None:
    """Of an even number, one more behind; ONNX Runtime refuses those."""
    x = floats(2, 6, 3, 2)
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=0.3, beta=0.6, bias=1.5)
    imported = import_model(model([node], [value("x", *x.shape)], [value("y", *x.shape)]))
    before = (size - 1) // 2
    padded = np.pad(x**2, [(0, 0), (before, size - 1 - before), (0, 0), (0, 0)])
    sums = sum(padded[:, d : d + 6] for d in range(size))
    expected = x / (1.5 + 0.3 / size * sums) ** 0.6
    check(imported.__class__(**{**vars(imported), "reference": lambda _: [expected]}), x)


@pytest.mark.parametrize("order", [0, 1])
def test_indices_of_largest_elements_count_the_whole_tensor(check: Check, order: int) -> None:
    nodes = [
        helper.make_node("MaxPool", ["x"], ["a", "i"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "MaxPool",
            ["x"],
            ["b", "j"],
            kernel_shape=[3, 2],
            strides=[2, 1],
            dilations=[1, 2],
            pads=[1, 0, 0, 1],
            storage_order=order,
        ),
    ]
    elements = dict.fromkeys("ij", TensorProto.INT64)
    proto = model(nodes, [value("x", 2, 3, 6, 5)], results(nodes, 4, elements))
    check(import_model(proto), floats(2, 3, 6, 5), tolerance=0)


def convolution(kind: str, weight: tuple[int, ...], **attributes: Any) -> Any:
    """A model, and the shape of its operand."""
    rank, group = len(weight) - 2, attributes.get("group", 1)
    channels = weight[0] if kind == "ConvTranspose" else weight[1] * group
    features = weight[1] * group if kind == "ConvTranspose" else weight[0]
    shape = (2, channels, 5, 4, 6)[: rank + 2]
    node = helper.make_node(kind, ["x", "w", "b"], ["y"], **attributes)
    constants = {"w": floats(*weight), "b": floats(features)}
    return model([node], [value("x", *shape)], results([node], rank + 2), constants), shape


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [2, 2], "pads": [0, 1, 1, 0]},
        {"strides": [2, 3], "auto_pad": "SAME_UPPER"},
        {"strides": [3, 2], "auto_pad": "SAME_LOWER", "output_padding": [1, 1]},
        {"strides": [2, 2], "output_shape": [10, 8]},
        {"strides": [2, 2], "output_shape": [9, 9], "auto_pad": "SAME_UPPER"},
        {"strides": [1, 2], "output_shape": [3, 7]},
        {
            "strides": [2, 1],
            "dilations": [2, 1],
            "pads": [1, 0, 1, 2],
            "output_padding": [1, 0],
        },
        {"pads": [3, 2, 3, 3]},
    ],
)
def test_transposed_convolution(check: Check, attributes: dict[str, Any]) -> None:
    proto, shape = convolution("ConvTranspose", (4, 3, 3, 3), **attributes)
    check(import_model(proto), floats(*shape))


@pytest.mark.parametrize(
    "weight", [(4, 1, 4), (4, 2, 3), (4, 1, 4, 4), (4, 2, 3, 2), (4, 2, 2, 3, 2)]
)
def test_transposed_convolution_of_groups(check: Check, weight: tuple[int, ...]) -> None:
    rank = len(weight) - 2
    attributes = {"strides": [2, 1, 2][:rank], "pads": [1] * 2 * rank}
    group = weight[0] if weight[1] == 1 else 2
    proto, shape = convolution("ConvTranspose", weight, group=group, **attributes)
    check(import_model(proto), floats(*shape))


def test_transposed_convolution_with_computed_weights(check: Check) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2], pads=[0, 1])
    inputs = [value("x", 1, 3, 5), value("w", 3, 2, 4)]
    check(
        import_model(model([node], inputs, results([node], 3))),
        floats(1, 3, 5),
        floats(3, 2, 4),
    )


@pytest.mark.parametrize(("weight", "group"), [((6, 1, 2, 3, 3), 3), ((4, 2, 3, 1, 2), 2)])
def test_convolution_over_volumes_in_groups(
    check: Check, weight: tuple[int, ...], group: int
) -> None:
    attributes = {"strides": [2, 1, 2], "dilations": [1, 2, 1], "pads": [1, 2, 0, 0, 2, 1]}
    proto, shape = convolution("Conv", weight, group=group, **attributes)
    check(import_model(proto), floats(*shape))


@pytest.mark.parametrize("auto_pad", ["SAME_UPPER", "SAME_LOWER", "VALID"])
def test_convolution_pads_itself(check: Check, auto_pad: str) -> None:
    proto, shape = convolution("Conv", (3, 2, 2, 3), strides=[2, 1], auto_pad=auto_pad)
    check(import_model(proto), floats(*shape))


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
def test_padding_of_any_axes_and_cutting(check: Check, mode: str) -> None:
    pads = {"all": [1, 2, 0, 1, 0, 1, 2, 2], "some": [2, 1, 0, 1], "cut": [-1, 2, 1, -2]}
    nodes = [helper.make_node("Pad", ["x", "all"], ["a"], mode=mode)]
    for name in ("some", "cut"):
        names = ["x", name, "", "axes"]
        nodes.append(helper.make_node("Pad", names, [f"{name}_result"], mode=mode))
    given = {**pads, "axes": [1, -1]}
    proto = model(nodes, [value("x", 3, 4, 5, 6)], results(nodes, 4), given, opset=19)
    check(import_model(proto), floats(3, 4, 5, 6), tolerance=0)


def test_constants_that_nodes_hold(check: Check) -> None:
    nodes = [
        helper.make_node("Constant", [], ["pads"], value_ints=[1, 2]),
        helper.make_node("Pad", ["x", "pads"], ["y"], mode="wrap"),
    ]
    proto = model(nodes, [value("x", 3)], [value("y", 6)], opset=19)
    check(import_model(proto), floats(3), tolerance=0)


def test_attributes_that_do_not_fit_are_named() -> None:
    node = helper.make_node("LRN", ["x"], ["y"], name="norm", size=0)
    with pytest.raises(InvalidInputError, match=r"operator LRN \(node 'norm'\): size is 0"):
        import_model(model([node], [value("x", 1, 2, 3)], [value("y", 1, 2, 3)]))
