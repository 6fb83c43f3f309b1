"""Replace sequences and optional values of an ONNX graph by the tensors they hold.

    SequenceAt(SequenceConstruct(x, y), 1)         ->  y
    ConcatFromSequence(SequenceInsert(list, x))    ->  Concat(...list, x)
    OptionalGetElement(Optional(x))                ->  x

Exporters write lists of tensors so. Which tensors a list holds is known where the graph is
straight code and positions are constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend.onnx_fold import constant_tensors
from smartmem.frontend.onnx_subgraphs import Copies
from smartmem.parameters import Array

_OPERATORS = (
    "SequenceEmpty",
    "SequenceConstruct",
    "SequenceInsert",
    "SequenceErase",
    "SequenceAt",
    "SequenceLength",
    "ConcatFromSequence",
    "SplitToSequence",
    "Optional",
    "OptionalHasElement",
    "OptionalGetElement",
)


def expand_lists(model: onnx.ModelProto, typed: onnx.GraphProto) -> bool:
    """Applies the rewrites in place; says whether there was anything to rewrite.

    Args:
        model: its nodes are replaced.
        typed: the same graph with the types of its values.

    Raises:
        UnsupportedError: a position in a list is known at run time only, or a list is an
            input or output.
    """
    graph = model.graph
    if not any(_is_of_lists(node) for node in graph.node):
        return False
    values = {v.name: v for v in (*typed.input, *typed.value_info, *typed.output)}
    lists = _Lists(graph, {v.name for v in graph.output}, values)
    changed = False
    for node in graph.node:
        done = lists.take(node)
        changed |= done
        if not done:
            lists.copies.nodes.append(node)
    if changed:
        del graph.node[:]
        graph.node.extend(lists.copies.nodes)
    return changed


def _is_of_lists(node: onnx.NodeProto) -> bool:
    return node.op_type in _OPERATORS and node.domain in ("", "ai.onnx")


class _Lists:
    """What the lists of a graph hold, by their names: names of tensors, or of lists."""

    def __init__(
        self,
        graph: onnx.GraphProto,
        outputs: set[str],
        values: dict[str, onnx.ValueInfoProto],
    ) -> None:
        self.copies = Copies(graph)
        self._constants = constant_tensors(graph)
        self._outputs, self._values = outputs, values
        self._items: dict[str, list[str]] = {}

    def take(self, node: onnx.NodeProto) -> bool:
        """Whether ``node`` is of lists, or forwards one, and is replaced."""
        if node.op_type == "Identity" and node.input[0] in self._items:
            self._items[node.output[0]] = self._items[node.input[0]]
            return True
        if not _is_of_lists(node):
            return False
        if self._outputs.intersection(node.output) and _makes_list(node):
            raise UnsupportedError(
                f"the output {node.output[0]} is no tensor but what {node.op_type} makes; "
                "return the tensors that it holds"
            )
        items = _RULES.get(node.op_type, _Lists._edited)(self, node)
        if items is not None:
            self._items[node.output[0]] = items
        return True

    def _held(self, node: onnx.NodeProto) -> list[str]:
        found = self._items.get(node.input[0]) if node.input else None
        if found is None:
            raise UnsupportedError(
                f"operator {node.op_type} (node {node.name!r}) takes a list of tensors that "
                "is an input of the model or comes out of control flow; pass the tensors"
            )
        return found

    def _edited(self, node: onnx.NodeProto) -> list[str]:
        if node.op_type in ("SequenceEmpty", "SequenceConstruct"):
            return list(node.input)
        held = list(self._held(node))
        if node.op_type == "SequenceInsert":
            held.insert(self._position(node, 2, len(held), len(held) + 1), node.input[1])
        else:
            del held[self._position(node, 1, len(held) - 1, len(held))]
        return held

    def _position(self, node: onnx.NodeProto, operand: int, default: int, size: int) -> int:
        if len(node.input) <= operand or not node.input[operand]:
            return default
        found = self._constants.get(node.input[operand])
        if found is None:
            raise UnsupportedError(
                f"the position that operator {node.op_type} (node {node.name!r}) takes in a "
                "list is known at run time only; make it a constant"
            )
        position = int(numpy_helper.to_array(found).reshape(-1)[0])
        length = size - (node.op_type == "SequenceInsert")
        position += length if position < 0 else 0
        if not 0 <= position < size:
            raise InvalidInputError(
                f"operator {node.op_type} (node {node.name!r}) takes position {position} of "
                f"a list of {length} tensors; mend the model"
            )
        return position

    def _forward(self, node: onnx.NodeProto, name: str) -> list[str] | None:
        if name in self._items:
            return self._items[name]
        self.copies.add("Identity", [name], node.output[0], node.name)
        return None

    def _at(self, node: onnx.NodeProto) -> list[str] | None:
        held = self._held(node)
        return self._forward(node, held[self._position(node, 1, 0, len(held))])

    def _length(self, node: onnx.NodeProto) -> None:
        self._number(node, np.array(len(self._held(node)), np.int64))

    def _optional(self, node: onnx.NodeProto) -> list[str]:
        return list(node.input)

    def _has_element(self, node: onnx.NodeProto) -> None:
        given = node.input[0] if node.input else ""
        has = bool(self._items.get(given, [given]) if given else [])
        self._number(node, np.array(has))

    def _element(self, node: onnx.NodeProto) -> list[str] | None:
        given = node.input[0]
        held = self._items.get(given, [given])
        if not held:
            raise InvalidInputError(
                f"operator OptionalGetElement (node {node.name!r}) takes a value out of "
                "nothing; mend the model"
            )
        return self._forward(node, held[0])

    def _number(self, node: onnx.NodeProto, number: Array) -> None:
        value = self.copies.constant(numpy_helper.from_array(number, ""), node.output[0])
        self.copies.add("Identity", [value], node.output[0], node.name)

    def _concat(self, node: onnx.NodeProto) -> None:
        given = {a.name: a.i for a in node.attribute}
        held = list(self._held(node))
        if given.get("new_axis", 0):
            held = [self._expanded(node, item, given["axis"]) for item in held]
        self.copies.add("Concat", held, node.output[0], node.name, axis=given["axis"])

    def _expanded(self, node: onnx.NodeProto, item: str, axis: int) -> str:
        axes = self._integers(node, [axis])
        row = self.copies.name(f"{node.output[0]}/item")
        return self.copies.add("Unsqueeze", [item, axes], row, node.name)

    def _integers(self, node: onnx.NodeProto, numbers: Sequence[int]) -> str:
        tensor = numpy_helper.from_array(np.array(numbers, np.int64), "")
        return self.copies.constant(tensor, f"{node.output[0]}/integers")

    def _split(self, node: onnx.NodeProto) -> list[str]:
        given = {a.name: a.i for a in node.attribute}
        axis, sizes = given.get("axis", 0), self._split_sizes(node, given.get("axis", 0))
        parts = [self.copies.name(f"{node.output[0]}/part") for _ in sizes]
        inputs = [node.input[0], self._integers(node, sizes)]
        self.copies.nodes.append(
            onnx.helper.make_node("Split", inputs, parts, name=node.name, axis=axis)
        )
        if given.get("keepdims", 1) or len(node.input) > 1:
            return parts
        axes = self._integers(node, [axis])
        return [
            self.copies.add("Squeeze", [part, axes], f"{part}/squeezed", node.name)
            for part in parts
        ]

    def _split_sizes(self, node: onnx.NodeProto, axis: int) -> list[int]:
        tensor = self._values[node.input[0]].type.tensor_type
        extent = tensor.shape.dim[axis].dim_value
        if len(node.input) < 2 or not node.input[1]:
            return [1] * extent
        found = self._constants.get(node.input[1])
        if found is None:
            raise UnsupportedError(
                f"the sizes that operator SplitToSequence (node {node.name!r}) splits into "
                "are known at run time only; make them constants"
            )
        sizes = numpy_helper.to_array(found)
        if sizes.ndim:
            return [int(size) for size in sizes]
        step = int(sizes)
        return [min(step, extent - start) for start in range(0, extent, step)]


def _makes_list(node: onnx.NodeProto) -> bool:
    return node.op_type.startswith(("SequenceEmpty", "SequenceC", "SequenceI", "SequenceEr"))


_RULES: Mapping[str, Callable[[_Lists, onnx.NodeProto], list[str] | None]] = {
    "SequenceAt": _Lists._at,
    "SequenceLength": _Lists._length,
    "Optional": _Lists._optional,
    "OptionalHasElement": _Lists._has_element,
    "OptionalGetElement": _Lists._element,
    "ConcatFromSequence": _Lists._concat,
    "SplitToSequence": _Lists._split,
}
"""What each operator's result holds; None where it is a tensor."""
