"""``smartmem.compile``: from a model to a module that runs."""

from __future__ import annotations

import contextlib
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.iree import CompileError, CompileStatistics, compile_bytecode
from smartmem.backend.kernels import KernelCounts, count_kernels
from smartmem.backend.targets import Target, resolve_target
from smartmem.errors import InvalidInputError
from smartmem.executable import Executable
from smartmem.options import CompileOptions
from smartmem.passes import PassContext
from smartmem.recorder import StageRecorder, peak_memory
from smartmem.report import Report
from smartmem.stages import (
    IR_STAGES,
    Lowered,
    first_stage,
    import_stage,
    lower,
    run_stages,
)
from smartmem.tensor_spec import TensorSpec

logger = logging.getLogger(__name__)

DEFAULT_LEVELS = ("O3", "O1")
"""The optimization levels to try, in this order, where the user asks for none."""

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


def build(
    lowered: Lowered, target: Target, options: CompileOptions, recorder: StageRecorder
) -> CompiledModel:
    """Runs iree-compile on a lowered model.

    Raises:
        BackendError: iree-compile failed or ran past its time limit.
    """
    with recorder.stage(BUILD, "iree-compile"):
        opt_level, statistics = _run_iree_compile(lowered, target, options)
    kernel_counts = _inspect(lowered, target, options, opt_level)
    lowered.bytecode.unlink()
    recorder.done()
    report = Report(
        model=lowered.name,
        source=lowered.source,
        target=target.name,
        opt_level=opt_level,
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        inventory=recorder.inventory,
        kernels=statistics,
        parameter_bytes=lowered.parameter_bytes,
        module_bytes=module_path(lowered.folder).stat().st_size,
        kernel_counts=kernel_counts,
        stages=tuple(recorder.records),
        own_peak_bytes=peak_memory(),
        remarks=lowered.remarks,
    )
    return CompiledModel(lowered.folder, target, report, recorder.ir)


def _run_iree_compile(
    lowered: Lowered, target: Target, options: CompileOptions
) -> tuple[str, CompileStatistics]:
    """The first of the levels to try at which iree-compile succeeds, and its result."""
    first, *others = DEFAULT_LEVELS if options.opt_level is None else (options.opt_level,)
    start = time.monotonic()
    try:
        return first, _run_at(first, lowered, target, options, options.timeout_s)
    except CompileError as error:
        for level in others:
            left = options.timeout_s - (time.monotonic() - start)
            if left <= 0:
                break
            with contextlib.suppress(CompileError):
                statistics = _run_at(level, lowered, target, options, left)
                logger.info("compiled at %s, because at %s %s", level, first, error)
                return level, statistics
        raise


def _run_at(
    level: str, lowered: Lowered, target: Target, options: CompileOptions, timeout_s: float
) -> CompileStatistics:
    return compile_bytecode(
        lowered.bytecode,
        target,
        opt_level=level,
        extra_flags=options.iree_flags,
        timeout_s=timeout_s,
        output=module_path(lowered.folder),
    )


def _inspect(
    lowered: Lowered, target: Target, options: CompileOptions, level: str
) -> KernelCounts | None:
    if not options.inspect_kernels:
        return None
    return count_kernels(
        lowered.bytecode,
        target,
        opt_level=level,
        extra_flags=options.iree_flags,
        timeout_s=options.timeout_s,
    )


def module_path(folder: tempfile.TemporaryDirectory[str]) -> Path:
    """The compiled module in the folder of a compilation."""
    return Path(folder.name) / "model.vmfb"
