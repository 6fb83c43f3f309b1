"""An ONNX graph that grows node by node and knows the value of every tensor.

Every node is evaluated with onnx's reference evaluator when it is added, in f64 and in
f32. So shapes need no rules of their own here, and a step whose result is not well
determined in f32, such as a division by almost 0, is found by the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from smartmem.checking.compare import compare
from smartmem.checking.repeated_runs import shuffled
from smartmem.parameters import Array

T = TypeVar("T")

OPSET = 20
IR_VERSION = 10
LARGEST = 2048
"""Elements of one tensor: compiling costs more than running, so size teaches nothing."""
LARGEST_RANK = 6
LARGEST_VALUE = 1e3
ROUNDING = 1e-5
"""Largest relative difference between f32 and f64: a graph above it magnifies rounding
errors so much that it cannot tell right from wrong."""


class Unsuitable(Exception):
    """A step does not fit the tensor it was given; the graph stays as it was."""


def require(condition: bool) -> None:
    """Raises Unsuitable unless ``condition`` holds."""
    if not condition:
        raise Unsuitable


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the graph or a constant.

    Attributes:
        array: its value as the model computes it; floats are f32.
        exact: the same, floats computed in f64 throughout.
    """

    name: str
    array: Array
    exact: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of its dims."""
        return self.array.shape

    @property
    def rank(self) -> int:
        """Number of its dims."""
        return self.array.ndim

    @property
    def is_float(self) -> bool:
        """Whether the model computes it in f32."""
        return self.array.dtype.kind == "f"

    @property
    def declaration(self) -> ValueInfoProto:
        """Its name and type."""
        dtype = helper.np_dtype_to_tensor_dtype(self.array.dtype)
        return helper.make_tensor_value_info(self.name, dtype, self.shape)


@dataclass(frozen=True)
class RandomGraph:
    """A graph to check.

    Attributes:
        model: static shapes; f32, integers and booleans.
        inputs: by name, in the model's order and precision.
        expected: result by name; floats in f64.
    """

    model: ModelProto
    inputs: Mapping[str, Array]
    expected: Mapping[str, Array]

    def refreshed(self, number: int) -> RandomGraph:
        """The same model on other inputs: the same numbers in another order.

        Args:
            number: another order for each.

        Returns:
            This graph, if f32 does not determine the results of the other inputs.
        """
        inputs = dict(zip(self.inputs, shuffled([*self.inputs.values()], number), strict=True))
        arrays = _evaluate_model(self.model, inputs, np.float32)
        exact = _evaluate_model(self.model, inputs, np.float64)
        made = [Tensor(name, arrays[name], exact[name]) for name in arrays]
        if not all(map(_is_checkable, made)):
            return self
        expected = {name: exact[name] for name in self.expected}
        return RandomGraph(self.model, inputs, expected)

    def fault(self, results: Sequence[Array]) -> str:
        """What is wrong with results; empty if they are within SmartMem's tolerances."""
        errors = compare([*self.expected], [*self.expected.values()], results)
        wrong = [e for e in errors if not e.ok]
        return "; ".join(f"{e.name} is off by {e.error:.2e} {e.detail}".strip() for e in wrong)

    def __repr__(self) -> str:
        return str(onnx.printer.to_text(self.model))


