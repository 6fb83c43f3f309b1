"""What an exported program takes and returns, and whether SmartMem can compile it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.utils import _pytree as pytree

from smartmem.errors import UnsupportedError
from smartmem.frontend.imported_model import Reference, unique_names
from smartmem.frontend.torch_capture import inference_mode_of
from smartmem.frontend.torch_tensors import to_array, to_tensor
from smartmem.parameters import Array
from smartmem.tensor_spec import TensorSpec

_INLINED = ("wrap_with_set_grad_enabled", "wrap_with_autocast", "inference_mode_wrapper")


def check_sizes(program: ExportedProgram) -> None:
    """Checks that all sizes are known and all operators run a known number of times.

    Raises:
        UnsupportedError: names the input, or the operator whose result has a size that
            depends on data, or that holds a graph of its own.
    """
    _check_inputs(program)
    for node in program.graph.nodes:
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            _check_inner_graph(node)
        for value in pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, torch.Tensor) and not _is_static(value):
                raise UnsupportedError(
                    f"{operator_at(node)} gives a result whose size depends on data "
                    f"({', '.join(map(str, value.shape))}); SmartMem compiles static shapes: "
                    "compute with masks (torch.where) instead, or leave it out of the model"
                )


def _is_static(value: torch.Tensor) -> bool:
    return all(isinstance(size, int) for size in value.shape)


def _check_inner_graph(node: fx.Node) -> None:
    # Decompositions inline what these hold.
    if str(node.target) in _INLINED:
        return
    raise UnsupportedError(
        f"{operator_at(node)} decides while the model runs what is computed, which SmartMem "
        "cannot compile; compute both sides and select by torch.where, or write the loop out"
    )


def operator_at(node: fx.Node) -> str:
    """The operator of ``node``, the node's path and its place in the model's code."""
    trace = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    place = f" at {trace[-1][0]}:{trace[-1][1]}" if trace else ""
    return f"operator {node.target} (node {node_path(node)!r}){place}"


def check_program(program: ExportedProgram) -> None:
    """Checks what has to hold before the program can be lowered.

    Raises:
        UnsupportedError: it writes to an input, is random or can stop a run.
    """
    _check_signature(program)
    _check_deterministic(program)
    _check_effects(program)


def _check_signature(program: ExportedProgram) -> None:
    signature = program.graph_signature
    if signature.user_inputs_to_mutate:
        names = ", ".join(signature.user_inputs_to_mutate.values())
        raise UnsupportedError(
            f"the model writes to its input {names}; make it return a new tensor instead"
        )


def _check_inputs(program: ExportedProgram) -> None:
    for name, value in _user_inputs(program):
        dynamic = [str(size) for size in value.shape if not isinstance(size, int)]
        if dynamic:
            raise UnsupportedError(
                f"input {name} has dynamic sizes ({', '.join(dynamic)}); pass example "
                "inputs of the shape to compile for, or export without dynamic_shapes"
            )


def _check_deterministic(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            raise UnsupportedError(
                f"operator {node.target} draws random numbers; call model.eval() if it is a "
                "dropout, else give the numbers as an input"
            )


def _check_effects(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        if node.target == torch.ops.higher_order.with_effects:
            # The operator that can fail is an argument of the one that checks it.
            names = [str(arg) for arg in node.args if isinstance(arg, str)]
            raise UnsupportedError(
                f"operator {(names or [node.args[1]])[0]} (node {node_path(node)!r}) cannot be "
                "compiled: it stops the program where it fails; compute it outside of the model"
            )


def node_path(node: fx.Node) -> str:
    """The node's name behind the path of the module that it is computed in."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = str(stack[-1][0]).removeprefix("L['self']").strip(".") if stack else ""
    return f"{path}.{node.name}" if path else node.name


def _user_inputs(program: ExportedProgram) -> list[tuple[str, torch.Tensor]]:
    values = {n.name: n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder"}
    return [
        (spec.arg.name, values[spec.arg.name])
        for spec in program.graph_signature.input_specs
        if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]


def input_specs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
    """The tensors that the program takes, under the names of the model's arguments."""
    inputs = _user_inputs(program)
    return _tensor_specs([name for name, _ in inputs], [value for _, value in inputs])


def output_specs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
    """The tensors that the program returns; what else it returns is left out."""
    nodes = {node.name: node for node in program.graph.nodes}
    args = [
        spec.arg
        for spec in program.graph_signature.output_specs
        if spec.kind == OutputKind.USER_OUTPUT
    ]
    named = zip(_output_names(program, len(args)), args, strict=True)
    kept = [(name, arg.name) for name, arg in named if isinstance(arg, TensorArgument)]
    return _tensor_specs(
        [name for name, _ in kept], [nodes[node].meta["val"] for _, node in kept]
    )


def _output_names(program: ExportedProgram, count: int) -> list[str]:
    """Field names and dictionary keys where the model returns such, else ``output<i>``."""
    structure = pytree.tree_unflatten(list(range(count)), program.call_spec.out_spec)
    paths = [path for path, _ in pytree.tree_flatten_with_path(structure)[0]]
    if paths == [()]:
        return ["output"]
    return [_path_name(path) for path in paths]


def _path_name(path: Sequence[Any]) -> str:
    parts = [
        str(getattr(key, "key", getattr(key, "name", getattr(key, "idx", key)))) for key in path
    ]
    name = "_".join(parts)
    return f"output{name}" if name[:1].isdigit() else name


def _tensor_specs(names: list[str], values: list[torch.Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, tuple(value.shape), to_array(torch.empty(0, dtype=value.dtype)).dtype)
        for name, value in zip(unique_names(names), values, strict=True)
    )


def reference_of(model: torch.nn.Module, program: ExportedProgram) -> Reference:
    """A function that runs ``model`` itself on arrays that fit ``program``."""
    arguments = [
        spec.arg
        for spec in program.graph_signature.input_specs
        if spec.kind == InputKind.USER_INPUT
    ]

    def run(arrays: Sequence[Array]) -> list[Array]:
        left = iter(arrays)
        leaves = [
            to_tensor(next(left)) if isinstance(arg, TensorArgument) else arg.value
            for arg in arguments
        ]
        args, kwargs = pytree.tree_unflatten(leaves, program.call_spec.in_spec)
        with inference_mode_of(model):
            result = model(*args, **kwargs)
        return [
            to_array(leaf)
            for leaf in pytree.tree_leaves(result)
            if isinstance(leaf, torch.Tensor)
        ]

    return run
