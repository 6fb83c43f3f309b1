"""Evaluate the parts of an exported program that no input reaches.

Position tables, attention masks, rotary cosines and batch norm denominators are
computed by the model's code but are constants. PyTorch evaluates them here, so that the
passes see index tables they can turn into index maps, and operators that only ever run
on constants need no lowering.

Whatever a parameter reaches stays as it is: rearranging weights is the passes' work. So
does what would be stored larger than the buffer that it is computed from, as quantized
weights would be that are dequantized here.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, TensorArgument
from torch.utils import _pytree as pytree

LARGEST = 1 << 20
"""Elements; larger tables cost less to compute than to store."""

WEIGHTS = 1 << 12
"""Elements from which on a buffer is stored as it is, and not what is larger: weights."""


def fold_constants(program: ExportedProgram) -> None:
    """Turns constant nodes of ``program`` into entries of ``program.constants``."""
    values: dict[fx.Node, Any] = _given_constants(program)
    with torch.no_grad():
        for node in program.graph.nodes:
            if _is_constant(node, values):
                values[node] = _evaluate(node, values)
    grown = _grown(values)
    for node, value in values.items():
        if node.op == "call_function" and isinstance(value, torch.Tensor) and node not in grown:
            _replace(program, node, value, constant=values.keys() - grown)
    program.graph.eliminate_dead_code()


def _given_constants(program: ExportedProgram) -> dict[fx.Node, Any]:
    written = program.graph_signature.buffers_to_mutate.values()
    targets = {
        spec.arg.name: spec.target
        for spec in program.graph_signature.input_specs
        if spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
        and spec.target not in written
    }
    known = {**program.state_dict, **program.constants}
    return {
        node: known[targets[node.name]]
        for node in program.graph.nodes
        if node.op == "placeholder" and node.name in targets
    }


def _grown(values: dict[fx.Node, Any]) -> set[fx.Node]:
    """The nodes that depend on buffers of which more would be stored than their bytes."""
    roots: dict[fx.Node, frozenset[fx.Node]] = {}
    stored: dict[fx.Node, int] = {}
    for node, value in values.items():
        roots[node] = frozenset().union(*(roots[n] for n in node.all_input_nodes))
        if node.op == "placeholder" and _is_weight(value):
            roots[node] = frozenset((node,))
        elif any(user not in values for user in node.users):
            for root in roots[node]:
                stored[root] = stored.get(root, 0) + sum(t.nbytes for t in _tensors(value))
    grown = {root for root, size in stored.items() if size > values[root].nbytes}
    return {n for n in values if n.op == "call_function" and roots[n] & grown}


def _is_weight(value: torch.Tensor) -> bool:
    # Masks are for the passes to read, which need them as numbers.
    return value.numel() > WEIGHTS and value.dtype != torch.bool


def _is_constant(node: fx.Node, values: dict[fx.Node, Any]) -> bool:
    if node.op != "call_function" or not all(n in values for n in node.all_input_nodes):
        return False
    if isinstance(node.target, torch._ops.OpOverload):
        if node.target._schema.is_mutable or _is_random(node.target):
            return False
    elif node.target is not operator.getitem:
        return False
    return all(tensor.numel() <= LARGEST for tensor in _tensors(node.meta.get("val")))


def _is_random(overload: torch._ops.OpOverload) -> bool:
    return torch.Tag.nondeterministic_seeded in overload.tags


def _tensors(value: object) -> Iterable[torch.Tensor]:
    return (leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor))


def _evaluate(node: fx.Node, values: dict[fx.Node, Any]) -> Any:
    args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
    assert callable(node.target)
    return node.target(*args, **kwargs)


def _replace(
    program: ExportedProgram, node: fx.Node, value: torch.Tensor, constant: AbstractSet[fx.Node]
) -> None:
    users = [user for user in node.users if user not in constant and user.op != "output"]
    if not users:
        return
    new = _fill(program.graph, node, value) or _constant(program, node, value)
    new.meta = dict(node.meta)
    for user in users:
        user.replace_input_with(node, new)


def _fill(graph: fx.Graph, node: fx.Node, value: torch.Tensor) -> fx.Node | None:
    """A ``full`` in the place of a tensor whose elements are all the same."""
    if value.numel() < 2 or bool((value != value.flatten()[0]).any()):
        return None
    with graph.inserting_before(node):
        return graph.call_function(
            torch.ops.aten.full.default,
            (list(value.shape), value.flatten()[0].item()),
            {"dtype": value.dtype, "device": value.device},
        )


def _constant(program: ExportedProgram, node: fx.Node, value: torch.Tensor) -> fx.Node:
    name = f"folded_{node.name}"
    # A copy: the value can be a view of a buffer, or expanded from one element.
    program.constants[name] = value.clone(memory_format=torch.contiguous_format)
    with program.graph.inserting_before(next(iter(program.graph.nodes))):
        placeholder = program.graph.placeholder(name)
    program.graph_signature.input_specs.append(
        InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(placeholder.name), name)
    )
    return placeholder