class GraphBuilder:
    """A graph under construction.

    Attributes:
        tensors: inputs and results of nodes, in order.
        inputs: those of them that the model takes.
        nodes: in order.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self._rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self._constants: dict[str, Tensor] = {}
        self.tensors: list[Tensor] = []
        self.inputs: list[Tensor] = []
        self.nodes: list[NodeProto] = []

    def choose(self, options: Sequence[T]) -> T:
        """One of ``options``; the first is the simplest."""
        require(len(options) > 0)
        return self._draw(st.sampled_from(options))

    def integer(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        require(low <= high)
        return self._draw(st.integers(low, high))

    def axis(self, x: Tensor) -> int:
        """One axis of ``x``."""
        return self.integer(0, x.rank - 1)

    def permutation(self, count: int) -> list[int]:
        """The numbers below ``count`` in some order."""
        return self._draw(st.permutations(range(count)))

    def random(self, shape: Sequence[int], dtype: str = "float32") -> Array:
        """Standard normal floats, or any integers or booleans."""
        if dtype == "bool":
            return self._rng.random(shape) < 0.5
        if dtype != "float32":
            return self._rng.integers(-1000, 1000, shape).astype(dtype)
        return np.asarray(self._rng.standard_normal(shape), np.float32)

    def input(self, shape: Sequence[int], dtype: str) -> None:
        """Adds an input of the model."""
        self.inputs.append(_exact(f"in{len(self.inputs)}", self.random(shape, dtype)))
        self.tensors.append(self.inputs[-1])

    def weight(self, shape: Sequence[int], terms: int = 1) -> Tensor:
        """A constant, so small that sums of ``terms`` products with it stay near 1."""
        return self.constant(self.random(shape) / np.float32(np.sqrt(terms)))

    def constant(self, values: Array | Sequence[int]) -> Tensor:
        """A constant; integers are a shape, axes, offsets and the like."""
        tensor = _exact(f"c{len(self._constants)}", np.asarray(values))
        self._constants[tensor.name] = tensor
        return tensor

    def apply(self, op: str, *operands: Tensor, results: int = 1, **attributes: Any) -> Tensor:
        """Adds a node; its first result.

        Raises:
            Unsuitable: a result is empty, too large, not finite, or mostly rounding error.
        """
        outputs = [f"t{len(self.nodes)}_{k}" for k in range(results)]
        node = helper.make_node(op, [o.name for o in operands], outputs, **attributes)
        arrays = _evaluate(node, {o.name: o.array for o in operands})
        exact = _evaluate(node, {o.name: o.exact for o in operands})
        made = [Tensor(*parts) for parts in zip(outputs, arrays, exact, strict=True)]
        require(all(map(_is_checkable, made)))
        self.nodes.append(node)
        self.tensors += made
        return made[0]

    def attempt(self, step: Callable[[GraphBuilder, Tensor], object], x: Tensor) -> bool:
        """Takes a step from ``x``, or leaves the graph as it was."""
        tensors, nodes = len(self.tensors), len(self.nodes)
        try:
            step(self, x)
        except Unsuitable:
            del self.tensors[tensors:], self.nodes[nodes:]
            return False
        return True

    def graph(self, results: Sequence[Tensor]) -> RandomGraph:
        """The graph that returns ``results``."""
        read = {name for node in self.nodes for name in node.input}
        constants = [c for c in self._constants.values() if c.name in read]
        graph = helper.make_graph(
            self.nodes,
            "random",
            [t.declaration for t in self.inputs],
            [t.declaration for t in results],
            [numpy_helper.from_array(c.array, c.name) for c in constants],
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        inputs = {t.name: t.array for t in self.inputs}
        return RandomGraph(model, inputs, {t.name: t.exact for t in results})


def _exact(name: str, array: Array) -> Tensor:
    return Tensor(name, array, array.astype(np.float64) if array.dtype.kind == "f" else array)


def _evaluate_model(
    model: ModelProto, feeds: Mapping[str, Array], dtype: type[np.floating[Any]]
) -> dict[str, Array]:
    """All that the nodes of a model make, by name, floats computed in ``dtype``."""
    constants = {c.name: numpy_helper.to_array(c) for c in model.graph.initializer}
    given = {**feeds, **constants}
    values = {n: a.astype(dtype) if a.dtype.kind == "f" else a for n, a in given.items()}
    made: dict[str, Array] = {}
    for node in model.graph.node:
        results = _evaluate(node, {name: {**values, **made}[name] for name in node.input})
        made |= dict(zip(node.output, results, strict=True))
    return made


def _evaluate(node: NodeProto, feeds: Mapping[str, Array]) -> list[Array]:
    given, results = ([ValueInfoProto(name=n) for n in names] for names in (feeds, node.output))
    graph = helper.make_graph([node], "node", given, results)
    with np.errstate(all="ignore"):
        try:
            values = ReferenceEvaluator(graph, {"": OPSET}).run(None, dict(feeds))
        except IndexError:
            # onnx's evaluator leaves the image where the last window begins in the padding.
            # An empty tensor is not checkable: the graph goes on without this node.
            return [np.empty(0, np.float32) for _ in node.output]
    return [np.asarray(value) for value in values]


def _is_checkable(tensor: Tensor) -> bool:
    if not 0 < tensor.exact.size <= LARGEST or tensor.rank > LARGEST_RANK:
        return False
    if not tensor.is_float:
        return True
    scale, error = np.abs(tensor.exact).max(), np.abs(tensor.array - tensor.exact).max()
    return bool(scale <= LARGEST_VALUE and error <= ROUNDING * scale)
