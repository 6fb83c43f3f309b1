"""Runs compiled modules, on the device they were compiled for only."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Collection, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from iree import runtime as rt

from smartmem.backend.device import hal
from smartmem.backend.device.arrays import checked_inputs, refuse_huge
from smartmem.backend.device.image_library import library_for, take_error
from smartmem.backend.device.placement import place
from smartmem.backend.module.module_file import ModuleFile
from smartmem.errors import InvalidInputError, TargetError
from smartmem.parameters import Array
from smartmem.tensor_spec import TensorSpec

_COLD_BYTES = 64 << 20
"""Copies of inputs together: more than caches hold."""

_MOST_COPIES = 64


@dataclass(frozen=True)
class BenchmarkResult:
    """Times of single inferences in seconds: inputs and outputs stay on the device."""

    seconds: tuple[float, ...]

    @property
    def min(self) -> float:
        """The fastest run."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The run in the middle."""
        return statistics.median(self.seconds)

    def percentile(self, part: float) -> float:
        """The time below which are so many percent of the runs; between two, in proportion."""
        return float(np.percentile(self.seconds, part))

    @property
    def max(self) -> float:
        """The slowest run."""
        return max(self.seconds)


class Inputs:
    """Inputs on a device; ``next`` gives one set of them after the other."""

    def __init__(self, sets: Sequence[Sequence[Any]]) -> None:
        self._sets = itertools.cycle(sets)

    def next(self) -> Sequence[Any]:
        """The views of the next run."""
        return next(self._sets)


