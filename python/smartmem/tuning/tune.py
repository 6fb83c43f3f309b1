"""``tune``: measures the kernels of a model on a device, into a tuning file."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from smartmem.backend.compatibility import vulkan_mismatches
from smartmem.backend.devices import select_device, usable_devices
from smartmem.backend.image_library import require_image_library
from smartmem.backend.storage import family_of
from smartmem.backend.targets import Target
from smartmem.backend.vulkan_device import VulkanDevice
from smartmem.compiler import ALL_STAGES, as_target
from smartmem.errors import InvalidInputError, TargetError
from smartmem.lowered import Job, Lowered, lower
from smartmem.options import CompileOptions
from smartmem.parameters import Parameters
from smartmem.passes.analysis.image_choices import STORAGES, Storage
from smartmem.recorder import StageRecorder
from smartmem.stages import import_stage, pass_context
from smartmem.tuning.costs import measure_costs
from smartmem.tuning.kernels import KernelCase, kernel_cases, read_module
from smartmem.tuning.measure import Bench
from smartmem.tuning.session import Outcome, Progress, Session
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.storages import Gpu
from smartmem.tuning.table import Table, read_table

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

    Tile sizes of each kernel, on a Vulkan device how it should read, and what the device
    does per second, for the cost model.

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
        TargetError: the target's code does not run on the device.
        SmartMemError: as for ``smartmem.compile``.
    """
    if not minutes > 0:
        raise InvalidInputError(f"a budget of {minutes:g} minutes is not positive; give more")
    path, chosen = Path(path), as_target(target)
    where, machine = device, machine_of(chosen)
    if chosen.kind == "vulkan":
        found = device_for(chosen, device)
        where, machine = f"vulkan:{found.index}", replace(machine, description=str(found))
    table = read_table(path, machine) if path.exists() else Table(machine)
    options = replace(options or CompileOptions(), tuning=None)
    gpu = _gpu(chosen)
    cases = _cases(_lowered(model, inputs, chosen, options), gpu)
    bench = Bench(chosen, where, threads, options.opt_level or "O3")
    table.save(path)  # what cannot be written is known before the work
    if table.costs is None:
        if progress is not None:
            progress("the device", 0, len(cases))
        table.costs = measure_costs(bench, None if gpu is None else gpu.bounds)
        table.save(path)
    session = Session(table, bench, lambda t: t.save(path), 60 * minutes, gpu)
    return session.run(cases, progress)


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


def _lowered(model: Any, inputs: Any, target: Target, options: CompileOptions) -> Lowered:
    recorder = StageRecorder(ALL_STAGES, options)
    job = Job(model, inputs, target, options)
    lowered = lower(import_stage(model, inputs, options, recorder), job, recorder)
    recorder.done()
    return lowered


def _cases(lowered: Lowered, gpu: Gpu | None) -> list[KernelCase]:
    """What can be tuned of a model; where only tiles can, the kernels that have some.

    Raises:
        InvalidInputError: there is nothing.
    """
    cases = kernel_cases(read_module(lowered.bytecode), None if gpu is None else gpu.bounds)
    if gpu is not None and not gpu.storages:
        cases = [case for case in cases if case.start is not None]
    if not cases:
        raise InvalidInputError(
            f"{lowered.name} has no kernel that can be tuned for target "
            f"{lowered.job.target.name}; tune another model, or for another target"
        )
    return cases


def _gpu(target: Target) -> Gpu | None:
    """What is to be known of a Vulkan target; None for a CPU."""
    bounds = pass_context(Parameters(), target).workgroups
    if target.kind == "cpu" or bounds is None:
        return None
    usual = family_of(target).reads
    others: tuple[Storage, ...] = tuple(s for s in STORAGES if s != usual)
    return Gpu(bounds, usual, others if _has_library() else ())


def _has_library() -> bool:
    """Whether kernels with images run here; if not, a note says why."""
    try:
        require_image_library("a kernel with another storage")
    except TargetError as error:
        logger.warning("only tile sizes are measured: %s", error)
        return False
    return True
