"""PyTorch models: ``nn.Module`` with example inputs, or ``torch.export.ExportedProgram``.

The model is captured by ``torch.export``, decomposed to the operators torch-mlir knows,
and imported by torch-mlir's FX importer. Parameters, buffers and constant tensors go
straight from their memory into MLIR and into the parameter table, under their names in
the state dict; tied weights are recorded once.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, TensorArgument
from torch.utils import _pytree as pytree
from torch_mlir import ir
from torch_mlir.extras import fx_importer
from torch_mlir.extras.fx_decomp_util import get_decomposition_table

from smartmem.errors import InvalidInputError, SmartMemError, UnsupportedError
from smartmem.frontend.finish import finish_module
from smartmem.frontend.imported_model import (
    Array,
    ImportedModel,
    Reference,
    TensorSpec,
    unique_names,
)
from smartmem.frontend.lowering import TORCH_TO_LINALG, new_context, run_passes
from smartmem.frontend.torch_constants import fold_constants
from smartmem.frontend.torch_simplify import simplify
from smartmem.parameters import Parameters

_TELLTALES = ("torch._subclasses.fake_tensor", "torch.export")
"""PyTorch's loggers that show the traceback of an exception that is raised as well."""

Inputs = torch.Tensor | Array | Sequence[Any] | Mapping[str, Any]


def import_torch(
    model: torch.nn.Module | ExportedProgram | Path, inputs: Inputs | None = None
) -> ImportedModel:
    """Imports a PyTorch model for inference.

    Args:
        model: a module, an exported program, or a ``.pt2`` file that holds one.
        inputs: example inputs (tensors or arrays): one, a sequence for positional
            arguments, or a mapping for arguments by name. Their shapes become the
            model's. Required for a module; an exported program is captured anew when
            they are given.

    Raises:
        InvalidInputError: inputs are missing or the model does not run on them.
        UnsupportedError: the model has dynamic shapes, changes its own state, or uses
            an operator that cannot be lowered.
    """
    if isinstance(model, Path):
        model = load_program(model)
    original = model.module() if isinstance(model, ExportedProgram) else model
    if isinstance(model, ExportedProgram) and inputs is None:
        program = model
    else:
        program = _export(original, inputs)
    return import_program(program, _reference(original, program))


def import_program(program: ExportedProgram, reference: Reference | None) -> ImportedModel:
    """Imports an exported program; ``program`` itself stays as it is."""
    with _quiet_torch():
        program = program.run_decompositions(_decompositions())
    _check_signature(program)
    _check_deterministic(program)
    inputs, outputs = _input_specs(program), _output_specs(program)
    _drop_plain_outputs(program)
    fold_constants(program)
    simplify(program)
    _make_constants_buffers(program)
    context = new_context()
    parameters = Parameters()
    importer = fx_importer.FxImporter(context=context, hooks=_ParameterHooks(parameters))
    with _importer_errors():
        importer.import_program(program, func_name="main")
    run_passes(importer.module, *TORCH_TO_LINALG)
    parameters = finish_module(importer.module, parameters)
    return ImportedModel(importer.module, parameters, inputs, outputs, "torch", reference)


def _decompositions() -> dict[torch._ops.OperatorBase, Callable[..., Any]]:
    table = {**get_decomposition_table(), torch.ops.aten.cumsum.default: _cumsum}
    # ``simplify`` decides, when the masks are known; torch-mlir decomposes the rest.
    table.pop(torch.ops.aten._safe_softmax.default, None)
    return table


def _cumsum(x: torch.Tensor, dim: int, *, dtype: torch.dtype | None = None) -> torch.Tensor:
    """As a masked sum: torch-mlir's own lowering leaves linalg (``tm_tensor.scan``)."""
    if dtype is None and not x.is_floating_point():
        dtype = torch.int64
    x = x.to(dtype or x.dtype)
    if x.dim() == 0:
        return x.clone()
    position = torch.arange(x.shape[dim], device=x.device)
    terms = torch.where(position[:, None] >= position, x.movedim(dim, -1).unsqueeze(-2), 0)
    return terms.sum(-1, dtype=x.dtype).movedim(-1, dim)


