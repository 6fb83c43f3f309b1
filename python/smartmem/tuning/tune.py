"""``tune``: measures the kernels of a model on a device, into a tuning file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smartmem.compiler import ALL_STAGES, as_target
from smartmem.errors import InvalidInputError
from smartmem.lowered import Job, lower
from smartmem.options import CompileOptions
from smartmem.recorder import StageRecorder
from smartmem.stages import import_stage
from smartmem.tuning.kernels import kernel_cases, read_module
from smartmem.tuning.measure import Bench
from smartmem.tuning.session import Outcome, Progress, Session
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.table import Table, read_table


def tune(
    model: Any,
    path: str | Path,
    *,
    inputs: Any = None,
    target: str | Path = "auto",
    options: CompileOptions | None = None,
    device: str = "auto",
    threads: int | None = None,
    minutes: float = 10.0,
    progress: Progress | None = None,
) -> Outcome:
    """Measures tile sizes for the kernels of a model and writes those that are faster.

    Args:
        model: as for ``smartmem.compile``.
        path: the tuning file. If it is there, the session goes on where it ended, or adds
            the kernels of another model.
        inputs: as for ``smartmem.compile``.
        target: likewise; its code must run on ``device``.
        options: likewise; what ``tuning`` names is not read.
        device: what runs the kernels, as for ``smartmem.load``.
        threads: worker threads on a CPU; None for one per physical core.
        minutes: the budget; a kernel that is begun is finished.
        progress: told about every kernel that begins.

    Raises:
        InvalidInputError: the file is no tuning file or cannot be written, or nothing of
            the model can be tuned for this target.
        SmartMemError: as for ``smartmem.compile``.
    """
    if not minutes > 0:
        raise InvalidInputError(f"a budget of {minutes:g} minutes is not positive; give more")
    path, chosen = Path(path), as_target(target)
    machine = machine_of(chosen)
    table = read_table(path, machine) if path.exists() else Table(machine)
    options = options or CompileOptions()
    recorder = StageRecorder(ALL_STAGES, options)
    job = Job(model, inputs, chosen, options)
    lowered = lower(import_stage(model, inputs, options, recorder), job, recorder)
    recorder.done()
    cases = kernel_cases(read_module(lowered.bytecode))
    if not cases:
        raise InvalidInputError(
            f"{lowered.name} has no kernel with tile sizes for target {chosen.name}; "
            "tune for another target"
        )
    where = device if device != "auto" else chosen.kind
    level = options.opt_level or "O3"
    bench = Bench(chosen, where, threads, level)
    table.save(path)  # what cannot be written is known before the work
    return Session(table, bench, lambda t: t.save(path), 60 * minutes).run(cases, progress)
