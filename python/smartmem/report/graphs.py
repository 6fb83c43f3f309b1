"""The graphs of a model as it was imported, and as kernels: what the report's page draws.

Both are read from IR. What links them is the layer: the name of the user's operator, which
the frontends keep as the location of what they make of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch_mlir import ir

from smartmem.parameters import resource_key
from smartmem.passes.analysis.ir.chains import RESHAPES, defining_op, root_of
from smartmem.passes.analysis.operators.classification import classify, makes_tensor
from smartmem.passes.base import REGION, kernel_number, operations, outer_operations
from smartmem.report.inventory import SOURCES, movement_kind

_RAISED = {
    "linalg.broadcast": ("ili_fixed", "one_to_many"),
    "linalg.transpose": ("ild_fixed", "shuffle"),
}
"""Group and mapping type of what is classified only when it is a view; as that view's."""

_NAME = re.compile(r'"((?:[^"\\]|\\.)*)"(?::(\d+):(\d+))?')
_ENDS = ("func.return", "flow.return")
_COMPUTES = ("arith.", "math.")

Placed = Literal["input", "output", "operator", "kernel", "outside", "movement", "weight"]


@dataclass(frozen=True)
class Edge:
    """A tensor between two nodes, by their numbers."""

    source: int
    target: int


@dataclass(frozen=True)
class Operator:
    """An operation of the imported model, or an input or output of it.

    Attributes:
        id: its number in the graph.
        kind: input, output or operator.
        name: of the operation, as linalg.matmul, or of the input.
        layer: the user's name for what it is part of; empty if none is known.
        shape: of its result.
        dtype: MLIR's name of the element type.
        bytes: of the result.
        group: one of the four groups; empty of inputs and outputs.
        mapping: the mapping type; likewise.
        movement: what data movement it is; None: it computes.
        is_constant: it depends on constants alone.
    """

    id: int
    kind: Placed
    name: str
    layer: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    group: str
    mapping: str
    movement: str | None
    is_constant: bool


@dataclass(frozen=True)
class KernelNode:
    """A kernel, or what it reads or writes: a weight, an input or output of the model.

    Attributes:
        id: its number in the graph.
        kind: input, output or weight; kernel: a group of operations; outside: an operation
            in no group, which IREE makes a kernel of, or part of one; movement: one of
            those, or a group, that only moves data.
        name: key of a weight, name of an input, else the operations, the last one last.
        number: of the group, as in kernel_costs; None of everything else.
        layers: the user's names for what it computes.
        shape: of its result, as it lies in memory.
        dtype: MLIR's name of the element type.
        bytes: of the result.
    """

    id: int
    kind: Placed
    name: str
    number: int | None
    layers: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes: int


@dataclass(frozen=True)
class ModelGraph:
    """The model as it was imported.

    Attributes:
        nodes: in program order.
        edges: by the numbers of nodes.
    """

    nodes: tuple[Operator, ...] = ()
    edges: tuple[Edge, ...] = ()


@dataclass(frozen=True)
class KernelGraph:
    """The model as it was compiled.

    Attributes:
        nodes: in program order.
        edges: by the numbers of nodes.
    """

    nodes: tuple[KernelNode, ...] = ()
    edges: tuple[Edge, ...] = ()


def layer_of(location: str) -> str:
    """The first name, or place in a file, of a location as MLIR prints it; else empty."""
    match = _NAME.search(location)
    if match is None:
        return ""
    name, line, column = match.groups()
    return name if line is None else f"{name}:{line}:{column}"


def model_graph(module: ir.Operation) -> ModelGraph:
    """The graph of a module's operations that make tensors, constants left out."""
    nodes: list[Operator] = []
    made: dict[ir.Value, int] = {}
    edges: dict[Edge, None] = {}
    constants: set[ir.Value] = set()
    for op in outer_operations(module):
        if op.name == "func.func" and not nodes:
            _add_inputs(op, nodes, made)
        elif op.name in SOURCES:
            constants.update(op.results)
        elif makes_tensor(op) or op.name in _ENDS:
            number = len(nodes)
            sources = dict.fromkeys(made[v] for v in _read(op) if v in made)
            known = bool(sources) or op.name in _ENDS
            is_constant = not known and all(v in constants for v in op.operands)
            nodes.append(_operator(number, op, is_constant))
            edges.update(dict.fromkeys(Edge(source, number) for source in sources))
            made.update(dict.fromkeys(op.results, number))
    return ModelGraph(tuple(nodes), tuple(edges))


def _add_inputs(
    function: ir.Operation, nodes: list[Operator], made: dict[ir.Value, int]
) -> None:
    for value in _arguments(function):
        made[value] = len(nodes)
        shape, dtype, size = _tensor(value)
        name = _input_name(value)
        nodes.append(
            Operator(len(nodes), "input", name, name, shape, dtype, size, "", "", None, False)
        )


