"""Where a wrong result of a compiled model comes from.

The reference interpreter runs the model as it was imported, and after each pass. Where that
is right to the end, what is left is iree-compile and the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from torch_mlir import ir

from smartmem.backend.device.devices import usable_devices
from smartmem.backend.device.runtime import LoadedModule
from smartmem.checking.compare import compare
from smartmem.compiler.faults import Net
from smartmem.compiler.lowered import Job
from smartmem.compiler.recorder import StageRecorder
from smartmem.compiler.stages import IR_STAGES, first_stage, pass_context, run_stages
from smartmem.errors import (
    InterpreterError,
    SmartMemError,
    TimeLimitError,
    UnsupportedError,
    ValidationError,
)
from smartmem.interpreter import interpret
from smartmem.parameters import Array
from smartmem.passes import PassContext
from smartmem.validation.validator import Validator, mismatch


def locate(
    job: Job,
    inputs: Sequence[Array],
    expected: Sequence[Array],
    compiled: Path,
    device: str,
    tolerance: float | None = None,
) -> str:
    """What makes a compiled model's result wrong, in one sentence.

    Args:
        job: what was compiled. The model is imported anew.
        inputs: what gives a wrong result.
        expected: the right one.
        compiled: the file of the compiled module.
        device: the name of the device that computed the wrong result.
        tolerance: largest accepted error, as in ``compare``.
    """
    options = replace(job.options, validate=True, progress=None, keep_ir=False)
    job = replace(job, options=options)
    try:
        return _of_our_own(job, inputs, expected, tolerance) or _behind_us(
            job, inputs, expected, compiled, device, tolerance
        )
    except (UnsupportedError, InterpreterError, TimeLimitError) as error:
        return f"where it went wrong is not known: {error}"


def _of_our_own(
    job: Job, inputs: Sequence[Array], expected: Sequence[Array], tolerance: float | None
) -> str:
    """The import or the stage that is wrong; empty if none is."""
    imported = job.read()
    module, context = (
        imported.module,
        pass_context(imported.parameters, job.target, job.options),
    )
    results = interpret(module, inputs, imported.parameters)
    if found := mismatch(expected, results, tolerance):
        return f"the import computes something else than the original: {found.reason}"
    assert context.validator is not None
    context.validator.inputs, context.validator.tolerance = list(inputs), tolerance
    after = first_stage(module)
    for stage in IR_STAGES[IR_STAGES.index(after) + 1 :]:
        if fault := _stage_fault(module, context, job, (after, stage), expected):
            return f"stage {stage}: {fault}"
        after = stage
    return ""


def _stage_fault(
    module: ir.Module,
    context: PassContext,
    job: Job,
    stages: tuple[str, str],
    expected: Sequence[Array],
) -> str:
    """What is wrong with the passes between two stages; empty if nothing is."""
    recorder, net = StageRecorder(IR_STAGES, job.options), Net(job.options)
    try:
        run_stages(module, context, recorder, net, after=stages[0], until=stages[1])
    except ValidationError as error:
        return str(error)
    validator = context.validator
    assert isinstance(validator, Validator)
    results = interpret(module, validator.arrays(module), context.parameters)
    if found := mismatch(expected, results, validator.tolerance):
        return f"the errors of the passes so far add up: {found.reason}"
    return ""


def _behind_us(
    job: Job,
    inputs: Sequence[Array],
    expected: Sequence[Array],
    compiled: Path,
    device: str,
    tolerance: float | None,
) -> str:
    right = "every stage before iree-compile computes the right result, so "
    if job.target.kind != "vulkan":
        return f"{right}iree-compile makes it wrong; --kernels names the kernel"
    others = [d for d in usable_devices() if d.name not in device]
    for other in others:
        if _runs_right(compiled, f"vulkan:{other.index}", inputs, expected, tolerance):
            return f"{right}as {other.name} runs the module right, {device} makes it wrong"
    return f"{right}iree-compile or the device makes it wrong; --kernels names the kernel"


def _runs_right(
    compiled: Path,
    device: str,
    inputs: Sequence[Array],
    expected: Sequence[Array],
    tolerance: float | None,
) -> bool:
    with suppress(SmartMemError):
        results = LoadedModule(compiled, device)(*inputs)
        names = [str(n) for n in range(len(results))]
        return all(error.ok for error in compare(names, expected, results, tolerance))
    return False
