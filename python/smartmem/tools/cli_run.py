"""``smartmem run``, ``check`` and ``benchmark``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smartmem.tools.cli_console import command, note, result, stage_progress
from smartmem.tools.cli_files import check_output, is_module
from smartmem.tools.cli_settings import CompileSettings, DataSettings, MessageSettings

if TYPE_CHECKING:
    from smartmem.backend.device.runtime import BenchmarkResult
    from smartmem.parameters import Array
    from smartmem.runtime.executable import Executable
    from smartmem.tensor_spec import TensorSpec

ModuleArgument = Annotated[
    Path, typer.Argument(metavar="MODEL|MODULE", help="A model, or a compiled .vmfb.")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        metavar="DEVICE",
        help="Where to run: cpu, vulkan, vulkan:N, vulkan:PART-OF-NAME, or auto for the "
        "first device that fits the target. A model is compiled for it unless --target "
        "is given.",
    ),
]


@command
def run_command(
    model: ModuleArgument,
    build: CompileSettings,
    data: DataSettings,
    messages: MessageSettings,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.npz", help="Write the outputs there."),
    ] = None,
    device: DeviceOption = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run a compiled module, or compile a model and run it, once."""
    from smartmem.runtime.array_files import write_arrays

    if output is not None:
        check_output(output, ".npz", model)
    executable = open_executable(model, build, messages, device)
    outputs = executable.module(*input_arrays(executable.inputs, data))
    pairs = list(zip(executable.outputs, outputs, strict=True))
    if as_json:
        described = [output_values(spec, array) for spec, array in pairs]
        where = executable.module.device_name
        result(json.dumps({"device": where, "outputs": described}, indent=2))
    else:
        for spec, array in pairs:
            result(describe_output(spec, array))
    if output is not None:
        names = [spec.name for spec in executable.outputs]
        write_arrays(output, dict(zip(names, outputs, strict=True)))
    note_random_inputs(data, messages)
    note(f"ran on {executable.module.device_name}", messages)


@command
def check_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="ONNX, MLIR or torch.export (.pt2) file.")
    ],
    build: CompileSettings,
    data: DataSettings,
    messages: MessageSettings,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Largest accepted error; by default 1e-4 for float32, 1e-2 for float16, "
            "5e-2 for bfloat16.",
        ),
    ] = None,
    kernels: Annotated[
        bool,
        typer.Option("--kernels", help="Compare each kernel alone with the CPU instead."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compile a model, and compare it with the original on the target's device.

    The error of an output is max|compiled - original| / max|original|. Ends with 1 if one
    is above the tolerance, or if two runs of one input give other bits. On a GPU the module
    runs in processes of its own, on memory full of NaNs.
    """
    from smartmem.checking.check import check_model
    from smartmem.checking.kernel_check import KernelCheck, check_kernels
    from smartmem.runtime.array_files import read_arrays

    arrays = read_arrays(data.input) if data.input else None
    with stage_progress(messages, model.name) as progress:
        found = (check_kernels if kernels else check_model)(
            model,
            arrays=arrays,
            target=build.target,
            options=build.options(progress),
            tolerance=tolerance,
            seed=data.seed,
        )
    outcome = found if isinstance(found, KernelCheck) else found.result
    result(json.dumps(outcome.to_json(), indent=2) if as_json else str(outcome))
    note_random_inputs(data, messages)
    outcome.require()


@command
def benchmark_command(
    model: ModuleArgument,
    build: CompileSettings,
    data: DataSettings,
    messages: MessageSettings,
    device: DeviceOption = "auto",
    repetitions: Annotated[int, typer.Option(help="Measured runs.")] = 10,
    warmup: Annotated[int, typer.Option(help="Runs before the measured ones.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the latency of single runs; inputs and outputs stay on the device."""
    from smartmem.report.text import format_seconds

    executable = open_executable(model, build, messages, device)
    arrays = input_arrays(executable.inputs, data)
    times = executable.benchmark(*arrays, repetitions=repetitions, warmup=warmup)
    note_random_inputs(data, messages)
    where = executable.module.device_name
    if as_json:
        values = {"device": where, **_statistics(times), "seconds": [*times.seconds]}
        result(json.dumps(values, indent=2))
        return
    parts = [f"{name} {format_seconds(value)}" for name, value in _statistics(times).items()]
    result(f"{', '.join(parts)} ({repetitions} runs on {where})")


def _statistics(times: BenchmarkResult) -> dict[str, float]:
    """What is said of the times, in seconds."""
    return {
        "median": times.median,
        "min": times.min,
        "p90": times.percentile(90),
        "p99": times.percentile(99),
        "max": times.max,
    }


def open_executable(
    model: Path, build: CompileSettings, messages: MessageSettings, device: str
) -> Executable:
    """The compiled module in the file, or the compiled model.

    Raises:
        SmartMemError: as for ``smartmem.load`` and ``smartmem.compile``.
    """
    import smartmem

    if is_module(model):
        return smartmem.load(model, device=device)
    # The names of this machine's devices are names of targets too.
    target = device if build.target == "auto" else build.target
    with stage_progress(messages, model.name) as progress:
        compiled = smartmem.compile(model, target=target, options=build.options(progress))
    compiled.device = device
    return compiled


def input_arrays(specs: Sequence[TensorSpec], data: DataSettings) -> list[Array]:
    """The arrays of the files given, or random ones.

    Raises:
        InvalidInputError: a file cannot be read or does not fit.
    """
    from smartmem.runtime.array_files import read_arrays
    from smartmem.runtime.inputs import fit_arrays, random_inputs

    if data.input:
        return fit_arrays(specs, read_arrays(data.input))
    return random_inputs(specs, data.seed)


def note_random_inputs(data: DataSettings, messages: MessageSettings) -> None:
    """Says so if the inputs were random."""
    if not data.input:
        note(
            f"inputs are random with seed {data.seed}: floats normal(0, 1), integers 0 to 9; "
            "give real ones with --input",
            messages,
        )


def output_values(spec: TensorSpec, array: Array) -> dict[str, object]:
    """The same as ``describe_output`` for programs; what is no number is null."""
    import numpy as np

    values = array.astype(np.float64)
    numbers = [*([values.min(), values.max()] if array.size else []), *values.ravel()[:4]]
    plain = [float(n) if np.isfinite(n) else None for n in numbers]
    least, most = plain[:2] if array.size else (None, None)
    return {
        "name": spec.name,
        "shape": [*spec.shape],
        "dtype": str(spec.dtype),
        "min": least,
        "max": most,
        "first": plain[2:],
    }


def describe_output(spec: TensorSpec, array: Array) -> str:
    """Name, type, range and first values of an output, on one line."""
    import numpy as np

    if not array.size:
        return f"{spec}  empty"
    values = array.astype(np.float64)
    first = ", ".join(f"{value:.6g}" for value in values.ravel()[:4])
    more = ", ..." if array.size > 4 else ""
    return f"{spec}  min {values.min():.6g}  max {values.max():.6g}  [{first}{more}]"
