"""A compiled module as a Python callable on NumPy arrays and torch tensors."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smartmem.backend.device.runtime import BenchmarkResult, LoadedModule
from smartmem.files import copy_file
from smartmem.runtime.inputs import named_inputs, random_inputs
from smartmem.tensor_spec import TensorSpec


class Executable:
    """A module in a ``.vmfb`` file.

    The device is opened at the first run, so a module for a device that is elsewhere
    can be made, looked at and saved.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        """
        Args:
            path: the module; the file must stay while this object is used.
            device: where to run it; ``cpu``, ``vulkan``, ``vulkan:N``,
                ``vulkan:PART-OF-NAME``, or ``auto`` for the first device that fits its target.
        """
        self.path = path
        self.device = device

    @functools.cached_property
    def module(self) -> LoadedModule:
        """The module on its device.

        Raises:
            InvalidInputError: the file is not a module that SmartMem compiled.
            TargetError: there is no device, or it does not match the module's target.
        """
        return LoadedModule(self.path, device=self.device)

    def __repr__(self) -> str:
        name, target = self._described()
        if not {"report", "module"} & self.__dict__.keys():  # nothing is opened to print it
            return f"<{type(self).__name__} {name}>"
        inputs, outputs = (", ".join(map(str, s)) for s in (self.inputs, self.outputs))
        return f"<{type(self).__name__} {name} for {target}: ({inputs}) -> ({outputs})>"

    def _described(self) -> tuple[str, str]:
        """The names of the model and of its target."""
        metadata = self.module.metadata if "module" in self.__dict__ else None
        return str(self.path), str(metadata and (metadata.target_name or metadata.kind))

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What the model takes, in order."""
        return self.module.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What it returns, in order."""
        return self.module.outputs

    def __call__(self, *arrays: Any) -> Any:
        """Runs the model once on arrays in the order of ``inputs``.

        Args:
            arrays: NumPy arrays or torch tensors of the exact shapes and dtypes.

        Returns:
            One array for a model with one output, else a tuple. Torch tensors if any
            argument is one, else NumPy arrays.

        Raises:
            InvalidInputError: the number of arrays, a shape or a dtype does not fit.
            TargetError: there is no device that fits.
        """
        results: list[Any] = [*self.module(*arrays)]
        if any(map(_is_tensor, arrays)):
            from smartmem.frontend.torch_tensors import to_tensor

            results = [to_tensor(result) for result in results]
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Runs the model once on named arrays and returns its outputs by name.

        Raises:
            InvalidInputError: a name, shape or dtype does not fit.
            TargetError: there is no device that fits.
        """
        results = self(*named_inputs(self.inputs, arrays))
        results = results if isinstance(results, tuple) else (results,)
        return dict(zip((spec.name for spec in self.outputs), results, strict=True))

    def benchmark(
        self, *arrays: Any, warmup: int = 3, repetitions: int = 10
    ) -> BenchmarkResult:
        """Measures the latency of single runs, in seconds.

        Args:
            arrays: as for a call; seeded random ones if there are none.
            warmup: runs before the measured ones.
            repetitions: measured runs.

        Raises:
            InvalidInputError: the arrays do not fit.
            TargetError: there is no device that fits.
        """
        given = arrays or random_inputs(self.inputs)
        return self.module.benchmark(given, warmup=warmup, repetitions=repetitions)

    def save(self, path: str | Path) -> None:
        """Copies the module to ``path``, whole or not at all.

        Raises:
            InvalidInputError: the path cannot be written.
        """
        copy_file(self.path, Path(path))


def load(path: str | Path, *, device: str = "auto") -> Executable:
    """Loads a module that ``CompiledModel.save`` or ``smartmem compile`` wrote.

    Args:
        path: the ``.vmfb`` file.
        device: where to run it; as for ``Executable``.

    Raises:
        InvalidInputError: the file is missing or not such a module.
        TargetError: there is no device, or it does not match the module's target.
    """
    executable = Executable(Path(path), device)
    _ = executable.module  # reports a bad file or device here, not at the first run
    return executable


def _is_tensor(value: Any) -> bool:
    # Whoever holds a tensor has imported torch; nobody else needs to have it.
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)
