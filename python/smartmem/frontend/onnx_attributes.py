"""Check attributes that torch-mlir trusts: some wrong ones end the process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import onnx
from onnx import helper

from smartmem.errors import InvalidInputError
from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.frontend.onnx_shapes import tensor_shape

Shape = tuple[int, ...]

_AT_LEAST_ONE = ("group", "blocksize", "strides", "dilations", "kernel_shape", "hidden_size")
"""Sizes and counts, of whichever operator."""

_GROUPED = ("Conv", "ConvInteger", "ConvTranspose", "QLinearConv")
_ALONG_AXIS = (
    *(
        "ArgMax",
        "ArgMin",
        "Concat",
        "Gather",
        "GatherElements",
        "Hardmax",
        "LayerNormalization",
    ),
    *(
        "LogSoftmax",
        "LpNormalization",
        "Scatter",
        "ScatterElements",
        "Softmax",
        "Split",
        "TopK",
    ),
)


def check_values(model: onnx.ModelProto) -> None:
    """Checks what attributes say by themselves, before shapes are inferred from them.

    Raises:
        InvalidInputError: names the node and the attribute.
    """
    for node in _nodes(model.graph):
        if node.domain not in ("", "ai.onnx"):
            continue
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type}
        for name in _AT_LEAST_ONE:
            value = given.get(name, [])
            numbers = value if isinstance(value, list) else [value]
            if any(isinstance(number, int) and number < 1 for number in numbers):
                raise _wrong(node, name, value, "the least is 1")
        perm = list(given.get("perm", []))
        if sorted(perm) != list(range(len(perm))):
            raise _wrong(node, "perm", perm, "it has to hold each dim once")


def check_shapes(model: onnx.ModelProto) -> None:
    """Checks attributes against the shapes of operands.

    Args:
        model: every value has a static shape.

    Raises:
        InvalidInputError: names the node and the attribute.
    """
    graph = model.graph
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    constants = constant_tensors(graph)

    def shape(name: str) -> Shape:
        return tuple(constants[name].dims) if name in constants else tensor_shape(values[name])

    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute if a.type}
        if node.op_type in _ALONG_AXIS:
            rank, axis = len(shape(node.input[0])), given.get("axis", 0)
            if not -rank <= axis < max(rank, 1):
                raise _wrong(node, "axis", axis, f"the operand has {rank} dims")
        if node.op_type in _GROUPED:
            weights = node.input[3 if node.op_type == "QLinearConv" else 1]
            _check_group(node, given, shape(node.input[0]), shape(weights))


def _check_group(
    node: onnx.NodeProto, given: Mapping[str, Any], image: Shape, weights: Shape
) -> None:
    """Groups divide the channels, and the weights are of as many channels as a group."""
    group, transposed = given.get("group", 1), node.op_type == "ConvTranspose"
    if len(image) < 3 or len(image) != len(weights):
        raise _wrong(
            node, "kernel_shape", list(weights[2:]), f"the image has {len(image)} dims"
        )
    expected = weights[0] if transposed else weights[1] * group
    if image[1] % group or image[1] != expected or weights[0] % group:
        channels = f"{image[1]} channels, and the weights are of {weights[0]}x{weights[1]}"
        raise _wrong(node, "group", group, f"the image has {channels}")


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _wrong(node: onnx.NodeProto, name: str, value: object, why: str) -> InvalidInputError:
    place = node.name or ", ".join(filter(None, node.output))
    return InvalidInputError(
        f"operator {node.op_type} (node {place!r}): {name} is {value}; {why}"
    )