def load_program(path: Path) -> ExportedProgram:
    """Reads a file written by ``torch.export.save``.

    Raises:
        InvalidInputError: ``path`` is no such file.
    """
    try:
        with _quiet_torch():
            return torch.export.load(path)
    except Exception as error:  # torch.export.load documents no exception types
        raise InvalidInputError(
            f"{path} is not a program saved by torch.export.save: {_first_line(error)}"
        ) from error


def to_tensor(value: torch.Tensor | Array) -> torch.Tensor:
    """The tensor of an array (no copy where PyTorch can avoid it), bfloat16 included."""
    if isinstance(value, torch.Tensor):
        return value
    array = np.ascontiguousarray(value).reshape(np.shape(value))
    if not array.flags.writeable:  # PyTorch warns about memory it could write to
        array = array.copy()
    if array.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def to_array(tensor: torch.Tensor) -> Array:
    """The elements of a tensor (no copy if it is dense on the CPU), bfloat16 included.

    Raises:
        UnsupportedError: a sparse, quantized or complex tensor.
    """
    _check_dense("a tensor", tensor)
    dense = tensor.detach().cpu().contiguous()
    if dense.dtype == torch.bfloat16:
        return dense.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return dense.numpy()


def _check_dense(name: str, tensor: torch.Tensor) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_complex():
        raise UnsupportedError(
            f"{name} of layout {tensor.layout} and dtype {tensor.dtype} cannot be compiled; "
            "convert it to a dense real tensor"
        )


