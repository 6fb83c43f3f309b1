"""Give every value of an ONNX model a static shape, or say which sizes are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend.onnx_checks import check_results
from smartmem.frontend.onnx_control_flow import expand_control_flow
from smartmem.frontend.onnx_fold import ConstantFolder
from smartmem.frontend.onnx_functions import complete_functions, inline_functions
from smartmem.frontend.onnx_inference import infer_types
from smartmem.frontend.onnx_lists import expand_lists

_DATA_KEPT = 1024
"""Bytes; inference looks into shapes and axes, which are smaller constants."""


def fix_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Gives inputs the sizes in ``shapes`` and infers the types of all values.

    Args:
        model: checked; changed in place.
        shapes: shape by input name. A size fixed for one input holds for every input
            whose size has the same symbol.

    Raises:
        InvalidInputError: ``shapes`` does not fit the inputs, or leaves a size open.
        UnsupportedError: the type of a value cannot be inferred: a node has an operator
            that ONNX does not define.
    """
    graph = model.graph
    initialized = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in initialized]
    _check_names(shapes, inputs)
    symbols = _symbols(inputs, shapes)
    for value in inputs:
        _set_shape(value, shapes.get(value.name), symbols)
    # Written down for the open sizes; inference finds them anew for the fixed ones.
    del graph.value_info[:]
    for value in graph.output:
        if not _is_static(value):
            value.type.tensor_type.ClearField("shape")
    complete_functions(model)
    inferred = _folded(model)
    while _expand(model, inferred):
        inferred = _folded(model)
    check_results(inferred)
    for field in ("value_info", "output"):
        del getattr(graph, field)[:]
        getattr(graph, field).extend(getattr(inferred, field))
    for node, typed in zip(graph.node, inferred.node, strict=True):
        node.CopyFrom(typed)  # the values of subgraphs are typed inside their node
    _check_typed(graph)


def _expand(model: onnx.ModelProto, typed: onnx.GraphProto) -> bool:
    return (
        inline_functions(model, typed)
        or expand_control_flow(model, typed)
        or expand_lists(model, typed)
    )


def _folded(model: onnx.ModelProto) -> onnx.GraphProto:
    """Folds constants in place; the graph with the types of its values, without data."""
    folder = ConstantFolder(model)
    inferred = infer_types(_without_data(model))
    while folder.sweep(_values(inferred)):
        inferred = infer_types(_without_data(model))
    return inferred


def tensor_shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    """The static shape of a tensor value.

    Raises:
        UnsupportedError: the value is no tensor, or its shape is not known.
    """
    if value.type.WhichOneof("value") != "tensor_type":
        raise UnsupportedError(f"{value.name} is not a tensor; SmartMem compiles tensors only")
    if not _is_static(value):
        raise UnsupportedError(
            f"the shape of {value.name} depends on the values that the model computes "
            f"({_spelled(value)}); SmartMem compiles static shapes"
        )
    return tuple(size.dim_value for size in value.type.tensor_type.shape.dim)


def _is_static(value: onnx.ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.HasField("shape") and all(d.HasField("dim_value") for d in tensor.shape.dim)


def _spelled(value: onnx.ValueInfoProto) -> str:
    if not value.type.tensor_type.HasField("shape"):
        return "unknown rank"
    sizes = value.type.tensor_type.shape.dim
    return "x".join(str(d.dim_value) if d.HasField("dim_value") else _symbol(d) for d in sizes)


def _symbol(size: onnx.TensorShapeProto.Dimension) -> str:
    return size.dim_param or "?"


def _check_names(
    shapes: Mapping[str, Sequence[int]], inputs: Sequence[onnx.ValueInfoProto]
) -> None:
    names = [value.name for value in inputs]
    unknown = [name for name in shapes if name not in names]
    if unknown:
        raise InvalidInputError(
            f"a shape is given for {unknown[0]!r}; the model's inputs are {', '.join(names)}"
        )


def _symbols(
    inputs: Sequence[onnx.ValueInfoProto], shapes: Mapping[str, Sequence[int]]
) -> dict[str, int]:
    """What the given shapes say about the model's symbolic sizes."""
    found: dict[str, int] = {}
    for value in inputs:
        sizes = value.type.tensor_type.shape.dim
        given = shapes.get(value.name)
        if given is None or not value.type.tensor_type.HasField("shape"):
            continue
        if len(given) != len(sizes):
            raise InvalidInputError(
                f"the shape given for {value.name} has {len(given)} sizes, the model's "
                f"has {len(sizes)} ({_spelled(value)})"
            )
        for size, number in zip(sizes, given, strict=True):
            if size.dim_param and found.setdefault(size.dim_param, number) != number:
                raise InvalidInputError(
                    f"the given shapes make the size {size.dim_param!r} both "
                    f"{found[size.dim_param]} and {number}"
                )
    return found


def _set_shape(
    value: onnx.ValueInfoProto, given: Sequence[int] | None, symbols: Mapping[str, int]
) -> None:
    tensor = value.type.tensor_type
    if value.type.HasField("tensor_type") and not tensor.HasField("shape"):
        if given is None:
            raise InvalidInputError(
                f"input {value.name} has no shape in the model; give it, as in "
                f"input_shapes={{{value.name!r}: (1, 3)}}"
            )
        tensor.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in given)
        tensor.shape.SetInParent()
    sizes = tensor.shape.dim
    for axis, size in enumerate(sizes):
        number = given[axis] if given is not None else symbols.get(size.dim_param)
        if size.HasField("dim_value"):
            if number not in (None, size.dim_value):
                raise InvalidInputError(
                    f"the shape given for {value.name} differs from the model's in axis "
                    f"{axis}: {number} against {size.dim_value}"
                )
        elif number is not None:
            size.dim_value = int(number)
    if value.type.WhichOneof("value") == "tensor_type" and not _is_static(value):
        raise InvalidInputError(
            f"input {value.name} has dynamic sizes ({_spelled(value)}); give its shape, "
            f"for example input_shapes={{{value.name!r}: {_example(value)}}}"
        )


def _example(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(max(size.dim_value, 1) for size in value.type.tensor_type.shape.dim)


def _values(graph: onnx.GraphProto) -> dict[str, onnx.ValueInfoProto]:
    return {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}


def _without_data(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large initializers are inputs: inference then takes no time for
    them, and protobuf's limit of 2 GB is no limit to the model."""
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = model.graph
    bare.graph.CopyFrom(
        onnx.GraphProto(
            name=graph.name, node=graph.node, input=graph.input, output=graph.output
        )
    )
    inputs = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if tensor.ByteSize() <= _DATA_KEPT:
            bare.graph.initializer.add().CopyFrom(tensor)
        elif tensor.name not in inputs:
            value = (tensor.name, tensor.data_type, tensor.dims)
            bare.graph.input.append(onnx.helper.make_tensor_value_info(*value))
    return bare


def _check_typed(graph: onnx.GraphProto) -> None:
    known = {value.name for value in (*graph.value_info, *graph.output, *graph.input)}
    for node in graph.node:
        if any(name and name not in known for name in node.output):
            domain = f"{node.domain}." if node.domain else ""
            raise UnsupportedError(
                f"operator {domain}{node.op_type} (node {node.name!r}) is not known to "
                "ONNX, so its result has no type; replace it in the model"
            )