def _operator(number: int, op: ir.Operation, is_constant: bool) -> Operator:
    if op.name in _ENDS:
        return Operator(number, "output", "output", "", (), "", 0, "", "", None, False)
    shape, dtype, size = _tensor(op.results[0])
    layer, movement = layer_of(str(op.location)), movement_kind(op)
    group, mapping = _RAISED.get(op.name) or _classes(op)
    return Operator(
        number,
        "operator",
        op.name,
        layer,
        shape,
        dtype,
        size,
        group,
        mapping,
        movement,
        is_constant,
    )


def _classes(op: ir.Operation) -> tuple[str, str]:
    found = classify(op)
    return found.group, found.mapping


def kernel_graph(module: ir.Operation) -> KernelGraph:
    """The graph of a lowered module's regions, and of what is in none.

    Reshapes between kernels only name the same memory anew: edges go through them.
    """
    nodes: list[KernelNode] = []
    made: dict[ir.Value, int] = {}
    edges: dict[Edge, None] = {}
    for op in outer_operations(module):
        if op.name == "func.func" and not nodes:
            for value in _arguments(op):
                made[value] = len(nodes)
                name = _input_name(value)
                nodes.append(_memory(len(nodes), "input", value, name, (name,)))
            continue
        if op.name in RESHAPES or op.name in SOURCES:
            continue
        if not (op.name == REGION or makes_tensor(op) or op.name in _ENDS):
            continue
        sources = list(_sources(op, nodes, made))
        number = len(nodes)
        nodes.append(_kernel(number, op))
        edges.update(dict.fromkeys(Edge(source, number) for source in sources))
        made.update(dict.fromkeys(op.results, number))
    return KernelGraph(tuple(nodes), tuple(edges))


def _sources(
    op: ir.Operation, nodes: list[KernelNode], made: dict[ir.Value, int]
) -> Iterator[int]:
    """The numbers of the nodes that ``op`` reads; weights that are new become nodes."""
    for value in dict.fromkeys(root_of(v, _is_reshape) for v in _read(op)):
        if value not in made:
            key = _key(value)
            if key is None:
                continue
            made[value] = len(nodes)
            layer = layer_of(str(value.owner.location))
            nodes.append(_memory(len(nodes), "weight", value, key, (layer,) if layer else ()))
        yield made[value]


def _is_reshape(op: ir.Operation) -> bool:
    return op.name in RESHAPES


def _kernel(number: int, op: ir.Operation) -> KernelNode:
    if op.name in _ENDS:
        return KernelNode(number, "output", "output", None, (), (), "", 0)
    inside = [o for o in operations(op) if _does_work(o)]
    moves = not any(o.name.startswith(_COMPUTES) for o in inside)
    group = kernel_number(op) if op.name == REGION else None
    kind: Placed = "movement" if moves else "kernel" if op.name == REGION else "outside"
    names = [o.name for o in inside if makes_tensor(o)]
    layers = [layer_of(str(o.location)) for o in inside]
    shape, dtype, size = _tensor(op.results[0])
    return KernelNode(
        number,
        kind,
        " + ".join(dict.fromkeys(names)) or op.name,
        group,
        tuple(layer for layer in dict.fromkeys(layers) if layer),
        shape,
        dtype,
        size,
    )


def _memory(
    number: int, kind: Placed, value: ir.Value, name: str, layers: tuple[str, ...]
) -> KernelNode:
    shape, dtype, size = _tensor(value)
    return KernelNode(number, kind, name, None, layers, shape, dtype, size)


def _does_work(op: ir.Operation) -> bool:
    """Whether ``op`` makes a value from others: no constant, empty tensor or end of a body."""
    return bool(op.results) and op.name not in (*SOURCES, REGION)


def _read(op: ir.Operation) -> list[ir.Value]:
    """What ``op``, or something in it, reads from outside, in order."""
    if not op.regions:
        return list(op.operands)
    inside = operations(op)
    made = {result for o in inside for result in o.results}
    made |= {a for o in inside for r in o.regions for b in r for a in b.arguments}
    return list(dict.fromkeys(v for o in inside for v in o.operands if v not in made))


def _arguments(function: ir.Operation) -> Sequence[ir.Value]:
    blocks = list(function.regions[0].blocks)
    return list(blocks[0].arguments) if blocks else []


def _input_name(value: ir.Value) -> str:
    return f"input {ir.BlockArgument(value).arg_number}"


def _key(value: ir.Value) -> str | None:
    """The key of the weights that ``value`` is, if it is that."""
    op = defining_op(value)
    if op is None or op.name != "arith.constant":
        return None
    return resource_key(op.attributes["value"])


def _tensor(value: ir.Value) -> tuple[tuple[int, ...], str, int]:
    """Shape, element type and bytes of a value; of what is no tensor: none."""
    if not isinstance(value.type, ir.RankedTensorType):
        return (), str(value.type), 0
    shape = tuple(value.type.shape)
    width = getattr(value.type.element_type, "width", 64)
    return shape, str(value.type.element_type), math.prod(shape) * max(1, width // 8)


def layers(nodes: Iterable[KernelNode]) -> dict[str, list[int]]:
    """The numbers of the nodes that compute each layer."""
    found: dict[str, list[int]] = {}
    for node in nodes:
        for layer in node.layers if node.kind in ("kernel", "outside", "movement") else ():
            found.setdefault(layer, []).append(node.id)
    return found
