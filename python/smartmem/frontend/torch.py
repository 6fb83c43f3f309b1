"""PyTorch models: ``nn.Module`` with example inputs, or ``torch.export.ExportedProgram``.

The model is captured by ``torch.export``, decomposed to the operators torch-mlir knows,
and imported by torch-mlir's FX importer. Parameters, buffers and constant tensors go
straight from their memory into MLIR and into the parameter table, under their names in
the state dict; tied weights are recorded once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, TensorArgument
from torch_mlir import ir
from torch_mlir.extras import fx_importer

from smartmem.errors import SmartMemError, UnsupportedError
from smartmem.frontend.finish import finish_module
from smartmem.frontend.imported_model import ImportedModel, Reference
from smartmem.frontend.lowering import TORCH_TO_LINALG, new_context, run_passes
from smartmem.frontend.propagate_nans import propagate_nans
from smartmem.frontend.torch_capture import (
    Inputs,
    export,
    first_line,
    load_program,
    quiet_torch,
)
from smartmem.frontend.torch_complex import make_real
from smartmem.frontend.torch_constants import fold_constants
from smartmem.frontend.torch_decompositions import decompositions
from smartmem.frontend.torch_program import (
    check_program,
    check_sizes,
    input_specs,
    node_path,
    output_specs,
    reference_of,
)
from smartmem.frontend.torch_simplify import simplify
from smartmem.frontend.torch_tensors import check_dense, to_array
from smartmem.parameters import Parameters

# torch.export keeps what it traces in globals; its backend can import within an import.
_TORCH = threading.RLock()


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

    Threads may call it at the same time; they wait for each other.
    """
    with _TORCH:
        return _import_torch(model, inputs)


def _import_torch(
    model: torch.nn.Module | ExportedProgram | Path, inputs: Inputs | None
) -> ImportedModel:
    if isinstance(model, Path):
        model = load_program(model)
    original = model.module() if isinstance(model, ExportedProgram) else model
    if isinstance(model, ExportedProgram) and inputs is None:
        program = model
    else:
        program = export(original, inputs)
    return import_program(program, reference_of(original, program))


def import_program(program: ExportedProgram, reference: Reference | None) -> ImportedModel:
    """Imports an exported program; ``program`` itself stays as it is."""
    check_sizes(program)
    with quiet_torch():
        table = decompositions()
        program = program.run_decompositions(table)
        check_program(program)
        make_real(program, table)
    inputs, outputs = input_specs(program), output_specs(program)
    _drop_plain_outputs(program)
    fold_constants(program)
    simplify(program)
    _make_constants_buffers(program)
    context = new_context()
    parameters = Parameters()
    importer = fx_importer.FxImporter(context=context, hooks=_ParameterHooks(parameters))
    importer._cc = _NamedLocations(context, py_attr_tracker=importer._py_attr_tracker)
    with _importer_errors():
        importer.import_program(program, func_name="main")
    run_passes(importer.module, *TORCH_TO_LINALG)
    propagate_nans(importer.module)
    parameters = finish_module(importer.module, parameters)
    return ImportedModel(importer.module, parameters, inputs, outputs, "torch", reference)


class _NamedLocations(fx_importer.ContextCache):
    """Puts a node's name, behind that of the module that computes it, into its location."""

    def get_node_location(self, node: fx.Node) -> ir.Location:
        place = super().get_node_location(node)
        return ir.Location.name(node_path(node), childLoc=place, context=self._c)


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
        check_dense(name, literal)
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
            f"the model writes to its buffer {info.input_spec.target}; call model.eval() "
            "before it is exported if it is a layer in training mode (batch normalization), "
            "else make it return the new value (caches: turn them off, for example "
            "use_cache=False)"
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
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError) as error:
        raise UnsupportedError(
            f"torch-mlir cannot import the model: {first_line(error)}"
        ) from error
