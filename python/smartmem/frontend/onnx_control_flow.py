"""Write If, Loop and Scan of an ONNX graph as straight code.

    If(known)(then, else)     ->  the nodes of the branch that is taken
    If(unknown)(then, else)   ->  the nodes of both, and Where(condition, then, else)
    Loop, Scan of known length ->  the nodes of the body, once for each iteration

Kernels are arranged when compiling, so that no other way is left; and what exporters write
in branches and loops mostly depends on sizes, which are known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from smartmem.errors import UnsupportedError
from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.frontend.onnx_loop_counts import trip_count
from smartmem.frontend.onnx_subgraphs import Copies, size_of, subgraph

LONGEST = 1 << 14
"""Nodes that all iterations of a loop may become."""

Values = Mapping[str, onnx.ValueInfoProto]
_OPERATORS = ("If", "Loop", "Scan")


def expand_control_flow(model: onnx.ModelProto, typed: onnx.GraphProto) -> bool:
    """Applies the rewrites in place that what is known now allows; says whether any did.

    What becomes straight code can make further conditions known: infer and fold, then call
    again.

    Args:
        model: its nodes are replaced.
        typed: the same graph with the types of its values.

    Raises:
        UnsupportedError: nothing more becomes known, and an operator of control flow is
            left; or a loop is too long.
    """
    if not any(_is_control_flow(node) for node in model.graph.node):
        return False
    values = {v.name: v for v in (*typed.input, *typed.value_info, *typed.output)}
    expansion = _Expansion(model, values)
    return expansion.run(known=True) or expansion.run(known=False)


def _is_control_flow(node: onnx.NodeProto) -> bool:
    return node.op_type in _OPERATORS and node.domain in ("", "ai.onnx")


class _Expansion:
    def __init__(self, model: onnx.ModelProto, values: Values) -> None:
        self._model, self._values = model, values
        self._constants = constant_tensors(model.graph)
        self._copies = Copies(model.graph)

    def run(self, known: bool) -> bool:
        """Expands what is ``known``, or else every If, whose branches then both run."""
        graph = self._model.graph
        changed = False
        for node in graph.node:
            done = _is_control_flow(node) and self._expand(node, known)
            changed |= done
            if not done:
                self._copies.nodes.append(node)
        nodes, self._copies.nodes = self._copies.nodes, []
        if changed:
            del graph.node[:]
            graph.node.extend(nodes)
        return changed

    def _expand(self, node: onnx.NodeProto, known: bool) -> bool:
        if node.op_type == "If":
            return self._branch(node) if known else self._join(node)
        if node.op_type == "Loop":
            return self._loop(node, known)
        return self._scan(node, known)

    # If ------------------------------------------------------------------------------------

    def _branch(self, node: onnx.NodeProto) -> bool:
        condition = self._constants.get(node.input[0])
        if condition is None:
            return False
        taken = bool(numpy_helper.to_array(condition).reshape(-1)[0])
        self._inline(node, subgraph(node, "then_branch" if taken else "else_branch"))
        return True

    def _inline(self, node: onnx.NodeProto, branch: onnx.GraphProto) -> None:
        results = self._copies.copy(branch, [], _stem(node))
        for name, result in zip(node.output, results, strict=True):
            self._copies.add("Identity", [result], name, node.name)

    def _join(self, node: onnx.NodeProto) -> bool:
        """First takes both branches out, so that they are typed and folded; then selects."""
        branches = [subgraph(node, name) for name in ("then_branch", "else_branch")]
        if not all(map(_only_forwards, branches)):
            forwarding = [self._taken_out(node, branch) for branch in branches]
            copy = helper.make_node("If", node.input, node.output, name=node.name)
            for name, branch in zip(("then_branch", "else_branch"), forwarding, strict=True):
                copy.attribute.append(helper.make_attribute(name, branch))
            self._copies.nodes.append(copy)
            return True
        then, other = ([inner.input[0] for inner in branch.node] for branch in branches)
        for name, *pair in zip(node.output, then, other, strict=True):
            self._select(node, name, pair)
        return True

    def _taken_out(self, node: onnx.NodeProto, branch: onnx.GraphProto) -> onnx.GraphProto:
        """Copies ``branch``; a branch that only forwards the results of the copy."""
        results = self._copies.copy(branch, [], _stem(node))
        outputs = [onnx.ValueInfoProto(name=self._copies.name(f"{r}/out")) for r in results]
        forwards = [
            helper.make_node("Identity", [result], [output.name])
            for result, output in zip(results, outputs, strict=True)
        ]
        return helper.make_graph(forwards, branch.name or "branch", [], outputs)

    def _select(self, node: onnx.NodeProto, name: str, pair: Sequence[str]) -> None:
        types = [self._type(value) for value in pair]
        if types[0] is None or types[0] != types[1]:
            raise UnsupportedError(
                f"operator If{_named(node)} gives results of two types or shapes, and which "
                "is known at run time only; give both branches one shape, or make the "
                "condition a constant"
            )
        shape = self._copies.constant(
            numpy_helper.from_array(np.array([], np.int64), ""), f"{name}/scalar"
        )
        scalar = self._copies.name(f"{name}/condition")
        self._copies.add("Reshape", [node.input[0], shape], scalar, node.name)
        self._copies.add("Where", [scalar, *pair], name, node.name)

    def _type(self, name: str) -> tuple[int, tuple[int, ...]] | None:
        """Element type and static shape of a tensor; None if it has none."""
        if name in self._constants:
            tensor = self._constants[name]
            return tensor.data_type, tuple(tensor.dims)
        if name not in self._values:
            return None
        tensor = self._values[name].type.tensor_type
        sizes = tensor.shape.dim
        if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in sizes):
            return None
        return tensor.elem_type, tuple(d.dim_value for d in sizes)

    # Loop and Scan -------------------------------------------------------------------------

    def _loop(self, node: onnx.NodeProto, known: bool) -> bool:
        body = subgraph(node, "body")
        count = trip_count(node, self._constants, self._model.opset_import)
        if count is None:
            if known:
                return False
            raise UnsupportedError(
                f"how often the operator Loop{_named(node)} runs is known at run time only; "
                "SmartMem unrolls loops: make the number of iterations a constant"
            )
        _check_length(node, count * size_of(body))
        yes = self._copies.constant(numpy_helper.from_array(np.array(True), ""), _stem(node))
        carried, rows = list(node.input[2:]), []
        for number in range(count):
            position = self._copies.constant(
                numpy_helper.from_array(np.array(number, np.int64), ""), _stem(node)
            )
            _, *results = self._copies.copy(body, [position, yes, *carried], _stem(node))
            carried, row = results[: len(carried)], results[len(carried) :]
            rows.append(row)
        self._finish(node, carried, rows, body.output[1 + len(carried) :], {})
        return True

    def _scan(self, node: onnx.NodeProto, known: bool) -> bool:
        given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        body, scanned = given["body"], given["num_scan_inputs"]
        states, arrays = list(node.input[:-scanned]), node.input[-scanned:]
        types = [self._type(name) for name in arrays]
        if any(type_ is None for type_ in types):
            if known:
                return False
            raise UnsupportedError(
                f"how long the operator Scan{_named(node)} is depends on values that the "
                "model computes; give its operands a static shape"
            )
        axes = given.get("scan_input_axes", [0] * scanned)
        backwards = given.get("scan_input_directions", [0] * scanned)
        count = types[0][1][axes[0]] if types[0] else 0
        _check_length(node, count * size_of(body))
        rows = []
        for number in range(count):
            at = [count - 1 - number if back else number for back in backwards]
            slices = [
                self._row(node, name, axis, place)
                for name, axis, place in zip(arrays, axes, at, strict=True)
            ]
            results = self._copies.copy(body, [*states, *slices], _stem(node))
            states, row = results[: len(states)], results[len(states) :]
            rows.append(row)
        self._finish(node, states, rows, body.output[len(states) :], given)
        return True

    def _row(self, node: onnx.NodeProto, name: str, axis: int, place: int) -> str:
        index = self._copies.constant(
            numpy_helper.from_array(np.array(place, np.int64), ""), _stem(node)
        )
        row = self._copies.name(f"{_stem(node)}/row")
        return self._copies.add("Gather", [name, index], row, node.name, axis=axis)

    def _finish(
        self,
        node: onnx.NodeProto,
        carried: Sequence[str],
        rows: Sequence[Sequence[str]],
        outputs: Sequence[onnx.ValueInfoProto],
        given: Mapping[str, Sequence[int]],
    ) -> None:
        """Names what the last iteration left, and stacks what each has put out."""
        for name, value in zip(node.output, carried, strict=False):
            if name:
                self._copies.add("Identity", [value], name, node.name)
        axes = given.get("scan_output_axes", [0] * len(outputs))
        backwards = given.get("scan_output_directions", [0] * len(outputs))
        for number, name in enumerate(node.output[len(carried) :]):
            column = [row[number] for row in rows]
            if name and column:
                column = column[::-1] if backwards[number] else column
                self._stack(node, name, column, axes[number])
            elif name:
                self._without_rows(node, name, outputs[number])

    def _stack(self, node: onnx.NodeProto, name: str, column: Sequence[str], axis: int) -> None:
        places = self._copies.constant(
            numpy_helper.from_array(np.array([axis], np.int64), ""), f"{name}/axis"
        )
        rows = [
            self._copies.add(
                "Unsqueeze", [value, places], self._copies.name(f"{name}/row"), node.name
            )
            for value in column
        ]
        self._copies.add("Concat", rows, name, node.name, axis=axis)

    def _without_rows(
        self, node: onnx.NodeProto, name: str, output: onnx.ValueInfoProto
    ) -> None:
        tensor = output.type.tensor_type
        sizes = tensor.shape.dim
        if not tensor.HasField("shape") or not all(d.HasField("dim_value") for d in sizes):
            raise UnsupportedError(
                f"operator {node.op_type}{_named(node)} runs not once, and the shape of what "
                "it would put out is not known"
            )
        shape = [0, *(d.dim_value for d in sizes)]
        empty = helper.make_tensor("", tensor.elem_type, shape, [])
        value = self._copies.constant(empty, f"{name}/empty")
        self._copies.add("Identity", [value], name, node.name)


def _check_length(node: onnx.NodeProto, nodes: int) -> None:
    if nodes > LONGEST:
        raise UnsupportedError(
            f"operator {node.op_type}{_named(node)} unrolls to {nodes} nodes; SmartMem "
            f"compiles loops of up to {LONGEST}"
        )


def _only_forwards(branch: onnx.GraphProto) -> bool:
    return not branch.initializer and all(node.op_type == "Identity" for node in branch.node)


def _stem(node: onnx.NodeProto) -> str:
    return node.name or next(filter(None, node.output), node.op_type)


def _named(node: onnx.NodeProto) -> str:
    return f" (node {node.name!r})" if node.name else f" of {_stem(node)!r}"
