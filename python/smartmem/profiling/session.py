"""Profiles a model: compiles it, measures the device, and times its kernels."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from smartmem.backend.targets.processor import Gpu
from smartmem.backend.targets.targets import Target
from smartmem.compiler.compile import CompiledModel
from smartmem.parameters import Array
from smartmem.profiling.events import profile_module
from smartmem.profiling.profile import DeviceRates, Profile, join
from smartmem.tuning.costs import measure_costs
from smartmem.tuning.measure import Bench

logger = logging.getLogger(__name__)

WARM_UP = 3
"""Inferences before those that count."""


def profile(
    compiled: CompiledModel,
    arrays: Sequence[Array],
    *,
    runs: int = 20,
    with_rates: bool = True,
    timeout_s: float = 600.0,
) -> Profile:
    """The time of each kernel of a compiled model.

    Args:
        compiled: with ``CompileOptions.inspect_kernels``; ``device`` says what runs it.
        arrays: its inputs, in order.
        runs: inferences that count, 1 or more.
        with_rates: measure what the device can do, too; takes some seconds.
        timeout_s: for the profiled runs.

    Raises:
        TargetError: no device fits, or it has no profiler.
        BackendError: the kernels cannot be told apart.
    """
    where, events = profile_module(
        compiled.path,
        arrays,
        device=compiled.device,
        runs=runs + WARM_UP,
        timeout_s=timeout_s,
    )
    times = compiled.benchmark(*arrays, repetitions=runs, warmup=WARM_UP)
    return join(
        compiled.report,
        events,
        runs,
        device=where.name,
        inference_s=times.median,
        rates=_rates(compiled.target, compiled.device) if with_rates else None,
    )


def _rates(target: Target, device: str) -> DeviceRates | None:
    processor = target.processor
    gpu = processor if isinstance(processor, Gpu) else None
    measured = measure_costs(Bench(target, device), gpu)
    return None if measured is None else DeviceRates.of(measured, processor.vectors.lanes)
