"""Which kernels of a model are wrong, each on its own.

A model whose results are wrong does not say where. This compiles its kernels as one module in
which each reads what it would read in the model, computed on the CPU, and compares what each
makes. It runs as ``repeated_runs`` says, so that kernels whose results vary show, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.iree_compile.isolation import groups_of_kernels
from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.module.shader_races import shader_races
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.checking.compare import OutputError, compare
from smartmem.checking.kernel_parts import Part, kernels_module, parts_of, values_module
from smartmem.checking.repeated_runs import RepeatedRuns, run_repeatedly, shuffled
from smartmem.compiler.compile import as_target, kernel_stage, module_at
from smartmem.compiler.recorder import save_bytecode
from smartmem.compiler.stages import IR_STAGES
from smartmem.errors import AccuracyError
from smartmem.files import scratch_folder
from smartmem.frontend.finish import function_specs
from smartmem.options import CompileOptions
from smartmem.parameters import Array
from smartmem.runtime.inputs import fit_arrays, random_inputs

_LEVEL = "O3"
_MOST_PLACES = 4


@dataclass(frozen=True)
class KernelError:
    """One kernel, and how it compares with the CPU.

    Attributes:
        part: what it computes.
        error: of its result.
        varies: its result is another in a repeated run or a new process.
        race: what its shader does wrong; empty if nothing.
    """

    part: Part
    error: OutputError
    varies: bool
    race: str

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.error.ok and not self.varies and not self.race

    def __str__(self) -> str:
        number = "operation of no group" if self.part.number is None else f"{self.part.number}"
        places = ", ".join(self.part.places[:_MOST_PLACES])
        parts = [
            f"error {self.error.error:.2e}{f' ({d})' if (d := self.error.detail) else ''}",
            "its result varies from run to run" if self.varies else "",
            self.race,
        ]
        found = "; ".join(filter(None, parts))
        origin = f" of {places}" if places else ""
        return f"kernel {number} ({', '.join(self.part.operations)}){origin}: {found}"


@dataclass(frozen=True)
class KernelCheck:
    """What came of all kernels of a model.

    Attributes:
        kernels: in program order.
        device: what they ran on.
        how: what was done.
    """

    kernels: tuple[KernelError, ...]
    device: str
    how: str

    @property
    def wrong(self) -> tuple[KernelError, ...]:
        """Those that are not right."""
        return tuple(k for k in self.kernels if not k.ok)

    def require(self) -> None:
        """Raises AccuracyError, naming the first that is wrong, unless all are right."""
        if self.wrong:
            raise AccuracyError(f"{self.wrong[0]}, alone, on {self.device}")

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dump``."""
        kernels = [
            {
                **asdict(k),
                "ok": k.ok,
                "error": k.error.error if isfinite(k.error.error) else None,
            }
            for k in self.kernels
        ]
        return {
            "ok": not self.wrong,
            "device": self.device,
            "runs": self.how,
            "kernels": kernels,
        }

    def __str__(self) -> str:
        count = f"{len(self.kernels)} kernels, each alone, on {self.device} and on the CPU"
        if not self.wrong:
            return f"{count}: all right; {self.how}"
        lines = [str(kernel) for kernel in self.wrong]
        return "\n".join([f"{count}: {len(lines)} wrong; {self.how}", *lines])


def check_kernels(
    model: Any,
    *,
    inputs: Any = None,
    arrays: Any = None,
    target: str | Path | Target = "auto",
    options: CompileOptions | None = None,
    tolerance: float | None = None,
    seed: int = 0,
) -> KernelCheck:
    """Compares each kernel of a model with the CPU.

    They are the kernels that the passes ask for: where iree-compile could not compile one,
    or one has a race between threads, the model itself is compiled without it.

    Args:
        model: as for ``smartmem.compile``; other arguments as for ``check.check_model``.

    Raises:
        SmartMemError: as for ``smartmem.checking.check.check_model``.
    """
    options, chosen = options or CompileOptions(), as_target(target)
    module = module_at(model, IR_STAGES[-1], inputs=inputs, target=chosen, options=options)
    specs = function_specs(module)[0]
    given = arrays if arrays is not None else inputs
    first = random_inputs(specs, seed) if given is None else fit_arrays(specs, given)
    both = first, shuffled(first, seed)
    with scratch_folder() as name:
        return _Check(module, chosen, options, Path(name)).run(both, tolerance)


class _Check:
    """One model, taken apart in a folder."""

    def __init__(
        self, module: ir.Module, target: Target, options: CompileOptions, folder: Path
    ) -> None:
        self._target, self._options, self._folder = target, options, folder
        self._source = folder / "lowered.mlirbc"
        save_bytecode(module, self._source)
        self._parts = parts_of(module)

    def run(
        self, both: tuple[list[Array], list[Array]], tolerance: float | None
    ) -> KernelCheck:
        values = self._values()
        found = [values(*arrays) for arrays in both]
        count = len(self._parts)
        expected = [results[-count:] for results in found]
        first, second = (
            [*arrays, *results[:-count]] for arrays, results in zip(both, found, strict=True)
        )
        source, path = self._kernels()
        module = LoadedModule(path)
        names = [str(k) for k in range(count)]
        runs = run_repeatedly(module, path, names, (first, second))
        races = self._races(source, path)
        kernels = tuple(
            self._kernel(number, expected, runs, races, tolerance) for number in range(count)
        )
        return KernelCheck(kernels, module.device_name, runs.how)

    def _kernel(
        self,
        number: int,
        expected: Sequence[Sequence[Array]],
        runs: RepeatedRuns,
        races: dict[int, str],
        tolerance: float | None,
    ) -> KernelError:
        errors = [
            compare([str(number)], [want[number]], [got[number]], tolerance)[0]
            for want, got in zip(expected, runs.results, strict=True)
        ]
        part = self._parts[number]
        race = "" if part.number is None else races.get(part.number, "")
        worst = max(errors, key=lambda e: e.error)
        return KernelError(part, worst, str(number) in runs.differing, race)

    def _values(self) -> LoadedModule:
        """What each part reads and makes, on the CPU."""
        module, cpu = read_module(self._source), resolve_target("cpu")
        values_module(module, cpu)
        source, path = self._folder / "values.mlirbc", self._folder / "values.vmfb"
        save_bytecode(module, source)
        compile_bytecode(source, cpu, self._options.for_iree(_LEVEL), output=path)
        return LoadedModule(path, "cpu")

    def _kernels(self) -> tuple[Path, Path]:
        module = read_module(self._source)
        kernels_module(module, self._target)
        source, path = self._folder / "kernels.mlirbc", self._folder / "kernels.vmfb"
        save_bytecode(module, source)
        compile_bytecode(
            source,
            self._target,
            self._options.for_iree(self._options.opt_level or _LEVEL),
            output=path,
            kernels=kernel_stage(self._target, self._options),
        )
        return source, path

    def _races(self, source: Path, path: Path) -> dict[int, str]:
        """The races in the kernels of groups, by the group's number."""
        races = shader_races(path.read_bytes())
        options = self._options.for_iree(self._options.opt_level or _LEVEL)
        groups = groups_of_kernels(source, self._target, options) if races else {}
        return {groups[r.kernel]: str(r) for r in races if r.kernel in groups}
