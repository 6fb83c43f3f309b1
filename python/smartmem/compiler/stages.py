"""The stages of a compilation that are SmartMem's own: import and passes.

The order of the passes is ``smartmem.passes.PIPELINE``; this module names none of them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.targets.processor import Cpu
from smartmem.backend.targets.targets import Target
from smartmem.compiler.activity import activity
from smartmem.compiler.faults import Net
from smartmem.compiler.recorder import StageRecorder
from smartmem.errors import InvalidInputError
from smartmem.frontend import ImportedModel, import_model
from smartmem.frontend.imported_model import STAGE_ATTRIBUTE
from smartmem.options import CompileOptions
from smartmem.parameters import Parameters
from smartmem.passes import PIPELINE, PassContext
from smartmem.runtime.inputs import fit_arrays, random_inputs
from smartmem.tuning.shipped import table_for
from smartmem.validation import Validator
from smartmem.validation.validator import FOLDER
from smartmem.weight_format import WeightFormat, weight_format

INPUT = "input"
IR_STAGES = (INPUT, *(name for name, _ in PIPELINE))
"""The stages that leave IR, in order: the keys of ``CompiledModel.ir``."""


def import_stage(
    model: Any, inputs: Any, options: CompileOptions, recorder: StageRecorder
) -> ImportedModel:
    """Imports a model; arguments and errors as for ``smartmem.compile``."""
    refuse_module(model)
    with recorder.stage(INPUT, "import"):
        imported = read_model(model, inputs, options)
    stage = first_stage(imported.module)
    if stage not in recorder.stages:
        raise InvalidInputError(
            f"{model_name(model)} holds stage {stage}, which comes after {recorder.stages[-1]}"
        )
    recorder.rename(stage)
    recorder.keep(imported.module)
    return imported


def read_model(
    model: Any, inputs: Any, options: CompileOptions, deadline: float | None = None
) -> ImportedModel:
    """Imports a model as ``options`` say; arguments and errors as for ``import_stage``.

    Args:
        deadline: when the time limit is over, as ``time.monotonic`` tells it; None: it begins
            now.
    """
    if deadline is None:
        deadline = time.monotonic() + options.timeout_s
    with activity(f"the import of {model_name(model)}", options, deadline):
        return import_model(
            model,
            inputs=inputs,
            input_format=options.input_format,
            input_shapes=options.input_shapes,
        )


def pass_context(
    parameters: Parameters, target: Target, options: CompileOptions | None = None
) -> PassContext:
    """What the passes are given to compile for ``target``.

    Args:
        options: None: only what the target itself says, nothing that was measured.

    Raises:
        InvalidInputError: the tuning file is none, or one of another machine; or the target
            cannot have the form of weights.
    """
    return PassContext(
        parameters,
        processor=target.processor,
        layout="rule" if options is None else options.layout,
        precision="model" if options is None else options.precision,
        max_error=CompileOptions.max_error if options is None else options.max_error,
        weights=_weights(target, options),
        validator=_validator(target, options),
        tuning=None
        if options is None
        else table_for(target, options.tuning, shipped=options.shipped_tuning),
    )


def _weights(target: Target, options: CompileOptions | None) -> WeightFormat | None:
    if options is None or options.weights is None:
        return None
    if not isinstance(target.processor, Cpu):
        raise InvalidInputError(
            f"weights {options.weights} are unpacked on CPUs only, and the target is "
            f"{target.name}; leave the option out"
        )
    return weight_format(options.weights)


def model_context(
    imported: ImportedModel, inputs: Any, target: Target, options: CompileOptions
) -> PassContext:
    """What the passes are given to compile a model, with what it is to be run on, if it is.

    Args:
        inputs: as for ``smartmem.compile``.
    """
    context = pass_context(imported.parameters, target, options)
    if options.precision == "auto":
        specs = imported.inputs
        context.inputs = random_inputs(specs) if inputs is None else fit_arrays(specs, inputs)
    return context


def _validator(target: Target, options: CompileOptions | None) -> Validator | None:
    if options is None or not options.validate:
        return None
    folder = FOLDER if options.save_temps is None else Path(options.save_temps)
    return Validator(folder, target=target.name)


def refuse_module(model: Any) -> None:
    """Raises InvalidInputError if ``model`` is the file of a compiled module."""
    if _is_path(model) and Path(model).suffix == ".vmfb":
        raise InvalidInputError(
            f"{model} is compiled already; run it with `smartmem run` or smartmem.load"
        )


def run_stages(
    module: ir.Module,
    context: PassContext,
    recorder: StageRecorder,
    net: Net,
    *,
    after: str = INPUT,
    until: str = IR_STAGES[-1],
) -> None:
    """Runs the stages behind ``after`` up to ``until`` on ``module``, in place.

    Raises:
        SmartMemError: as ``Net.run``.
    """
    for name, passes in PIPELINE[IR_STAGES.index(after) : IR_STAGES.index(until)]:
        with recorder.stage(name, "smartmem"):
            net.run(module, [p if isinstance(p, str) else p() for p in passes], context)
        recorder.keep(module)


def first_stage(module: ir.Module) -> str:
    """The stage whose IR ``module`` is: ``INPUT`` unless its attribute names another.

    Raises:
        InvalidInputError: it names none that there is.
    """
    attributes = module.operation.attributes
    if STAGE_ATTRIBUTE not in attributes:
        return INPUT
    stage = attributes[STAGE_ATTRIBUTE]
    name = stage.value if isinstance(stage, ir.StringAttr) else str(stage)
    if name not in IR_STAGES:
        raise InvalidInputError(
            f"the module says {STAGE_ATTRIBUTE} = {name}, but there is no such stage; "
            f"use one of {', '.join(IR_STAGES)}, or remove the attribute"
        )
    return name


def model_name(model: Any) -> str:
    """What people call the model: its file's name, or its class's."""
    if _is_path(model):
        return Path(model).name
    return type(model).__name__


def _is_path(model: Any) -> bool:
    return isinstance(model, str | Path)
