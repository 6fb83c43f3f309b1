"""``tune``: measures the kernels of a model on a device, into a tuning file."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartmem.backend.device.compatibility import vulkan_mismatches
from smartmem.backend.device.devices import select_device, usable_devices
from smartmem.backend.device.image_library import require_image_library
from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.targets.processor import Gpu
from smartmem.backend.targets.storage import family_of
from smartmem.backend.targets.targets import Target
from smartmem.backend.targets.vulkan_device import VulkanDevice
from smartmem.compiler.compile import ALL_STAGES, as_target
from smartmem.compiler.lowered import Job, Lowered, lower
from smartmem.compiler.recorder import StageRecorder
from smartmem.compiler.stages import import_stage
from smartmem.errors import InvalidInputError, TargetError
from smartmem.options import CompileOptions
from smartmem.passes.analysis.images.image_choices import STORAGES, Storage
from smartmem.tuning.costs import measure_costs
from smartmem.tuning.fusions import ModelPairs
from smartmem.tuning.kernels import KernelCase, kernel_cases
from smartmem.tuning.measure import Bench, OutOfTimeError
from smartmem.tuning.pair_session import PairSession
from smartmem.tuning.session import Outcome, Progress, Session
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.storages import ShaderChoices
from smartmem.tuning.table import Machine, Table, read_table

logger = logging.getLogger(__name__)


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
    """Measures the kernels of a model and the device, and writes what is faster.

    First what the device does per second, for the cost model. Then the pairs of kernels of
    which the fusion plan could make one, for at most half of the time. Then, of the kernels
    that the plan makes so, tile sizes and, on a Vulkan device, how they should read.

    Args:
        model: as for ``smartmem.compile``.
        path: the tuning file. If it is there, the session goes on where it ended, or adds
            the kernels of another model.
        inputs: as for ``smartmem.compile``.
        target: likewise; its code must run on ``device``.
        options: likewise; what ``tuning`` names is not read.
        device: what runs the kernels, as for ``smartmem.load``.
        threads: worker threads on a CPU; None for one per physical core.
        minutes: the budget, import and passes included. What is being measured when it is
            over is given up; the next session begins with it.
        progress: told about every kernel or pair that begins.

    Raises:
        InvalidInputError: the file is no tuning file or cannot be written, or nothing of
            the model can be tuned for this target.
        TargetError: the target's code does not run on the device.
        SmartMemError: as for ``smartmem.compile``.
    """
    if not minutes > 0:
        raise InvalidInputError(f"a budget of {minutes:g} minutes is not positive; give more")
    end = time.monotonic() + 60 * minutes
    path, chosen = Path(path), as_target(target)
    where, machine = _place(chosen, device)
    table = read_table(path, machine) if path.exists() else Table(machine)
    job = Job(model, inputs, chosen, replace(options or CompileOptions(), tuning=None))
    choices = _shader_choices(chosen)
    cases, pairs = _work(job, table, choices)
    bench = Bench(chosen, where, threads, job.options.opt_level or "O3", end=end)
    table.save(path)  # what cannot be written is known before the work
    _measure_device(table, bench, choices, path, progress)
    fusions = None
    if pairs is not None:
        half_s = (end - time.monotonic()) / 2
        early = bench.until(time.monotonic() + half_s)
        fusions = PairSession(table, early, _saver(path), half_s).run(pairs, progress)
        if fusions.faster:  # other kernels now
            cases = _cases(_lowered(job, table), choices)
    session = Session(table, bench, _saver(path), end - time.monotonic(), choices)
    return replace(session.run(cases, progress), pairs=fusions)


def _measure_device(
    table: Table,
    bench: Bench,
    choices: ShaderChoices | None,
    path: Path,
    progress: Progress | None,
) -> None:
    """Adds the costs of the device unless the table has them, or the time is over."""
    if table.costs is not None:
        return
    if progress is not None:
        progress("the device", 0, 1)
    with suppress(OutOfTimeError):
        table.costs = measure_costs(bench, None if choices is None else choices.gpu)
        table.save(path)


def _place(target: Target, device: str) -> tuple[str, Machine]:
    """The device to measure on, as ``LoadedModule`` takes it, and what tables call it."""
    machine = machine_of(target)
    if target.kind != "vulkan":
        return device, machine
    found = device_for(target, device)
    return f"vulkan:{found.index}", replace(machine, description=str(found))


def _work(
    job: Job, table: Table, choices: ShaderChoices | None
) -> tuple[list[KernelCase], ModelPairs | None]:
    """The kernels to tune, and pairs of them; None for pairs where the passes failed.

    Raises:
        InvalidInputError: there are neither.
    """
    lowered = _lowered(job, table)
    cases = _cases(lowered, choices)
    pairs = None if lowered.fallbacks else ModelPairs(job, table)
    if not cases and (pairs is None or not pairs.cases()):
        raise InvalidInputError(
            f"{lowered.name} has no kernel that can be tuned for target {job.target.name}; "
            "tune another model, or for another target"
        )
    return cases, pairs


def _saver(path: Path) -> Callable[[Table], None]:
    return lambda table: table.save(path)


def device_for(target: Target, device: str = "auto") -> VulkanDevice:
    """The Vulkan device of this machine on which to measure the code for a target.

    Args:
        device: ``auto`` for the first that the code runs on, the target's own before
            others; or one device, as for ``smartmem.load``.

    Raises:
        TargetError: no such device, or the code does not run on it.
    """
    kind, _, selector = device.partition(":")
    if kind not in ("auto", "vulkan"):
        raise TargetError(f"target {target.name} does not run on {device}; use device vulkan")
    devices = [select_device(selector)] if selector else usable_devices() or [select_device()]
    own = target.device.uuid if target.device is not None else None
    needs = target.requirements
    found = {d: vulkan_mismatches(needs, d) if needs else [] for d in devices}
    fitting = sorted((d for d in devices if not found[d]), key=lambda d: d.uuid != own)
    if fitting:
        return fitting[0]
    told = "; ".join(f"{d.name}: {', '.join(why)}" for d, why in found.items())
    raise TargetError(
        f"nothing can be measured for target {target.name}, whose code runs on no Vulkan "
        f"device here: {told}; tune for target vulkan, or where there is such a device"
    )


def _lowered(job: Job, table: Table) -> Lowered:
    """The model with the fusions that the table knows, and nothing else of it."""
    with tempfile.TemporaryDirectory(prefix="smartmem-tune-") as name:
        path = Path(name) / "fusions.json"
        Table(table.machine, fusions=table.fusions).save(path)
        options = replace(job.options, tuning=path)
        recorder = StageRecorder(ALL_STAGES, options)
        imported = import_stage(job.model, job.inputs, options, recorder)
        lowered = lower(imported, replace(job, options=options), recorder)
        recorder.done()
    return lowered


def _cases(lowered: Lowered, choices: ShaderChoices | None) -> list[KernelCase]:
    """What can be tuned of a model's kernels; where only tiles can, those that have some."""
    cases = kernel_cases(
        read_module(lowered.bytecode), None if choices is None else choices.gpu
    )
    if choices is not None and not choices.storages:
        cases = [case for case in cases if case.start is not None]
    return cases


def _shader_choices(target: Target) -> ShaderChoices | None:
    """What is to be known of a Vulkan target; None for a CPU."""
    gpu = target.processor
    if not isinstance(gpu, Gpu):
        return None
    usual = family_of(target).reads
    others: tuple[Storage, ...] = tuple(s for s in STORAGES if s != usual)
    return ShaderChoices(gpu, usual, others if _has_library() else ())


def _has_library() -> bool:
    """Whether kernels with images run here; if not, a note says why."""
    try:
        require_image_library("a kernel with another storage")
    except TargetError as error:
        logger.warning("only tile sizes are measured: %s", error)
        return False
    return True
