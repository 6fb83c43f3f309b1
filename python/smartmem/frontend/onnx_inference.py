"""Infer the types of an ONNX model's values by onnx's own inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import onnx

from smartmem.errors import InvalidInputError

_ROUNDED_POOLS = ("AveragePool", "LpPool", "MaxPool")
_RIGHT_OPSET = 22
"""From this on, inference leaves out windows that begin in the padding behind."""
_ATTRIBUTES_OPSET = 9
"""In this one pads and slices are attributes."""
_DOMAIN = "smartmem.shapes"


def infer_types(model: onnx.ModelProto) -> onnx.GraphProto:
    """The graph of ``model`` with the types of its values.

    Args:
        model: changed in place.

    Raises:
        InvalidInputError: shapes do not fit together.
    """
    originals = _stand_in(model)
    try:
        inferred = _inferred(model)
    except onnx.shape_inference.InferenceError as error:
        line = (str(error).strip().splitlines() or [""])[-1]
        raise InvalidInputError(
            f"the model's shapes do not fit together: {line[:300]}"
        ) from error
    for place, node in originals.items():
        inferred.graph.node[place].CopyFrom(node)
    return inferred.graph


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True, strict_mode=True)
    except onnx.shape_inference.InferenceError:
        # It stumbles over values that two subgraphs, or runs of one, have under one name.
        return onnx.shape_inference.infer_shapes(model, strict_mode=True)


def _stand_in(model: onnx.ModelProto) -> dict[int, onnx.NodeProto]:
    """Makes functions of the nodes that inference is wrong about; the nodes as they were."""
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    weights |= {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in model.graph.input
    }
    originals = {}
    for place, node in enumerate(model.graph.node):
        if node.domain not in ("", "ai.onnx"):
            continue
        body = onnx.NodeProto()
        body.CopyFrom(node)
        cut = _cut_to_size(body, weights)
        if cut or (opset < _RIGHT_OPSET and _is_rounded(node)) or _padded_less(body, weights):
            originals[place] = onnx.NodeProto()
            originals[place].CopyFrom(node)
            version = _ATTRIBUTES_OPSET if cut else _RIGHT_OPSET
            model.functions.append(_function(node, [body, *cut], f"node{place}", version))
            del node.attribute[:]
            node.domain, node.op_type = _DOMAIN, f"node{place}"
    if originals:
        model.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return originals


def _is_rounded(node: onnx.NodeProto) -> bool:
    """Whether a pool has ``ceil_mode``: ONNX Runtime and PyTorch always counted windows as
    the newer opset does."""
    return node.op_type in _ROUNDED_POOLS and any(
        a.name == "ceil_mode" and a.i for a in node.attribute
    )


def _padded_less(node: onnx.NodeProto, weights: Mapping[str, Sequence[int]]) -> bool:
    """Makes the result of a transposed convolution as large as ``auto_pad`` says.

    Inference adds ``output_padding`` to that. Changes ``node``; says whether it had to.
    """
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    more = attributes.get("output_padding", [])
    if node.op_type != "ConvTranspose" or not any(more) or attributes.get("output_shape"):
        return False
    if not attributes.get("auto_pad", b"").startswith(b"SAME") or node.input[1] not in weights:
        return False
    ones = [1] * len(more)
    extents = [
        (kernel - 1) * dilation + 1
        for kernel, dilation in zip(
            weights[node.input[1]][2:], attributes.get("dilations", ones), strict=True
        )
    ]
    fitting = [
        m - max(0, m + extent - stride) + max(0, extent - stride)
        for m, extent, stride in zip(
            more, extents, attributes.get("strides", ones), strict=True
        )
    ]
    for attribute in node.attribute:
        if attribute.name == "output_padding":
            attribute.ints[:] = fitting
    return True


def _cut_to_size(
    node: onnx.NodeProto, weights: Mapping[str, Sequence[int]]
) -> list[onnx.NodeProto]:
    """What makes the whole result of a transposed convolution as large as the node says.

    Inference finds no shape where that is less than the operand. Changes ``node``, whose result
    becomes the whole one.
    """
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    sizes = list(attributes.get("output_shape", []))
    known = weights.get(node.input[1]) if node.op_type == "ConvTranspose" else None
    if known is None or not sizes or len(sizes) != len(known) - 2:
        return []
    kept = [a for a in node.attribute if a.name in ("dilations", "group", "strides")]
    del node.attribute[:]
    node.attribute.extend(kept)
    (result,) = node.output
    node.output[0], padded = f"{result}/whole", f"{result}/padded"
    pads = [0] * (len(sizes) + 4) + sizes
    limits: dict[str, Any] = {
        "starts": [0] * len(sizes),
        "axes": range(2, len(sizes) + 2),
        "ends": sizes,
    }
    return [
        onnx.helper.make_node("Pad", [node.output[0]], [padded], pads=pads),
        onnx.helper.make_node("Slice", [padded], [result], **limits),
    ]


def _function(
    node: onnx.NodeProto, body: Sequence[onnx.NodeProto], name: str, version: int
) -> onnx.FunctionProto:
    """A function in the place of ``node``, computed by ``body``, whose results can be left out."""
    opset = onnx.helper.make_opsetid("", version)
    outputs = [output or f"{name}/left_out" for output in node.output]
    if len(body) == 1:
        del body[0].output[:]
        body[0].output.extend(outputs)
    return onnx.helper.make_function(_DOMAIN, name, node.input, outputs, body, [opset])
