"""Write operators of unsigned integers that torch-mlir computes as if these had a sign.

    Mod(x: UINT8, y)        ->  Cast(Mod(Cast(x, to=INT64), Cast(y, to=INT64)), to=UINT8)
    Clip(x: UINT8, a, b)    ->  Min(Max(x, a), b)
    Sign(x: UINT8)          ->  Cast(Cast(x, to=BOOL), to=UINT8)
    Abs(x: UINT8)           ->  Identity(x)

64 bits hold all values of up to 32, and casts back wrap around as unsigned arithmetic does.
UINT64 goes the same way where sums and products are all that is computed, whose lowest 64 bits
the sign does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import onnx
from onnx import TensorProto

from smartmem.frontend.onnx_expansion import Expansion, Graph

Nodes = list[onnx.NodeProto]

_UNSIGNED = frozenset(
    (TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64)
)

_RIGHT = frozenset(
    (
        *("Add", "And", "ArgMax", "ArgMin", "BitShift", "BitwiseAnd", "BitwiseNot"),
        *("BitwiseOr", "BitwiseXor", "Cast", "Compress", "Concat", "CumSum", "DepthToSpace"),
        *("Equal", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Greater"),
        *("GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mul"),
        *("Pad", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape"),
        *("Size", "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Tile", "Transpose"),
        *("Unsqueeze", "Where"),
    )
)
"""Operators that come out right as they are."""

_LEFT_ALONE = ("If", "Loop", "Scan", "Sequence", "Optional", "QLinear", "ConcatFromSequence")
"""How the names of operators start that hold graphs or lists, or are quantized: what these
make of unsigned integers is written elsewhere."""

_QUANTIZED = frozenset(
    (
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "QuantizeLinear",
    )
)

_WRAPPING = frozenset(
    ("Einsum", "Gemm", "MatMul", "OneHot", "ReduceSumSquare", "ReverseSequence", "Trilu")
)
"""Operators that move elements, or are of sums and products alone."""


def _clip(e: Expansion) -> Nodes:
    value = e.node.input[0]
    for place, kind in ((1, "Max"), (2, "Min")):
        limit = e.operand(place)
        value = value if limit is None else e.op(kind, value, limit)
    return e.finish(value)


def _as_sum(e: Expansion) -> Nodes:
    node = onnx.NodeProto()
    node.CopyFrom(e.node)
    node.op_type = "ReduceSum"
    axes = e.attribute("axes")
    if axes is not None:  # an operand of sums, before opset 18 an attribute of all others
        node.input.append(e.constant(axes))
        kept = [a for a in node.attribute if a.name != "axes"]
        del node.attribute[:]
        node.attribute.extend(kept)
    return [node]


def _sign(e: Expansion) -> Nodes:
    value = e.node.input[0]
    is_some = e.op("Cast", value, to=TensorProto.BOOL)
    return e.finish(e.op("Cast", is_some, to=e.element(value)))


def _pow(e: Expansion) -> Nodes:
    base, exponent = e.node.input
    if e.element(base) in _UNSIGNED:
        return [e.node]  # products, or refused, in onnx_integers
    if e.dtype(base).kind == "f":
        exponent = e.op("Cast", exponent, to=e.element(base))
        return e.finish(e.op("Pow", base, exponent))
    return _widened(e)


def _max_pool(e: Expansion) -> Nodes:
    return [e.node] if e.element(e.node.input[0]) == TensorProto.UINT8 else _widened(e)


def _widened(e: Expansion) -> Nodes:
    elements = map(e.element, filter(None, e.node.input))
    if e.node.op_type not in _WRAPPING and TensorProto.UINT64 in elements:
        raise e.unsupported("is of 64 unsigned bits; cast its operands to INT64 in the model")
    return e.retyped(dict.fromkeys(_UNSIGNED, TensorProto.INT64))


_OWN: Mapping[str, Callable[[Expansion], Nodes]] = {
    "Abs": lambda e: e.finish(e.node.input[0]),
    "Clip": _clip,
    "MaxPool": _max_pool,
    "Pow": _pow,
    "ReduceL1": _as_sum,
    "Relu": lambda e: e.finish(e.node.input[0]),
    "Sign": _sign,
}


def widen_unsigned(model: onnx.ModelProto) -> None:
    """Applies the rewrites in place; every value of ``model`` has a static shape.

    Raises:
        UnsupportedError: an operator of 64 unsigned bits that no signed ones compute.
    """
    graph = Graph(model)
    nodes: Nodes = []
    for node in graph.nodes:
        if _is_of_interest(node) and _has_unsigned(graph, node):
            nodes.extend(_rewritten(Expansion(graph, node)))
        else:
            nodes.append(node)
    graph.replace_nodes(nodes)


def _is_of_interest(node: onnx.NodeProto) -> bool:
    kind = node.op_type
    if node.domain not in ("", "ai.onnx") or kind in _QUANTIZED or kind.startswith(_LEFT_ALONE):
        return False
    return kind not in _RIGHT and any(node.output)


def _has_unsigned(graph: Graph, node: onnx.NodeProto) -> bool:
    return any(
        graph.type(name).tensor_type.elem_type in _UNSIGNED for name in node.input if name
    )


def _rewritten(e: Expansion) -> Nodes:
    kind = e.node.op_type
    if kind in _OWN:
        return _OWN[kind](e)
    if kind.startswith("Scatter") and e.attribute("reduction", "none") in (
        "none",
        "add",
        "mul",
    ):
        return [e.node]
    return _widened(e)
