"""Infer the types of an ONNX model's values by onnx's own inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from smartmem.errors import InvalidInputError

_ROUNDED_POOLS = ("AveragePool", "LpPool", "MaxPool")
_RIGHT_OPSET = 22
"""From this on, inference leaves out windows that begin in the padding behind."""
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
        if (opset < _RIGHT_OPSET and _is_rounded(node)) or _padded_less(body, weights):
            originals[place] = onnx.NodeProto()
            originals[place].CopyFrom(node)
            model.functions.append(_function(body, f"node{place}"))
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


def _function(node: onnx.NodeProto, name: str) -> onnx.FunctionProto:
    opset = onnx.helper.make_opsetid("", _RIGHT_OPSET)
    outputs = [output or f"{name}/left_out" for output in node.output]
    body = onnx.NodeProto()
    body.CopyFrom(node)
    del body.output[:]
    body.output.extend(outputs)
    return onnx.helper.make_function(_DOMAIN, name, node.input, outputs, [body], [opset])
