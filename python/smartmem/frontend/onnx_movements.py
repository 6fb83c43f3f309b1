"""Write data movements that torch-mlir gets wrong as simpler ones.

    DepthToSpace(x), SpaceToDepth(x)  ->  Reshape(Transpose(Reshape(x)))
    Slice(x, steps=-1)                ->  Gather(x, indices), for each sliced axis
    Einsum(x, equation="->")          ->  Identity(x)

torch-mlir permutes the wrong dims in mode CRD, makes dynamic shapes of negative steps, and
crashes on an equation without dims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.frontend.onnx_shapes import tensor_shape
from smartmem.parameters import Array

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]
Tables = Sequence[list[int] | None]

_INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)


class _Step(NamedTuple):
    """One node of a chain; it reads the value before and perhaps a constant."""

    op: str
    shape: Shape
    constant: Array | None = None
    attributes: Mapping[str, Any] = {}


def expand_movements(model: onnx.ModelProto) -> None:
    """Applies the rewrites in place; every value of ``model`` has a static shape."""
    graph = model.graph
    values = {v.name: v for v in (*graph.input, *graph.value_info, *graph.output)}
    constants = constant_tensors(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        steps = _steps(node, values, constants)
        if steps:
            element = values[node.output[0]].type.tensor_type.elem_type
            nodes.extend(_chain(graph, node, steps, element))
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _steps(
    node: onnx.NodeProto,
    values: Mapping[str, onnx.ValueInfoProto],
    constants: Mapping[str, onnx.TensorProto],
) -> list[_Step]:
    """The chain that computes what ``node`` does; empty if it is to stay."""
    rewrite = _REWRITES.get(node.op_type)
    if rewrite is None or node.domain not in ("", "ai.onnx"):
        return []
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    source = constants.get(node.input[0])
    shape = tuple(source.dims) if source else tensor_shape(values[node.input[0]])
    return rewrite(shape, attributes, [_table(constants.get(name)) for name in node.input[1:]])


def _table(tensor: onnx.TensorProto | None) -> list[int] | None:
    if tensor is None or tensor.data_type not in _INTEGERS:
        return None
    return [int(value) for value in numpy_helper.to_array(tensor).flat]


def _to_space(shape: Shape, attributes: Attributes, _: Tables) -> list[_Step]:
    n, c, h, w = shape
    block = attributes["blocksize"]
    depth = c // block**2
    if _is_depth_first(attributes):
        split, order = (n, depth, block, block, h, w), (0, 1, 4, 2, 5, 3)
    else:
        split, order = (n, block, block, depth, h, w), (0, 3, 4, 1, 5, 2)
    return _reordered(split, order, (n, depth, h * block, w * block))


def _to_depth(shape: Shape, attributes: Attributes, _: Tables) -> list[_Step]:
    n, c, h, w = shape
    block = attributes["blocksize"]
    split = (n, c, h // block, block, w // block, block)
    order = (0, 1, 3, 5, 2, 4) if _is_depth_first(attributes) else (0, 3, 5, 1, 2, 4)
    return _reordered(split, order, (n, c * block**2, h // block, w // block))


def _is_depth_first(attributes: Attributes) -> bool:
    return bool(attributes.get("mode") == b"CRD")


def _reordered(split: Shape, order: Shape, joined: Shape) -> list[_Step]:
    moved = tuple(split[d] for d in order)
    return [
        _Step("Reshape", split, np.array(split)),
        _Step("Transpose", moved, attributes={"perm": order}),
        _Step("Reshape", joined, np.array(joined)),
    ]


def _without_dims(shape: Shape, attributes: Attributes, _: Tables) -> list[_Step]:
    is_identity = attributes["equation"].replace(b" ", b"") == b"->"
    return [_Step("Identity", shape)] if is_identity else []


def _backwards(shape: Shape, attributes: Attributes, tables: Tables) -> list[_Step]:
    starts, ends, axes, steps = _padded(tables, 4)
    if starts is None or ends is None or steps is None or min(steps, default=1) > 0:
        return []
    axes = list(range(len(starts))) if axes is None else axes
    ranges = zip(axes, starts, ends, steps, strict=True)
    return _gathered(
        shape,
        {axis: range(*slice(*ends).indices(shape[axis])) for axis, *ends in ranges},
    )


def _padded(tables: Tables, count: int) -> Tables:
    return [*tables, *[None] * count][:count]


def _gathered(shape: Shape, ranges: Mapping[int, range]) -> list[_Step]:
    """Takes the elements of a range, counted around, along each axis."""
    steps, sizes = [], list(shape)
    for axis, taken in ranges.items():
        if taken != range(shape[axis]):
            sizes[axis] = len(taken)
            indices = np.array(taken, np.int64) % shape[axis]
            steps.append(_Step("Gather", tuple(sizes), indices, {"axis": axis}))
    return steps


_REWRITES: Mapping[str, Callable[[Shape, Attributes, Tables], list[_Step]]] = {
    "DepthToSpace": _to_space,
    "Einsum": _without_dims,
    "Slice": _backwards,
    "SpaceToDepth": _to_depth,
}
"""By operator: from the shape of the operand, the attributes, and the integers of the
constants among the other operands."""


def _chain(
    graph: onnx.GraphProto, node: onnx.NodeProto, steps: list[_Step], element: int
) -> list[onnx.NodeProto]:
    nodes, value = [], node.input[0]
    for number, step in enumerate(steps):
        is_last = number == len(steps) - 1
        name = node.output[0] if is_last else f"{node.output[0]}/{number}"
        inputs = [value]
        if step.constant is not None:
            inputs.append(f"{node.output[0]}/{number}/constant")
            graph.initializer.append(
                numpy_helper.from_array(step.constant.astype(np.int64), inputs[-1])
            )
        if not is_last:
            typed = helper.make_tensor_value_info(name, element, step.shape)
            graph.value_info.append(typed)
        nodes.append(
            helper.make_node(step.op, inputs, [name], name=node.name, **step.attributes)
        )
        value = name
    return nodes
