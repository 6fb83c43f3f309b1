"""Write operators that ONNX defines by simpler ones as those.

    Swish(x)  ->  Mul(x, Sigmoid(Mul(x, CastLike(1.0, x))))

Only those that torch-mlir has no lowering of, or one of dynamic shapes only, or a coarse
one: what it lowers by itself becomes fewer operations.
"""

from __future__ import annotations

from typing import Any

import onnx
import onnx.inliner

_FUNCTIONS = frozenset(
    (
        "Attention",
        "CausalConvWithState",
        "CenterCropPad",
        "GroupNormalization",
        "LinearAttention",
        "MeanVarianceNormalization",
        "NegativeLogLikelihoodLoss",
        "RMSNormalization",
        "RotaryEmbedding",
        "SoftmaxCrossEntropyLoss",
        "SwiGLU",
        "Swish",
    )
)

_INFERRED_BY_ATTRIBUTES = ("STFT",)
"""Operators whose default attributes onnx's inference takes for others."""

# The inliner looks for the type of optional operands that a node leaves out, too.
_LEFT_OUT = onnx.TensorProto(name="", data_type=onnx.TensorProto.UNDEFINED)


def inline_functions(model: onnx.ModelProto, typed: onnx.GraphProto) -> bool:
    """Applies the rewrite in place; says whether there was anything to rewrite.

    Args:
        model: its nodes are replaced.
        typed: the same graph with the types of its values, on which the bodies of
            functions can depend; large constants can be inputs there.
    """
    opset = _opset(model)
    called = {node.op_type for node in typed.node if _is_function(node)}
    called = {name for name in called if _has_body(name, opset)}
    if not called:
        return False
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.CopyFrom(typed)
    for tensor in (*typed.initializer, _LEFT_OUT):
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        bare.graph.value_info.append(value)
    inlined = onnx.inliner.inline_selected_functions(
        bare, [("", name) for name in sorted(called)], inline_schema_functions=True
    )
    del model.graph.node[:]
    model.graph.node.extend(inlined.graph.node)
    return True


def complete_functions(model: onnx.ModelProto) -> None:
    """Writes the default attributes of functions, and of what inference is wrong about, down.

    The bodies refer to attributes, and onnx finds only those that a node names.
    """
    opset = _opset(model)
    for node in model.graph.node:
        if not _is_function(node) and node.op_type not in _INFERRED_BY_ATTRIBUTES:
            continue
        given = {attribute.name for attribute in node.attribute}
        for name, attribute in onnx.defs.get_schema(node.op_type, opset).attributes.items():
            if name not in given and attribute.default_value.type:
                node.attribute.append(attribute.default_value)


def _opset(model: onnx.ModelProto) -> int:
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)


def _has_body(name: str, opset: int) -> bool:
    """Whether ONNX writes the operator in others; some it does from a later opset on."""
    schema: Any = onnx.defs.get_schema(name, opset)  # its stub leaves these out
    return bool(schema.has_function or schema.has_context_dependent_function)


def _is_function(node: onnx.NodeProto) -> bool:
    named = node.op_type in _FUNCTIONS or _is_tanh_gelu(node)
    return named and node.domain in ("", "ai.onnx")


def _is_tanh_gelu(node: onnx.NodeProto) -> bool:
    # torch-mlir's own has sqrt(2 / pi) to four digits only.
    approximate = (a.s for a in node.attribute if a.name == "approximate")
    return node.op_type == "Gelu" and b"tanh" in approximate
