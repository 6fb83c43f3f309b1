"""Runs the original and the compiled model on the same inputs and compares them.

Both run on two inputs, and the compiled model in the ways of ``repeated_runs``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.checking.compare import (
    TOLERANCES,
    CheckResult,
    OutputError,
    compare,
    compare_output,
)
from smartmem.checking.repeated_runs import run_repeatedly, shuffled
from smartmem.compiler.compile import TOLD_STAGES, CompiledModel, as_target, build
from smartmem.compiler.lowered import Job, embed_metadata, lower
from smartmem.compiler.recorder import StageRecorder, save_bytecode
from smartmem.compiler.stages import import_stage
from smartmem.errors import InvalidInputError, SmartMemError
from smartmem.files import scratch_folder
from smartmem.frontend import ImportedModel, Reference
from smartmem.options import CompileOptions
from smartmem.parameters import Array
from smartmem.passes.base import operations
from smartmem.runtime.inputs import fit_arrays, random_inputs
from smartmem.validation.locate import locate

STOCK = "stock IREE on the CPU"

_ORIGINALS = {"torch": "PyTorch"}


@dataclass(frozen=True)
class CheckedModel:
    """A compiled model and how it compares with the original."""

    compiled: CompiledModel
    result: CheckResult


def check_model(
    model: Any,
    *,
    inputs: Any = None,
    arrays: Any = None,
    target: str | Path | Target = "auto",
    options: CompileOptions | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> CheckedModel:
    """Compiles a model and compares it with the original on the target's device.

    The original is PyTorch for a torch model, ONNX Runtime or ONNX's reference
    evaluator for an ONNX model, and stock IREE on the CPU for MLIR.

    Args:
        model: as for ``smartmem.compile``.
        inputs: example inputs, for an ``nn.Module``.
        arrays: what both run on: one, a sequence in order, or a mapping by name;
            ``inputs`` if there are none, and random ones from ``seed`` without either.
        target: as for ``smartmem.compile``.
        options: as for ``smartmem.compile``.
        tolerance: largest accepted error of a floating-point output; None takes it from
            ``smartmem.checking.compare.TOLERANCES``: by the output's type, or by the precision
            that the options ask for; ``max_error`` for "auto".
        seed: of the random arrays.

    A wrong result is followed through the stages of the compilation, as
    ``CheckResult.cause`` says.

    Raises:
        SmartMemError: as for ``smartmem.compile``, and TargetError if no device fits.
    """
    if tolerance is not None and not tolerance >= 0:
        raise InvalidInputError(f"the tolerance {tolerance} is not a number from 0 up")
    options = options or CompileOptions()
    why = ""
    if tolerance is None:
        tolerance, why = _tolerance_of(options)
    chosen = as_target(target)
    recorder = StageRecorder(TOLD_STAGES, options)
    imported = import_stage(model, inputs, options, recorder)
    given = _arrays(imported, arrays if arrays is not None else inputs, seed)
    both = given, shuffled(given, seed)
    expected = _run_original(imported, both, options)
    job = Job(model, inputs, chosen, options)
    compiled = build(lower(imported, job, recorder), recorder)
    names = [spec.name for spec in compiled.outputs]
    runs = run_repeatedly(compiled.module, compiled.path, names, both)
    pairs = zip(expected, runs.results, strict=True)
    result = CheckResult(
        outputs=_worst(*(compare(names, want, got, tolerance) for want, got in pairs)),
        reference=_name_of_original(imported),
        device=compiled.module.device_name,
        runs=runs.how,
        differing=runs.differing,
        why=why,
    )
    wrong = [n for n, got in enumerate(runs.results) if not _agrees(result, expected[n], got)]
    if wrong:
        first = wrong[0]
        path, device = compiled.path, result.device
        cause = locate(job, both[first], expected[first], path, device, tolerance)
        result = replace(result, cause=cause)
    return CheckedModel(compiled, result)


def _tolerance_of(options: CompileOptions) -> tuple[float | None, str]:
    """The tolerance that a compilation's precision asks for, and why; None: the outputs' own."""
    stored = {"f16": "float16", "bf16": "bfloat16"}.get(options.precision)
    if stored is not None:
        tolerance = TOLERANCES[stored]
        return (
            tolerance,
            f"tolerance {tolerance:.0e}: tensors are stored in {options.precision}",
        )
    if options.precision == "auto":
        limit = options.max_error
        return limit, f"tolerance {limit:.0e}: the error that --precision auto may make"
    return None, ""


def _agrees(result: CheckResult, expected: Sequence[Array], actual: Sequence[Array]) -> bool:
    """Whether one run is within the tolerances of the outputs."""
    triples = zip(result.outputs, expected, actual, strict=True)
    return all(compare_output(o.name, e, a, o.tolerance).ok for o, e, a in triples)


def _arrays(imported: ImportedModel, given: Any, seed: int) -> list[Array]:
    specs = imported.inputs
    return random_inputs(specs, seed) if given is None else fit_arrays(specs, given)


def _worst(*results: Sequence[OutputError]) -> tuple[OutputError, ...]:
    """The larger error of each output."""
    return tuple(max(errors, key=lambda e: e.error) for errors in zip(*results, strict=True))


def _run_original(
    imported: ImportedModel, inputs: Sequence[Sequence[Array]], options: CompileOptions
) -> list[list[Array]]:
    if imported.reference is not None:
        return [_run_reference(imported.reference, arrays) for arrays in inputs]
    if any(op.name.startswith("smartmem.") for op in operations(imported.module.operation)):
        raise InvalidInputError(
            "the model holds SmartMem's own operations, so nothing else can run it to "
            "compare with; check the model it was made from"
        )
    with scratch_folder() as folder:
        source, module = Path(folder, "original.mlirbc"), Path(folder, "original.vmfb")
        target = resolve_target("cpu")
        embed_metadata(imported, target)
        save_bytecode(imported.module, source)
        limits = IreeOptions(timeout_s=options.timeout_s, memory_limit=options.memory_limit)
        compile_bytecode(source, target, limits, output=module)
        original: Callable[..., list[Array]] = LoadedModule(module, "cpu")
        return [original(*arrays) for arrays in inputs]


def _name_of_original(imported: ImportedModel) -> str:
    """What ran the original model; one of ONNX's says itself which it found."""
    named = getattr(imported.reference, "name", None)
    return str(named or _ORIGINALS.get(imported.source, STOCK))


def _run_reference(reference: Reference, arrays: Sequence[Array]) -> list[Array]:
    try:
        return reference(arrays)
    except SmartMemError:
        raise
    except Exception as error:  # of PyTorch, ONNX Runtime or the model's own code
        raise InvalidInputError(
            f"the original model does not run on these inputs: {_first_line(error)}; "
            "give inputs that suit it"
        ) from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
