"""Check an ONNX model for what cannot work, before tools that answer at length, or not at all.

onnx's own checker does not compare the data of a tensor with its shape, and ends a process at
some of what it does not expect.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import onnx
from onnx import TensorProto

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend.onnx_fold import RANDOM_OPERATORS

MOST_NODES = 1 << 17
"""Nodes of a model when its functions are inlined."""

MOST_ELEMENTS = 1 << 36
"""Elements of a tensor; devices hold less."""

_OF_VALUES = {
    "Compress": "a mask",
    "NonMaxSuppression": "scores",
    "NonZero": "elements",
    "Unique": "elements",
}
"""Operators the size of whose results depends on values, and of which."""

_OF_TEXT = (
    "RegexFullMatch",
    "StringConcat",
    "StringNormalizer",
    "StringSplit",
    "TfIdfVectorizer",
)

_BITS = {
    **dict.fromkeys(("FLOAT", "INT32", "UINT32"), 32),
    **dict.fromkeys(("DOUBLE", "INT64", "UINT64", "COMPLEX64"), 64),
    **dict.fromkeys(("FLOAT16", "BFLOAT16", "INT16", "UINT16"), 16),
    **dict.fromkeys(("INT8", "UINT8", "BOOL"), 8),
    **dict.fromkeys(("INT4", "UINT4"), 4),
    "COMPLEX128": 128,
}


def check_model(model: onnx.ModelProto) -> None:
    """Looks at the nodes, tensors and types of ``model``, subgraphs and functions included.

    Raises:
        InvalidInputError: a name is not UTF-8, a size is negative, an element type unknown, the data of a tensor
            not as long as its shape says, or functions call each other in a circle.
        UnsupportedError: an operator is unknown, random, of text, or its result has a size
            that depends on values; or functions become too many nodes.
    """
    for graph in graphs_of(model.graph):
        _check_text(graph)
        for value in (*graph.input, *graph.output, *graph.value_info):
            _check_type(value.name, value.type)
        for tensor in graph.initializer:
            _check_tensor(tensor, tensor.name)
        _check_nodes(graph.node)
    for function in model.functions:
        _check_nodes(function.node)
    _check_functions(model)


def stand_in_types(model: onnx.ModelProto) -> onnx.ModelProto:
    """What onnx's checker can be given for ``model``: it insists on types of inputs and outputs.

    Inference finds those of outputs, and shapes of inputs can be given beside the model.

    Returns:
        ``model`` if all have types, else a copy in which those without have some.

    Raises:
        InvalidInputError: an input has no element type.
    """
    values = (*model.graph.input, *model.graph.output)
    for value in model.graph.input:
        if value.type.WhichOneof("value") is None or not _is_elementary(value):
            raise InvalidInputError(f"input {value.name} of the model has no element type")
    if all(map(_is_complete, values)):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for value in (*copy.graph.input, *copy.graph.output):
        if not _is_complete(value):
            value.type.CopyFrom(onnx.helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    return copy


def _is_elementary(value: onnx.ValueInfoProto) -> bool:
    return not value.type.HasField("tensor_type") or bool(value.type.tensor_type.elem_type)


def _is_complete(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    if value.type.WhichOneof("value") not in (None, "tensor_type"):
        return True
    return bool(tensor.elem_type) and tensor.HasField("shape")


def _check_text(graph: onnx.GraphProto) -> None:
    """Protobuf hands names that are no text out as bytes, with which nothing else works."""
    names: list[str | bytes] = [tensor.name for tensor in graph.initializer]
    for value in (*graph.input, *graph.output, *graph.value_info):
        names += [value.name, *(d.dim_param for d in value.type.tensor_type.shape.dim)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise InvalidInputError(f"the model holds the name {wrong!r}, which is not UTF-8")


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """The graph and all its subgraphs."""
    yield graph
    for node in graph.node:
        for held in _held_graphs(node):
            yield from graphs_of(held)


def _held_graphs(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [
        graph
        for attribute in node.attribute
        for graph in ([attribute.g] if attribute.HasField("g") else attribute.graphs)
    ]


def _check_nodes(nodes: Sequence[onnx.NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _check_tensor(attribute.t, f"{attribute.name} of node {_name(node)!r}")
        if node.domain in ("", "ai.onnx"):
            _check_operator(node)


def _name(node: onnx.NodeProto) -> str:
    return node.name or next(filter(None, node.output), "")


def _check_operator(node: onnx.NodeProto) -> None:
    what = f"operator {node.op_type} (node {_name(node)!r})"
    if not onnx.defs.has(node.op_type):
        raise UnsupportedError(
            f"{what} is not in ONNX {onnx.__version__}; replace it, or try a newer onnx package"
        )
    if node.op_type.startswith(RANDOM_OPERATORS):
        raise UnsupportedError(f"{what} draws random numbers; give the numbers as an input")
    if node.op_type in _OF_TEXT:
        raise UnsupportedError(f"{what} is of text; SmartMem compiles numbers only")


def check_results(graph: onnx.GraphProto) -> None:
    """Looks at the values of a graph whose types are inferred, and at what is left of it.

    Raises:
        UnsupportedError: a value has too many elements, or a size that depends on values.
    """
    for value in graph.value_info:
        count = math.prod(size.dim_value for size in value.type.tensor_type.shape.dim)
        if count > MOST_ELEMENTS:
            raise UnsupportedError(
                f"{value.name} has {count} elements; SmartMem compiles tensors of up to "
                f"{MOST_ELEMENTS}"
            )
    _refuse_open_sizes(graph)


def _refuse_open_sizes(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if node.op_type in _OF_VALUES and node.domain in ("", "ai.onnx"):
            raise UnsupportedError(
                f"how much operator {node.op_type} (node {_name(node)!r}) gives depends on "
                f"{_OF_VALUES[node.op_type]} known at run time only; SmartMem compiles static "
                "shapes: leave it out of the model"
            )


def _check_type(name: str, type: onnx.TypeProto) -> None:
    if type.WhichOneof("value") != "tensor_type":
        return
    _check_element(name, type.tensor_type.elem_type)
    for size in type.tensor_type.shape.dim:
        if size.dim_value < 0:
            raise InvalidInputError(f"{name} has the negative size {size.dim_value}")


def _check_element(name: str, element: int) -> None:
    if element not in TensorProto.DataType.values():
        raise InvalidInputError(f"{name} has elements of type {element}, which ONNX has not")


def _check_tensor(tensor: TensorProto, name: str) -> None:
    _check_element(name, tensor.data_type)
    if any(size < 0 for size in tensor.dims):
        raise InvalidInputError(f"the constant {name} has a negative size: {list(tensor.dims)}")
    bits = _BITS.get(TensorProto.DataType.Name(tensor.data_type))
    if bits is None or not tensor.HasField("raw_data"):
        return
    wanted = math.ceil(math.prod(tensor.dims) * bits / 8)
    if len(tensor.raw_data) != wanted:
        raise InvalidInputError(
            f"the constant {name} has {len(tensor.raw_data)} bytes of data; its shape "
            f"{list(tensor.dims)} takes {wanted}"
        )


def _check_functions(model: onnx.ModelProto) -> None:
    """Counts what the model becomes, without making it."""
    functions = {(f.domain, f.name): f for f in model.functions}
    counts: dict[tuple[str, str], int | None] = {}

    def count(nodes: Sequence[onnx.NodeProto]) -> int:
        inner = sum(count(graph.node) for node in nodes for graph in _held_graphs(node))
        return inner + sum(called((node.domain, node.op_type)) for node in nodes)

    def called(key: tuple[str, str]) -> int:
        if key not in functions:
            return 1
        if key not in counts:
            counts[key] = None
            counts[key] = count(functions[key].node)
        known = counts[key]
        if known is None:
            raise InvalidInputError(f"the function {key[1]} of the model calls itself")
        return known

    total = count(model.graph.node) if functions else 0
    if total > MOST_NODES:
        raise UnsupportedError(
            f"the functions of the model become {total} nodes when they are inlined; SmartMem "
            f"compiles up to {MOST_NODES}"
        )
