"""Joins what the profiler timed with what the report knows of each kernel."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import smartmem
from smartmem.backend.iree_compile.kernels import Dispatch
from smartmem.errors import BackendError, InvalidInputError
from smartmem.files import write_file
from smartmem.passes.analysis.layout.kernel_costs import Rates
from smartmem.profiling.events import Event
from smartmem.report.graphs import KernelNode, layer_of
from smartmem.report.report import Report

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ProfiledKernel:
    """One run of a kernel in an inference.

    Attributes:
        index: its place in the inference, from 0.
        kernel: the kernel's name in the module.
        number: of the group of operations, as in the report's kernel_costs; None where IREE
            formed the kernel.
        layers: the user's names for what it computes.
        shape: of the result, as it lies in memory; of IREE's kernels: empty.
        dtype: MLIR's name of the element type.
        loads: how it reads its tensors: vectors, scalars, strided.
        bytes: of the tensors that it reads and writes, each once.
        flops: of its contractions, or its main operation; None where that is not known.
        seconds: median of the runs.
        least_s: of the fastest run.
        attainable_s: what the device's rates allow; None where they were not measured.
        bound: what limits it by the rates: compute, memory or launch; likewise.
    """

    index: int
    kernel: str
    number: int | None
    layers: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    loads: tuple[str, ...]
    bytes: int
    flops: int | None
    seconds: float
    least_s: float
    attainable_s: float | None
    bound: str | None

    @property
    def attained(self) -> float | None:
        """The share of the device's rates that it attains, 1 if it is as fast as they allow."""
        return None if self.attainable_s is None else self.attainable_s / self.seconds


@dataclass(frozen=True)
class DeviceRates:
    """What the device does per second, measured there.

    Attributes:
        flops: multiplications and additions of 32 bits.
        bytes: of memory, read or written in order.
        launch: seconds to start a kernel.
    """

    flops: float
    bytes: float
    launch: float

    @staticmethod
    def of(rates: Rates, lanes: int) -> DeviceRates:
        """Those of the cost model, which are told for vectors of 16 lanes."""
        return DeviceRates(rates.flops * lanes / 16, rates.bytes, rates.launch)

    def attainable(self, flops: int | None, size: int) -> tuple[float, str]:
        """Seconds that a kernel takes at least, and what limits it."""
        parts = {
            "compute": (flops or 0) / self.flops,
            "memory": size / self.bytes,
            "launch": self.launch,
        }
        bound = max(parts, key=lambda name: parts[name])
        return parts[bound], bound


@dataclass(frozen=True)
class Profile:
    """The times of a model's kernels on a device.

    Attributes:
        model: its name.
        target: what it was compiled for.
        device: what ran it.
        runs: how many inferences were timed.
        inference_s: median wall time of one inference, without the profiler.
        rates: of the device; None if they were not measured.
        kernels: in program order.
        fastest: the events of the fastest inference, in the same order.
    """

    model: str
    target: str
    device: str
    runs: int
    inference_s: float
    rates: DeviceRates | None
    kernels: tuple[ProfiledKernel, ...]
    fastest: tuple[Event, ...]

    @property
    def seconds(self) -> float:
        """Time of all kernels of one inference, medians added up."""
        return sum(kernel.seconds for kernel in self.kernels)

    def by_group(self) -> dict[int, float]:
        """Seconds of each group of operations."""
        found: dict[int, float] = {}
        for kernel in self.kernels:
            if kernel.number is not None:
                found[kernel.number] = found.get(kernel.number, 0.0) + kernel.seconds
        return found

    def to_json(self) -> dict[str, Any]:
        """The profile as plain data; the events are in ``chrome_trace``."""
        return {
            "schema_version": SCHEMA_VERSION,
            "smartmem_version": smartmem.__version__,
            "model": self.model,
            "target": self.target,
            "device": self.device,
            "runs": self.runs,
            "inference_s": self.inference_s,
            "kernels_s": self.seconds,
            "rates": None if self.rates is None else asdict(self.rates),
            "kernels": [{**asdict(k), "attained": k.attained} for k in self.kernels],
        }


