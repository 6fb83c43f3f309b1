"""``smartmem.compile``: from a model to a module that runs."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.iree_compile.compile import CompileStatistics
from smartmem.backend.iree_compile.kernels import KernelCounts
from smartmem.backend.targets.kernel_passes import kernel_passes
from smartmem.backend.targets.storage import AUTO
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.compiler.attempts import Built, compile_with_fallbacks
from smartmem.compiler.faults import Net
from smartmem.compiler.inspection import compiled_kernels
from smartmem.compiler.kernel_file import compile_kernels
from smartmem.compiler.kernel_stage import KernelStage, holds_kernels
from smartmem.compiler.lowered import Job, Lowered, lower
from smartmem.compiler.recorder import StageRecorder, peak_memory
from smartmem.compiler.stages import (
    IR_STAGES,
    first_stage,
    import_stage,
    model_context,
    run_stages,
)
from smartmem.errors import InvalidInputError
from smartmem.files import scratch_folder
from smartmem.options import CompileOptions
from smartmem.passes import KERNEL_STAGE, PassContext
from smartmem.passes.analysis.images.image_choices import Storage
from smartmem.report.graphs import KernelGraph
from smartmem.report.layouts import Layouts
from smartmem.report.report import Report
from smartmem.runtime.executable import Executable
from smartmem.tensor_spec import TensorSpec
from smartmem.tuning.shipped import table_for

BUILD = "vmfb"
IMAGES = KERNEL_STAGE[0]
ALL_STAGES = (*IR_STAGES, IMAGES, BUILD)
TOLD_STAGES = (*IR_STAGES, BUILD)
"""Those whose beginning is told: what is done to kernels is done within the last."""


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

    def _described(self) -> tuple[str, str]:
        return self.report.model, self.target.name

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model takes, in order."""
        return self.report.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
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
        BackendError: iree-compile failed, or the time limit was over.
        ToolMissingError: an optional package is needed; the message says which.
    """
    options = options or CompileOptions()
    chosen = as_target(target)  # what is unknown is reported before the long import
    kernel_stage(chosen, options)
    table_for(chosen, options.tuning)  # likewise a wrong tuning file
    recorder = StageRecorder(TOLD_STAGES, options)
    if holds_kernels(model):
        folder = scratch_folder()
        report = compile_kernels(Path(model), chosen, options, module_path(folder), recorder)
        return CompiledModel(folder, chosen, report, {})
    job = Job(model, inputs, chosen, options)
    deadline = time.monotonic() + options.timeout_s
    # The imported model, with all parameters, is garbage once it is lowered.
    lowered = lower(import_stage(model, inputs, options, recorder), job, recorder, deadline)
    return build(lowered, recorder, deadline)


def module_at(
    model: Any,
    stage: str,
    *,
    inputs: Any = None,
    target: str | Path | Target = "auto",
    options: CompileOptions | None = None,
) -> ir.Module:
    """The IR of a model after ``stage``, as a compilation for ``target`` has it there.

    Args:
        model: as for ``compile``.
        stage: one of ``IR_STAGES``.
        inputs: as for ``compile``.
        target: as for ``compile``; iree-compile does not run.
        options: as for ``compile``.

    Raises:
        InvalidInputError: the stage is unknown, or lies before that of ``model``.
        SmartMemError: as for ``compile``.
    """
    if stage not in IR_STAGES:
        raise InvalidInputError(
            f"there is no stage '{stage}'; use one of {', '.join(IR_STAGES)}"
        )
    if holds_kernels(model):
        raise InvalidInputError(f"{model} holds kernels, which come after {stage}")
    options = options or CompileOptions()
    recorder = StageRecorder(IR_STAGES[: IR_STAGES.index(stage) + 1], options)
    deadline = time.monotonic() + options.timeout_s
    imported = import_stage(model, inputs, options, recorder)
    context = model_context(imported, inputs, as_target(target), options)
    net, after = Net(options, deadline), first_stage(imported.module)
    run_stages(imported.module, context, recorder, net, after=after, until=stage)
    recorder.done()
    return imported.module


def as_target(target: str | Path | Target) -> Target:
    """The target of a name or file; a target itself is returned as it is.

    Raises:
        TargetError: the target is unknown.
    """
    return target if isinstance(target, Target) else resolve_target(target)


def build(
    lowered: Lowered, recorder: StageRecorder, deadline: float | None = None
) -> CompiledModel:
    """Runs iree-compile on a lowered model.

    Args:
        deadline: when the time limit is over, as ``time.monotonic`` tells it; None: it
            begins now.

    Raises:
        BackendError: iree-compile failed or ran past its time limit.
    """
    target, options = lowered.job.target, lowered.job.options
    output = module_path(lowered.folder)
    kernels = kernel_stage(target, options, measured_storages(lowered))
    left_s = options.timeout_s if deadline is None else deadline - time.monotonic()
    with recorder.stage(BUILD, "iree-compile"):
        built = compile_with_fallbacks(
            lowered.bytecode, lowered.save_plain, target, options, output, kernels, left_s
        )
    if kernels is not None:
        recorder.split(IMAGES, "smartmem", kernels.seconds, kernels.text)
    counts = compiled_kernels(built, target, options)
    for file in output.parent.glob("*.mlirbc"):
        file.unlink()
    recorder.done()
    report = _report(lowered, built, counts, recorder)
    return CompiledModel(lowered.folder, target, report, recorder.ir)


def _report(
    lowered: Lowered, built: Built, counts: KernelCounts | None, recorder: StageRecorder
) -> Report:
    """What is known of a compilation that has come to its end."""
    context = PassContext() if built.kernels is None else built.kernels.context
    return Report(
        model=lowered.name,
        source=lowered.source,
        target=lowered.job.target.name,
        opt_level=built.level,
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        inventory=recorder.inventory,
        inventory_left=recorder.inventory_left,
        kernels=built.statistics,
        parameter_bytes=lowered.parameter_bytes,
        module_bytes=module_path(lowered.folder).stat().st_size,
        kernels_before=lowered.kernels_before,
        kernel_counts=counts,
        stages=tuple(recorder.records),
        own_peak_bytes=peak_memory(),
        remarks=(*(() if built.is_plain else lowered.remarks), *context.remarks),
        bindings=tuple(context.bindings),
        layouts=Layouts() if built.is_plain else lowered.layouts,
        graph_before=lowered.graph_before,
        graph_after=KernelGraph() if built.is_plain else lowered.graph_after,
        fallbacks=(*lowered.fallbacks, *built.fallbacks),
    )


def kernel_stage(
    target: Target, options: CompileOptions, storages: Mapping[int, Storage] | None = None
) -> KernelStage | None:
    """What is to be done to the kernels; None if they stay what iree-compile makes.

    Args:
        storages: how the kernels of some groups are to read, by number.

    Raises:
        TargetError: the options ask for images on a CPU.
    """
    wanted = () if storages is None else storages.values()
    passes = kernel_passes(target, options.storage, options.storage_writes, set(wanted))
    number = ALL_STAGES.index(IMAGES)
    return KernelStage(passes, options, number, storages) if passes else None


def measured_storages(lowered: Lowered) -> dict[int, Storage]:
    """How the kernels of groups read fastest, where that was measured and is asked for."""
    if lowered.job.options.storage != AUTO:
        return {}
    kernels = lowered.layouts.kernels
    return {k.number: k.storage for k in kernels if k.storage is not None and k.number >= 0}


def module_path(folder: tempfile.TemporaryDirectory[str]) -> Path:
    """The compiled module in the folder of a compilation."""
    return Path(folder.name) / "model.vmfb"