class _ParameterHooks(fx_importer.FxImporterHooks):
    """Puts the program's tensors into the parameter table instead of into Python lists."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._known: dict[object, tuple[ir.Attribute, torch.Tensor]] = {}

    def resolve_input(
        self, gni: fx_importer.GraphNodeImporter, value: Any, info: fx_importer.InputInfo
    ) -> ir.Value | None:
        # Before ``resolve_literal`` the importer would turn booleans into bytes.
        return self._literal(gni, info.input_spec.target, value)

    def resolve_literal(
        self,
        gni: fx_importer.GraphNodeImporter,
        literal: object,
        info: fx_importer.InputInfo | None,
    ) -> ir.Value | None:
        # What the importer itself makes, such as index tables for as_strided.
        return self._literal(gni, "constant", literal)

    def _literal(
        self, gni: fx_importer.GraphNodeImporter, name: str, literal: object
    ) -> ir.Value | None:
        # One element: the importer's own path gives a splat, which passes can fold.
        if not isinstance(literal, torch.Tensor) or literal.numel() <= 1:
            return None
        return ir.Operation.create(
            "torch.vtensor.literal",
            results=[gni._cc.tensor_to_vtensor_type(literal)],
            attributes={"value": self._attribute(name, literal)},
        ).result

    def _attribute(self, name: str, literal: torch.Tensor) -> ir.Attribute:
        _check_dense(name, literal)
        # Tied weights can be two tensor objects over the same memory.
        place = (literal.data_ptr(), literal.dtype, literal.shape, literal.stride())
        if place not in self._known:
            type = fx_importer.create_mlir_tensor_type(literal)
            attribute = self._parameters.add(name, to_array(literal), type)
            # With the tensor, so that its memory cannot become another one's.
            self._known[place] = attribute, literal
        return self._known[place][0]

    def store_produced_value(
        self,
        gni: fx_importer.GraphNodeImporter,
        py_value: object,
        produced_ir_value: object,
        info: fx_importer.InputInfo,
    ) -> None:
        raise UnsupportedError(
            f"the model writes to its buffer {info.input_spec.target}; make it return "
            "the new value instead (caches: turn them off, for example use_cache=False)"
        )


def _export(model: torch.nn.Module, inputs: Inputs | None) -> ExportedProgram:
    if inputs is None:
        raise InvalidInputError(
            "a PyTorch module needs example inputs: pass inputs=(tensor, ...) or "
            "inputs={'name': tensor}"
        )
    args, kwargs = _split_inputs(inputs)
    with _inference_mode_of(model), _quiet_torch():
        try:
            return torch.export.export(model, args, kwargs, strict=False)
        except Exception as error:  # the model's own code runs here and raises anything
            raise InvalidInputError(
                f"torch.export cannot capture {type(model).__name__} with these inputs: "
                f"{type(error).__name__}: {_first_line(error)}"
            ) from error


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Without PyTorch's warnings about its own use of its own tree classes, and without
    its logging the traceback of an exception that it raises as well."""
    loggers = [logging.getLogger(name) for name in _TELLTALES]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _split_inputs(inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def convert(value: Any) -> Any:
        return pytree.tree_map_only(np.ndarray, to_tensor, value)

    if isinstance(inputs, Mapping):
        return (), {name: convert(value) for name, value in inputs.items()}
    if isinstance(inputs, (torch.Tensor, np.ndarray)):
        inputs = (inputs,)
    return tuple(convert(value) for value in inputs), {}


@contextmanager
def _inference_mode_of(model: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients; every submodule gets its own mode back."""
    before = {module: module.training for module in model.modules()}
    for module in before:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before.items():
            module.training = training


def _check_signature(program: ExportedProgram) -> None:
    signature = program.graph_signature
    if signature.user_inputs_to_mutate:
        names = ", ".join(signature.user_inputs_to_mutate.values())
        raise UnsupportedError(
            f"the model writes to its input {names}; make it return a new tensor instead"
        )
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


def _make_constants_buffers(program: ExportedProgram) -> None:
    """Constants and buffers then take one way, with their names, and only if used."""
    specs = program.graph_signature.input_specs
    for index, spec in enumerate(specs):
        if spec.kind == InputKind.CONSTANT_TENSOR:
            specs[index] = InputSpec(InputKind.BUFFER, spec.arg, spec.target, persistent=False)


def _drop_plain_outputs(program: ExportedProgram) -> None:
    """Forgets outputs that are not tensors (None, numbers): they need no computing."""
    signature = program.graph_signature
    signature.output_specs = [
        spec
        for spec in signature.output_specs
        if spec.kind != OutputKind.USER_OUTPUT or isinstance(spec.arg, TensorArgument)
    ]


@contextmanager
def _importer_errors() -> Iterator[None]:
    """Turns what the FX importer raises for models it cannot express into one error."""
    try:
        yield
    except SmartMemError:
        raise
    except (NotImplementedError, TypeError, KeyError, AssertionError) as error:
        raise UnsupportedError(
            f"torch-mlir cannot import the model: {_first_line(error)}"
        ) from error


def _user_inputs(program: ExportedProgram) -> list[tuple[str, torch.Tensor]]:
    values = {n.name: n.meta.get("val") for n in program.graph.nodes if n.op == "placeholder"}
    return [
        (spec.arg.name, values[spec.arg.name])
        for spec in program.graph_signature.input_specs
        if spec.kind == InputKind.USER_INPUT and isinstance(spec.arg, TensorArgument)
    ]


def _input_specs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
    inputs = _user_inputs(program)
    return _tensor_specs([name for name, _ in inputs], [value for _, value in inputs])


def _output_specs(program: ExportedProgram) -> tuple[TensorSpec, ...]:
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


def _reference(model: torch.nn.Module, program: ExportedProgram) -> Reference:
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
        with _inference_mode_of(model):
            result = model(*args, **kwargs)
        return [
            to_array(leaf)
            for leaf in pytree.tree_leaves(result)
            if isinstance(leaf, torch.Tensor)
        ]

    return run


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