def join(
    report: Report,
    events: Sequence[Event],
    runs: int,
    *,
    device: str,
    inference_s: float,
    rates: DeviceRates | None,
) -> Profile:
    """The profile of a model.

    Args:
        report: of its compilation, kernels inspected.
        events: of ``runs`` inferences or more, of which the last ones count.

    Raises:
        BackendError: the events are not those of the kernels that the report tells of.
    """
    assert report.kernel_counts is not None, "the kernels were inspected"
    dispatches = report.kernel_counts.runs
    inferences = split(events, [d.kernel for d in dispatches], runs)
    sizes = {kernel.name: kernel.bytes_moved for kernel in report.kernel_counts.kernels}
    kernels = tuple(
        _kernel(number, dispatch, [run[number] for run in inferences], report, sizes, rates)
        for number, dispatch in enumerate(dispatches)
    )
    fastest = min(inferences, key=lambda run: sum(event.seconds for event in run))
    return Profile(
        report.model,
        report.target,
        device,
        len(inferences),
        inference_s,
        rates,
        kernels,
        tuple(fastest),
    )


def split(events: Sequence[Event], names: Sequence[str], runs: int) -> list[Sequence[Event]]:
    """The events of each of the last ``runs`` inferences.

    Args:
        names: of the kernels that one inference runs, in order.

    Raises:
        BackendError: they are others than those of the events.
    """
    if not names:
        raise BackendError("the model runs no kernel: there is nothing to profile")
    count = min(runs, len(events) // len(names))
    last = events[len(events) - count * len(names) :]
    inferences = [last[k * len(names) : (k + 1) * len(names)] for k in range(count)]
    if not inferences or any([e.kernel for e in run] != list(names) for run in inferences):
        raise BackendError(
            "the profiler saw other kernels than those that the model was compiled to"
        )
    return inferences


def _kernel(
    index: int,
    dispatch: Dispatch,
    events: Sequence[Event],
    report: Report,
    sizes: dict[str, int],
    rates: DeviceRates | None,
) -> ProfiledKernel:
    node = next((n for n in report.graph_after.nodes if _is(n, dispatch.group)), None)
    cost = next((k for k in report.layouts.kernels if k.number == dispatch.group), None)
    size = sizes[dispatch.kernel] if cost is None else cost.bytes
    flops = None if cost is None else cost.flops
    seconds = statistics.median(event.seconds for event in events)
    attainable, bound = (None, None) if rates is None else rates.attainable(flops, size)
    layer = layer_of(dispatch.place) if dispatch.group is None else ""
    loads = [
        read.loads
        for tensor in report.layouts.tensors
        for read in tensor.reads
        if read.kernel == dispatch.group
    ]
    return ProfiledKernel(
        index,
        dispatch.kernel,
        dispatch.group,
        node.layers if node else tuple(filter(None, [layer])),
        node.shape if node else (),
        node.dtype if node else "",
        tuple(dict.fromkeys(loads)),
        size,
        flops,
        seconds,
        min(event.seconds for event in events),
        attainable,
        bound,
    )


def _is(node: KernelNode, group: int | None) -> bool:
    return group is not None and node.number == group


def read_times(path: Path, model: str) -> dict[int, float]:
    """Seconds of each group of operations in a profile that was written as JSON.

    Args:
        model: of which it must be.

    Raises:
        InvalidInputError: it cannot be read, is no profile, or one of another model.
    """
    try:
        values = json.loads(path.read_text())
        version, name = values["schema_version"], values["model"]
        kernels = [(k["number"], float(k["seconds"])) for k in values["kernels"]]
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"{path} is no profile; write one with `smartmem profile --json`"
        ) from error
    if version != SCHEMA_VERSION or name != model:
        raise InvalidInputError(
            f"{path} is a profile of {name}, schema version {version}; the report is of "
            f"{model}, and this SmartMem reads {SCHEMA_VERSION}; profile that model again"
        )
    found: dict[int, float] = {}
    for number, seconds in kernels:
        if number is not None:
            found[number] = found.get(number, 0.0) + seconds
    return found


def save(values: Any, path: Path) -> None:
    """Writes plain data as JSON.

    Raises:
        InvalidInputError: the path cannot be written.
    """
    text = json.dumps(values, indent=1) + "\n"
    write_file(path, lambda out: out.write(text.encode()))