class LoadedModule:
    """A compiled module on its device, ready to run.

    Several threads may use one: its runs come one after the other. Runs of other modules go
    on beside them.

    Attributes:
        metadata: what the module was compiled for, and its signature.
        device: the HAL device it runs on; modules of a process share it.
        device_name: its name.
    """

    def __init__(
        self,
        source: str | Path | bytes,
        device: str = "auto",
        *,
        threads: int | None = None,
        unchecked: bool = False,
    ) -> None:
        """Loads a ``.vmfb``.

        Args:
            source: its path or its content.
            device: ``cpu``, ``vulkan``, ``vulkan:N``, ``vulkan:PART-OF-NAME``, or ``auto``
                for the first device that fits, real ones before software ones.
            threads: worker threads on a CPU; None for one per physical core.
            unchecked: run even if the module does not say what it needs of a device, or
                needs what the device lacks. On Vulkan that can give wrong numbers without
                any error.

        Raises:
            InvalidInputError: not a compiled module, or a damaged one.
            TargetError: no such device, or the module does not fit it.
        """
        if threads is not None and threads < 1:
            raise InvalidInputError(f"the number of threads is {threads}; give 1 or more")
        file = ModuleFile(source)
        self.metadata = file.metadata
        refuse_huge((*self.inputs, *self.outputs), "inputs and outputs")
        uri, self.device_name, is_software = place(file, device, unchecked=unchecked)
        # A GPU's driver has no workers that a waiting thread could preempt.
        self._waiting = hal.without_preempting if uri == hal.CPU_URI else nullcontext
        self._library = library_for(
            file.name, has_images=bool(file.shader_use.images), is_software=is_software
        )
        self.device = hal.open_device(
            uri, threads if uri == hal.CPU_URI else None, self._library
        )
        self._function = file.function
        self._running = threading.Lock()  # IREE's contexts are not for several threads
        self._dtypes = (file.input_dtypes, file.output_dtypes)
        self._context = self._load(file)

    def _load(self, file: ModuleFile) -> Any:
        instance = hal.vm_instance()
        try:
            driver = rt.create_hal_module(instance, self.device)
            return rt.VmContext(instance, [driver, file.vm_module])
        except (RuntimeError, ValueError) as error:
            raise TargetError(
                f"{file.name} does not load on {self.device_name}: {self._reason(error)}"
            ) from error

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Names, shapes and dtypes of the inputs, in order."""
        return self.metadata.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Names, shapes and dtypes of the outputs, in order."""
        return self.metadata.outputs

    def __call__(self, *arrays: Any) -> list[Array]:
        """Runs one inference.

        Args:
            arrays: one NumPy array or PyTorch tensor per input, in order.

        Returns:
            One NumPy array per output.

        Raises:
            InvalidInputError: a wrong number of arrays, or a wrong shape or dtype.
            TargetError: the device fails, for want of memory for instance.
        """
        views = self._upload(arrays)
        results = self._invoke(views)
        downloads = zip(results, self._dtypes[1], self.outputs, strict=True)
        return [
            hal.download(self.device, view, dtype).astype(spec.dtype, copy=False)
            for view, dtype, spec in downloads
        ]

    def upload(self, arrays: Sequence[Any], cold: Collection[int] = ()) -> Inputs:
        """Inputs for benchmarks, on the device.

        Args:
            cold: numbers of inputs that no cache is to hold, as a network's weights, which
                it reads once: each run reads another copy of them.

        Raises:
            InvalidInputError: as for a call.
        """
        size = sum(np.asarray(arrays[k]).nbytes for k in cold)
        copies = min(max(_COLD_BYTES // size, 1), _MOST_COPIES) if size else 1
        first = self._upload(arrays)
        others = [[self._uploaded(arrays[k], k) for k in cold] for _ in range(copies - 1)]
        replaced = [dict(zip(cold, views, strict=True)) for views in others]
        return Inputs((first, *([r.get(k, v) for k, v in enumerate(first)] for r in replaced)))

    def benchmark(
        self, arrays: Sequence[Any] | Inputs, *, warmup: int = 3, repetitions: int = 10
    ) -> BenchmarkResult:
        """Times ``repetitions`` inferences after ``warmup`` untimed ones.

        Args:
            arrays: as for a call, or what ``upload`` has made of them.

        Raises:
            InvalidInputError: as for a call, or fewer than one repetition.
            TargetError: as for a call.
        """
        if repetitions < 1 or warmup < 0:
            raise InvalidInputError("a benchmark takes 1 repetition and 0 warm-ups or more")
        inputs = arrays if isinstance(arrays, Inputs) else self.upload(arrays)
        for _ in range(warmup):
            self._invoke(inputs.next())
        return BenchmarkResult(tuple(self._timed(inputs.next()) for _ in range(repetitions)))

    def _reason(self, error: Exception) -> str:
        """What IREE says, and what the library for images said to it."""
        told = take_error(self._library) if self._library else ""
        return "; ".join(filter(None, [hal.short_status(error), told]))

    def _timed(self, views: Sequence[Any]) -> float:
        start = time.perf_counter()
        self._invoke(views)
        return time.perf_counter() - start

    def _upload(self, arrays: Sequence[Any]) -> list[Any]:
        checked = checked_inputs(self.inputs, arrays)
        return [self._uploaded(array, number) for number, array in enumerate(checked)]

    def _uploaded(self, array: Any, number: int) -> Any:
        return hal.upload(self.device, array.astype(self._dtypes[0][number], copy=False))

    def _invoke(self, views: Sequence[Any]) -> list[Any]:
        """Runs the function to its end; the compiled function waits for the device."""
        arguments, results = rt.VmVariantList(len(views)), rt.VmVariantList(len(self.outputs))
        for view in views:
            arguments.push_ref(view)
        try:
            with self._running, self._waiting():
                self._context.invoke(self._function, arguments, results)
        except (RuntimeError, ValueError) as error:
            if hal.is_lost(error):  # who loads a module next gets the device anew
                hal.open_device.cache_clear()
            raise TargetError(
                f"the module failed on {self.device_name}: {self._reason(error)}"
            ) from error
        return [results.get_as_object(i, rt.HalBufferView) for i in range(len(results))]
