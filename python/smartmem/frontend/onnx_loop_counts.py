"""How often an ONNX Loop runs, where constants tell.

The condition of a loop is followed through its body: what it is computed from, carried
values included, is evaluated iteration by iteration, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from smartmem.frontend.onnx_subgraphs import subgraph
from smartmem.parameters import Numbers

MOST = 1 << 12
"""Iterations that are followed."""

_SMALL = 1 << 12
"""Elements; a larger constant is no part of a loop's condition."""


def trip_count(
    loop: onnx.NodeProto,
    constants: Mapping[str, onnx.TensorProto],
    opsets: Iterable[onnx.OperatorSetIdProto],
) -> int | None:
    """The number of iterations; None if inputs decide, or it is more than ``MOST``."""
    limit, start = (_scalar(constants, name) for name in loop.input[:2])
    if any(
        name and found is None for name, found in zip(loop.input, (limit, start), strict=False)
    ):
        return None
    if start is not None and not start:
        return 0
    body = subgraph(loop, "body")
    if _always_true(body):
        return None if limit is None else max(int(limit), 0)
    condition = _Condition(loop, body, constants, opsets)
    return condition.count(None if limit is None else int(limit))


def _scalar(constants: Mapping[str, onnx.TensorProto], name: str) -> Numbers | None:
    found = constants.get(name)
    return None if found is None else numpy_helper.to_array(found).reshape(-1)[0]


def _always_true(body: onnx.GraphProto) -> bool:
    """Whether the condition is handed on, or a constant."""
    producers = {output: node for node in body.node for output in node.output}
    known = {tensor.name: tensor for tensor in body.initializer}
    name = body.output[0].name
    while name in producers and producers[name].op_type in ("Identity", "Cast"):
        name = producers[name].input[0]
    if name in producers and producers[name].op_type == "Constant":
        value = [a.t for a in producers[name].attribute if a.name == "value"]
        return bool(value) and bool(numpy_helper.to_array(value[0]).all())
    if name in known:
        return bool(numpy_helper.to_array(known[name]).all())
    return name == body.input[1].name


class _Condition:
    """The part of a loop's body that its condition depends on."""

    def __init__(
        self,
        loop: onnx.NodeProto,
        body: onnx.GraphProto,
        constants: Mapping[str, onnx.TensorProto],
        opsets: Iterable[onnx.OperatorSetIdProto],
    ) -> None:
        self._constants, self._opsets = constants, list(opsets)
        self._body = body
        self._carried = {
            value.name: (initial, output.name)
            for value, initial, output in zip(
                body.input[2:], loop.input[2:], body.output[1:], strict=False
            )
        }
        self._needed = self._slice()

    def _slice(self) -> set[str]:
        """The values it depends on, through all iterations."""
        producers = {output: node for node in self._body.node for output in node.output}
        needed: set[str] = set()
        left = [self._body.output[0].name]
        while left:
            name = left.pop()
            if name in needed:
                continue
            needed.add(name)
            if name in producers:
                left.extend(filter(None, producers[name].input))
            elif name in self._carried:
                left.append(self._carried[name][1])
        return needed

    def count(self, limit: int | None) -> int | None:
        model = self._model()
        state = self._start()
        if model is None or state is None:
            return None
        evaluator = ReferenceEvaluator(model)
        names = [value.name for value in model.graph.output]
        for number in range(MOST if limit is None else min(limit, MOST)):
            feeds = {self._body.input[0].name: np.array(number, np.int64)}
            feeds[self._body.input[1].name] = np.array(True)
            feeds = {v.name: {**feeds, **state}[v.name] for v in model.graph.input}
            results = dict(zip(names, evaluator.run(None, feeds), strict=True))
            state = {name: results[self._carried[name][1]] for name in state}
            if not np.asarray(results[self._body.output[0].name]).reshape(-1)[0]:
                return number + 1
        return limit if limit is not None and limit <= MOST else None

    def _start(self) -> dict[str, Numbers] | None:
        initial = {n: self._constants.get(i) for n, (i, _) in self._carried.items()}
        found = {name: tensor for name, tensor in initial.items() if name in self._needed}
        if any(tensor is None for tensor in found.values()):
            return None
        return {n: numpy_helper.to_array(t) for n, t in found.items() if t is not None}

    def _model(self) -> onnx.ModelProto | None:
        """A model that computes the condition and what the next one needs."""
        body = self._body
        nodes = [node for node in body.node if self._needed.intersection(node.output)]
        if any(a.HasField("g") for node in nodes for a in node.attribute):
            return None
        inner = {name for node in nodes for name in node.output}
        inputs = [value for value in body.input if value.name in self._needed]
        inner.update(value.name for value in inputs)
        known = {tensor.name: tensor for tensor in body.initializer}
        outer = self._needed - inner
        tensors = {name: known.get(name, self._constants.get(name)) for name in outer}
        if any(tensor is None or np.prod(tensor.dims) > _SMALL for tensor in tensors.values()):
            return None
        named = []
        for name, tensor in tensors.items():
            named.append(onnx.TensorProto())
            named[-1].CopyFrom(tensor)
            named[-1].name = name
        carried = [out for n, (_, out) in self._carried.items() if n in self._needed]
        results = dict.fromkeys([body.output[0].name, *carried])
        outputs = [onnx.ValueInfoProto(name=name) for name in results]
        graph = helper.make_graph(nodes, "condition", inputs, outputs, named)
        return helper.make_model(graph, opset_imports=self._opsets)
