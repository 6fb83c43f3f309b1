"""Compiles a model: import, SmartMem's passes, iree-compile.

The order of the passes is ``smartmem.passes.PIPELINE``; this module names none of them.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.iree import CompileStatistics, compile_bytecode
from smartmem.backend.kernels import KernelCounts, count_kernels
from smartmem.backend.metadata import REFLECTION_KEY, ArraySpec, encode_metadata
from smartmem.backend.targets import Target, resolve_target
from smartmem.errors import InvalidInputError
from smartmem.executable import Executable
from smartmem.frontend import ImportedModel, import_model
from smartmem.frontend.finish import entry_function
from smartmem.options import CompileOptions
from smartmem.passes import PIPELINE, PassContext, Remark
from smartmem.pipelines import run_pipeline
from smartmem.report import Report
from smartmem.stages import StageRecorder, peak_memory, save_bytecode, stage_of_file

INPUT = "input"
IR_STAGES = (INPUT, *(name for name, _ in PIPELINE))
"""The stages that leave IR, in order: the keys of ``CompiledModel.ir``."""

BUILD = "vmfb"
ALL_STAGES = (*IR_STAGES, BUILD)


class CompiledModel(Executable):
    """A compiled model and all that is known about its compilation.

    Attributes:
        target: what it was compiled for.
        report: counts, bytes, times and decisions.
        ir: text of the IR after each stage, parameters elided; empty without
            ``CompileOptions.keep_ir``.
    """

    def __init__(
        self,
        folder: tempfile.TemporaryDirectory[str],
        target: Target,
        report: Report,
        ir: dict[str, str],
    ) -> None:
        super().__init__(module_path(folder))
        self._folder = folder  # removed together with this object
        self.target = target
        self.report = report
        self.ir = ir

    @property
    def inputs(self) -> tuple[ArraySpec, ...]:
        """What the model takes, in order."""
        return self.report.inputs

    @property
    def outputs(self) -> tuple[ArraySpec, ...]:
        """What it returns, in order."""
        return self.report.outputs

    @property
    def statistics(self) -> CompileStatistics:
        """What iree-compile made of the model."""
        return self.report.kernels


def compile(
    model: Any,
    *,
    inputs: Any = None,
    target: str | Path | Target = "auto",
    options: CompileOptions | None = None,
) -> CompiledModel:
    """Compiles a model for a target; no device of that kind is needed.

    Args:
        model: a path (ONNX, MLIR text or bytecode, torch.export archive), ONNX bytes or
            ``ModelProto``, ``torch.nn.Module``, ``torch.export.ExportedProgram``, or an
            MLIR module. A file that ``CompileOptions.save_temps`` wrote continues after
            its stage.
        inputs: example inputs, for an ``nn.Module``: one, a sequence, or a mapping by name.
        target: a name that ``smartmem targets`` lists, the path of a target file, or
            ``auto``: the Vulkan device of this machine if it has a real one, else its CPU.
        options: everything else.

    Raises:
        InvalidInputError: the model cannot be read or is not a model.
        UnsupportedError: it holds something that SmartMem cannot compile.
        TargetError: the target is unknown.
        BackendError: iree-compile failed or ran past its time limit.
        ToolMissingError: an optional package is needed; the message says which.
    """
    options = options or CompileOptions()
    chosen = as_target(target)  # an unknown target is reported before the long import
    recorder = StageRecorder(ALL_STAGES, options)
    # The imported model, with all parameters, is garbage once it is lowered.
    lowered = lower(import_stage(model, inputs, options, recorder), model, chosen, recorder)
    return build(lowered, chosen, options, recorder)


def module_at(
    model: Any,
    stage: str,
    *,
    inputs: Any = None,
    options: CompileOptions | None = None,
) -> ir.Module:
    """The IR of a model after ``stage``; needs no target and runs no iree-compile.

    Args:
        model: as for ``compile``.
        stage: one of ``IR_STAGES``.
        inputs: as for ``compile``.
        options: as for ``compile``.

    Raises:
        InvalidInputError: the stage is unknown, or lies before that of ``model``.
        SmartMemError: as for ``compile``.
    """
    if stage not in IR_STAGES:
        raise InvalidInputError(
            f"there is no stage '{stage}'; use one of {', '.join(IR_STAGES)}"
        )
    after = first_stage(model)
    if IR_STAGES.index(stage) < IR_STAGES.index(after):
        raise InvalidInputError(f"{model} holds stage {after}, which comes after {stage}")
    options = options or CompileOptions()
    recorder = StageRecorder(IR_STAGES[: IR_STAGES.index(stage) + 1], options)
    imported = import_stage(model, inputs, options, recorder)
    context = PassContext(imported.parameters)
    run_stages(imported.module, context, recorder, after=after, until=stage)
    recorder.done()
    return imported.module


def as_target(target: str | Path | Target) -> Target:
    """The target of a name or file; a target itself is returned as it is.

    Raises:
        TargetError: the target is unknown.
    """
    return target if isinstance(target, Target) else resolve_target(target)


def import_stage(
    model: Any, inputs: Any, options: CompileOptions, recorder: StageRecorder
) -> ImportedModel:
    """The first stage; arguments and errors as for ``compile``."""
    with recorder.stage(INPUT, "import"):
        imported = import_model(
            model,
            inputs=inputs,
            input_format=options.input_format,
            input_shapes=options.input_shapes,
        )
    recorder.keep(imported.module)
    return imported


@dataclass(frozen=True)
class Lowered:
    """A model after all stages that are ours.

    Attributes:
        folder: holds the lowered module as bytecode.
        name: the model's name for people.
        source: where it came from, as ``ImportedModel.source`` says.
        inputs: what it takes.
        outputs: what it returns.
        parameter_bytes: size of its parameters after import.
        remarks: of all passes.
    """

    folder: tempfile.TemporaryDirectory[str]
    name: str
    source: str
    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]
    parameter_bytes: int
    remarks: tuple[Remark, ...]

    @property
    def bytecode(self) -> Path:
        """The file of the lowered module."""
        return Path(self.folder.name) / "lowered.mlirbc"


def lower(
    imported: ImportedModel, model: Any, target: Target, recorder: StageRecorder
) -> Lowered:
    """Runs the stages of ``smartmem.passes.PIPELINE`` on ``imported.module``, in place.

    Args:
        imported: the imported ``model``.
        model: as given to ``compile``; a file of a later stage skips the stages before.

    Raises:
        SmartMemError: a pass failed.
    """
    parameter_bytes = imported.parameters.nbytes
    context = PassContext(imported.parameters)
    run_stages(imported.module, context, recorder, after=first_stage(model))
    lowered = Lowered(
        tempfile.TemporaryDirectory(prefix="smartmem-"),
        model_name(model),
        imported.source,
        *signature(imported),
        parameter_bytes,
        tuple(context.remarks),
    )
    embed_metadata(imported, target)
    save_bytecode(imported.module, lowered.bytecode)
    return lowered


def signature(
    imported: ImportedModel,
) -> tuple[tuple[ArraySpec, ...], tuple[ArraySpec, ...]]:
    """Inputs and outputs as the compiled module will describe them."""
    inputs, outputs = (
        tuple(ArraySpec(spec.name, spec.shape, spec.dtype) for spec in specs)
        for specs in (imported.inputs, imported.outputs)
    )
    return inputs, outputs


def embed_metadata(imported: ImportedModel, target: Target) -> None:
    """Makes the compiled module say what it was compiled for and what it takes."""
    text = encode_metadata(target, *signature(imported))
    main = entry_function(imported.module)
    with imported.module.context:
        main.attributes["iree.reflection"] = ir.DictAttr.get(
            {REFLECTION_KEY: ir.StringAttr.get(text)}
        )


def run_stages(
    module: ir.Module,
    context: PassContext,
    recorder: StageRecorder,
    *,
    after: str = INPUT,
    until: str = IR_STAGES[-1],
) -> None:
    """Runs the stages behind ``after`` up to ``until`` on ``module``, in place.

    Raises:
        SmartMemError: a pass failed.
    """
    for name, passes in PIPELINE[IR_STAGES.index(after) : IR_STAGES.index(until)]:
        with recorder.stage(name, "smartmem"):
            run_pipeline(module, [cls() for cls in passes], context)
        recorder.keep(module)


def first_stage(model: Any) -> str:
    """The stage whose IR ``model`` is: later than ``INPUT`` for a file of ``save_temps``."""
    found = stage_of_file(Path(model), IR_STAGES) if _is_path(model) else None
    return found or INPUT


def build(
    lowered: Lowered, target: Target, options: CompileOptions, recorder: StageRecorder
) -> CompiledModel:
    """Runs iree-compile on a lowered model.

    Raises:
        BackendError: iree-compile failed or ran past its time limit.
    """
    output = module_path(lowered.folder)
    with recorder.stage(BUILD, "iree-compile"):
        statistics = compile_bytecode(
            lowered.bytecode,
            target,
            opt_level=options.opt_level,
            extra_flags=options.iree_flags,
            timeout_s=options.timeout_s,
            output=output,
        )
    kernel_counts = _inspect(lowered, target, options)
    lowered.bytecode.unlink()
    recorder.done()
    report = Report(
        model=lowered.name,
        source=lowered.source,
        target=target.name,
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        inventory=recorder.inventory,
        kernels=statistics,
        parameter_bytes=lowered.parameter_bytes,
        module_bytes=output.stat().st_size,
        kernel_counts=kernel_counts,
        stages=tuple(recorder.records),
        own_peak_bytes=peak_memory(),
        remarks=lowered.remarks,
    )
    return CompiledModel(lowered.folder, target, report, recorder.ir)


def _inspect(lowered: Lowered, target: Target, options: CompileOptions) -> KernelCounts | None:
    if not options.inspect_kernels:
        return None
    return count_kernels(
        lowered.bytecode,
        target,
        opt_level=options.opt_level,
        extra_flags=options.iree_flags,
        timeout_s=options.timeout_s,
    )


def module_path(folder: tempfile.TemporaryDirectory[str]) -> Path:
    """The compiled module in the folder of a compilation."""
    return Path(folder.name) / "model.vmfb"


def model_name(model: Any) -> str:
    """What people call the model: its file's name, or its class's."""
    if _is_path(model):
        return Path(model).name
    return type(model).__name__


def _is_path(model: Any) -> bool:
    return isinstance(model, str | Path)
