"""Evaluate what an ONNX graph computes from shapes and index tables alone.

Exporters write sizes down as computations: Reshape(x, Concat(Shape(y)[0] * 4, 96)).
Shape inference follows only some of them; once the inputs have static shapes, all of
them are constants. Matrices of floats are not looked into: rearranging weights is the
passes' work.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from smartmem.errors import InvalidInputError
from smartmem.parameters import Array

LARGEST = 1 << 20
"""Elements; larger tables cost less to compute than to store."""

_FLOATS = 64
"""Elements; scales and sizes computed as floats have fewer, weights more."""

_GROWING = frozenset(
    [
        "ConstantOfShape",
        "DFT",
        "Expand",
        "EyeLike",
        "OneHot",
        "Pad",
        "Range",
        "Resize",
        "HannWindow",
        "HammingWindow",
        "BlackmanWindow",
        "MelWeightMatrix",
        "Tile",
        "Upsample",
    ]
)
"""Operators whose results can be of any size, whatever the size of their operands."""

_NO_NUMBERS = ("Sequence", "SplitToSequence", "ConcatFromSequence", "Optional", "String")
"""How the names of operators start whose results are lists or text."""

RANDOM_OPERATORS = ("Random", "Bernoulli", "Multinomial")
"""How the names of operators that draw random numbers start."""

_NOT_FOLDED = (
    "Constant",
    "ConvInteger",
    "DequantizeLinear",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
)
"""Constants are what folding makes. Quantized weights would take four times the room."""


class ConstantFolder:
    """Folds a graph in sweeps: every sweep can use shapes that the last one made known."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._graph = model.graph
        self._opsets = list(model.opset_import)
        self._known: dict[str, Array] = {}
        for name, tensor in constant_tensors(self._graph).items():
            self._learn(name, tensor)

    def sweep(self, values: dict[str, onnx.ValueInfoProto]) -> bool:
        """Replaces nodes by initializers where possible; says whether there were any.

        Args:
            values: what shape inference knows now, by value name.
        """
        left = [node for node in self._graph.node if not self._fold(node, values)]
        changed = len(left) < len(self._graph.node)
        if changed:
            del self._graph.node[:]
            self._graph.node.extend(left)
        return changed

    def _learn(self, name: str, tensor: onnx.TensorProto) -> None:
        count = int(np.prod(tensor.dims, dtype=np.int64))
        floating = "FLOAT" in onnx.TensorProto.DataType.Name(tensor.data_type)
        external = tensor.data_location == onnx.TensorProto.EXTERNAL
        if count <= (_FLOATS if floating else LARGEST) and not external:
            self._known[name] = numpy_helper.to_array(tensor)

    def _fold(self, node: onnx.NodeProto, values: dict[str, onnx.ValueInfoProto]) -> bool:
        results = self._evaluate(node, values)
        if results is None:
            return False
        for name, result in zip(node.output, results, strict=True):
            self._known[name] = result
            self._graph.initializer.append(numpy_helper.from_array(result, name))
        return True

    def _evaluate(
        self, node: onnx.NodeProto, values: dict[str, onnx.ValueInfoProto]
    ) -> list[Array] | None:
        if node.op_type in ("Shape", "Size") and node.input[0] in values:
            return _shape_of(node, values[node.input[0]])
        inputs = [name for name in node.input if name]
        if (
            node.domain not in ("", "ai.onnx")
            or node.op_type in _NOT_FOLDED
            or node.op_type.startswith(_NO_NUMBERS)
            or any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute)
            or not all(name in self._known for name in inputs)
            or not all(node.output)
            or not all(self._may_store(node, values.get(name)) for name in node.output)
        ):
            return None
        results = self._run(node, inputs)
        small = results is not None and all(result.size <= LARGEST for result in results)
        return results if small else None

    def _may_store(self, node: onnx.NodeProto, value: onnx.ValueInfoProto | None) -> bool:
        """Whether a result is small enough, as far as is known before it is computed."""
        shape = None if value is None else _static_shape(value)
        if shape is None:
            return node.op_type not in _GROWING
        return math.prod(int(size) for size in shape) <= LARGEST

    def _run(self, node: onnx.NodeProto, inputs: list[str]) -> list[Array] | None:
        """What ``node`` gives; None if onnx's evaluator does not say.

        Raises:
            InvalidInputError: the operands do not fit the operator.
        """
        operands = [self._known[name] for name in inputs]
        _check_operands(node, operands)
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = (
                    [_gather_elements(node, *operands)]
                    if node.op_type == "GatherElements"
                    else self._evaluated(node, inputs)
                )
        except (NotImplementedError, RuntimeError, TypeError, KeyError):
            return None  # not every operator is in the evaluator, in every version
        except (ValueError, IndexError, AssertionError) as error:
            line = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InvalidInputError(
                f"operator {node.op_type} (node {node.name!r}) cannot be evaluated: {line[:200]}"
            ) from error
        plain = all(isinstance(r, np.ndarray | np.generic) for r in results)
        return [np.asarray(result) for result in results] if plain else None

    def _evaluated(self, node: onnx.NodeProto, inputs: list[str]) -> list[Any]:
        feeds = {name: self._known[name] for name in inputs}
        graph = helper.make_graph(
            [node],
            "constant",
            [
                helper.make_tensor_value_info(
                    name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
                )
                for name, value in feeds.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in node.output],
        )
        model = helper.make_model(graph, opset_imports=self._opsets)
        return list(ReferenceEvaluator(model).run(None, feeds))


def _check_operands(node: onnx.NodeProto, operands: list[Array]) -> None:
    """What the evaluator never comes back from, or answers with an error of NumPy's."""
    if node.op_type == "Range" and len(operands) == 3 and not operands[2].all():
        raise InvalidInputError(
            f"operator Range (node {node.name!r}) has the step 0; mend the model"
        )


def _gather_elements(node: onnx.NodeProto, data: Array, indices: Array) -> Array:
    """What onnx's evaluator fails to compute of an axis of more than 32 elements."""
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    places = list(np.ogrid[tuple(slice(size) for size in indices.shape)])
    places[axis] = indices
    gathered: Array = data[tuple(places)]
    return gathered


def constant_tensors(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """The initializers and what Constant nodes of numbers hold, by the values' names."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        tensor = _constant(node)
        if tensor is not None:
            found[node.output[0]] = tensor
    return found


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    """What a Constant node of numbers holds; None for any other node."""
    if node.op_type != "Constant" or len(node.attribute) != 1:
        return None
    (attribute,) = node.attribute
    if attribute.name == "value":
        return attribute.t
    dtype = {"value_int": np.int64, "value_float": np.float32}.get(attribute.name.rstrip("s"))
    value = helper.get_attribute_value(attribute)
    return None if dtype is None else numpy_helper.from_array(np.array(value, dtype))


def _static_shape(value: onnx.ValueInfoProto) -> Array | None:
    tensor = value.type.tensor_type
    sizes = tensor.shape.dim
    if not tensor.HasField("shape") or not all(size.HasField("dim_value") for size in sizes):
        return None
    return np.array([size.dim_value for size in sizes], dtype=np.int64)


def _shape_of(node: onnx.NodeProto, value: onnx.ValueInfoProto) -> list[Array] | None:
    shape = _static_shape(value)
    if shape is None:
        return None
    if node.op_type == "Size":
        return [np.array(shape.prod(), dtype=np.int64)]
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return [shape[ends.get("start", 0) : ends.get("end", len(shape))]]
