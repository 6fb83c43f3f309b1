"""What a compilation did: counts, bytes, times and the passes' decisions.

``Report.to_json`` is for programs: ``schema_version`` grows whenever a field changes
its meaning or goes away, or a part is added that readers look for. ``Report.render`` is
for people.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import smartmem
from smartmem.backend.iree_compile.compile import CompileStatistics
from smartmem.backend.iree_compile.kernels import KernelCounts
from smartmem.compiler.fallback import Fallback
from smartmem.files import write_file
from smartmem.passes import BindingRecord, Remark
from smartmem.report.fates import fates_of
from smartmem.report.graphs import KernelGraph, ModelGraph
from smartmem.report.inventory import Inventory
from smartmem.report.layouts import Layouts
from smartmem.tensor_spec import TensorSpec

SCHEMA_VERSION = 4

Worker = Literal["import", "smartmem", "iree-compile"]


@dataclass(frozen=True)
class StageRecord:
    """One stage of a compilation.

    Attributes:
        name: as in ``CompiledModel.ir``.
        worker: who did the work: the frontend, SmartMem's passes, or iree-compile.
        seconds: wall time, without the time to keep or save the stage's IR.
        data_movement: data-movement operations at run time after the stage; None where
            the stage leaves no MLIR of ours.
        bytes_moved: bytes read and written by them, each as a copy of its own; likewise.
    """

    name: str
    worker: Worker
    seconds: float
    data_movement: int | None
    bytes_moved: int | None


@dataclass(frozen=True)
class StorageAccesses:
    """Accesses of all kernels through one kind of storage.

    Attributes:
        storage: ``buffer``, ``texel_buffer`` or ``image2d``.
        bindings: bindings of that kind.
        reads: load instructions; a loop's count once.
        writes: store instructions.
    """

    storage: str
    bindings: int
    reads: int
    writes: int


@dataclass(frozen=True)
class Report:
    """The report of one compilation.

    Attributes:
        model: name of the model, from its file or class.
        source: "torch", "onnx", "mlir" or "stablehlo".
        target: name of the target.
        opt_level: iree-compile's optimization level.
        inputs: what the model takes.
        outputs: what it returns.
        inventory: operations and data movement where they were first classified.
        inventory_left: those of the last stage, which iree-compile got.
        kernels: what iree-compile made of the model.
        parameter_bytes: size of the parameters after import.
        module_bytes: size of the compiled module.
        kernels_before: the kernels that IREE makes of the imported model by itself.
        kernel_counts: those of the compiled model. Both are None unless asked for with
            ``CompileOptions.inspect_kernels``.
        stages: in the order in which they ran.
        own_peak_bytes: largest resident memory of this process so far.
        bindings: how the kernels access their buffers; empty if all are plain buffers.
        remarks: what the passes did and refused, with reasons.
        layouts: of each tensor between kernels and each re-laid weight, and what each
            kernel costs.
        graph_before: the operators of the model as it was imported.
        graph_after: the kernels that it became.
        fallbacks: what was given up because iree-compile or a pass failed, in order.
    """

    model: str
    source: str
    target: str
    opt_level: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    inventory: Inventory
    inventory_left: Inventory
    kernels: CompileStatistics
    parameter_bytes: int
    module_bytes: int
    kernels_before: KernelCounts | None
    kernel_counts: KernelCounts | None
    stages: tuple[StageRecord, ...]
    own_peak_bytes: int
    bindings: tuple[BindingRecord, ...]
    remarks: tuple[Remark, ...]
    layouts: Layouts
    graph_before: ModelGraph
    graph_after: KernelGraph
    fallbacks: tuple[Fallback, ...]

    def seconds(self, worker: Worker | None = None) -> float:
        """Wall time of all stages, or of those that ``worker`` did."""
        return sum(s.seconds for s in self.stages if worker in (None, s.worker))

    @property
    def movement_kernels(self) -> int | None:
        """Kernel runs that only move data; None if the kernels were not inspected."""
        return self.kernel_counts.movement_dispatches if self.kernel_counts else None

    def to_json(self) -> dict[str, Any]:
        """The report as plain data for ``json.dump``."""
        inventory = self.inventory
        return {
            "schema_version": SCHEMA_VERSION,
            "smartmem_version": smartmem.__version__,
            "model": self.model,
            "source": self.source,
            "target": self.target,
            "opt_level": self.opt_level,
            "inputs": [_spec_json(spec) for spec in self.inputs],
            "outputs": [_spec_json(spec) for spec in self.outputs],
            "ops": [asdict(count) for count in inventory.ops],
            "data_movement": {
                "count": inventory.movements,
                "bytes_moved": inventory.bytes_moved,
                "kinds": [asdict(count) for count in inventory.data_movement],
            },
            "before": _side_json(inventory, self.kernels_before),
            "after": _side_json(self.inventory_left, self.kernel_counts),
            "kernels": asdict(self.kernels),
            "movement_kernels": self.movement_kernels,
            "storage": {
                "accesses": [asdict(access) for access in self.accesses()],
                "bindings": [asdict(binding) for binding in self.bindings],
            },
            "parameter_bytes": self.parameter_bytes,
            "module_bytes": self.module_bytes,
            "stages": [asdict(stage) for stage in self.stages],
            "seconds": {
                "total": self.seconds(),
                "import": self.seconds("import"),
                "smartmem": self.seconds("smartmem"),
                "iree-compile": self.seconds("iree-compile"),
            },
            "own_peak_bytes": self.own_peak_bytes,
            "remarks": [asdict(remark) for remark in self.remarks],
            "layouts": [asdict(tensor) for tensor in self.layouts.tensors],
            "kernel_costs": [asdict(kernel) for kernel in self.layouts.kernels],
            "rates": _rates_json(self.layouts),
            "graphs": self._graphs_json(),
            "fallbacks": [asdict(fallback) for fallback in self.fallbacks],
        }

    def _graphs_json(self) -> dict[str, Any]:
        fates = fates_of(self.graph_before, self.graph_after, self.remarks)
        return {
            "before": asdict(self.graph_before),
            "after": asdict(self.graph_after),
            "fates": [asdict(fate) for fate in fates],
        }

    def accesses(self) -> tuple[StorageAccesses, ...]:
        """How many accesses of the kernels go through which kind of storage.

        Empty if all go through buffers, which are not counted then.
        """
        kinds = sorted({binding.storage for binding in self.bindings})
        return tuple(
            StorageAccesses(
                storage=kind,
                bindings=sum(b.storage == kind for b in self.bindings),
                reads=sum(b.reads for b in self.bindings if b.storage == kind),
                writes=sum(b.writes for b in self.bindings if b.storage == kind),
            )
            for kind in kinds
        )

    def save(self, path: str | Path) -> None:
        """Writes the report as JSON.

        Raises:
            InvalidInputError: the path cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2) + "\n"
        write_file(Path(path), lambda out: out.write(text.encode()))

    def remark_counts(self) -> dict[tuple[str, bool, str], int]:
        """How often each pass applied or refused for each reason."""
        keys = ((r.argument, r.applied, r.reason) for r in self.remarks)
        return dict(sorted(Counter(keys).items()))

    def __str__(self) -> str:
        from smartmem.report.text import render

        return render(self)


def _side_json(inventory: Inventory, kernels: KernelCounts | None) -> dict[str, Any]:
    """Data movement before or after SmartMem: as operations, and as kernels."""
    return {
        "operations": {
            "data_movement": inventory.movements,
            "bytes_moved": inventory.bytes_moved,
        },
        "kernels": None
        if kernels is None
        else {
            "count": kernels.dispatches,
            "data_movement": kernels.movement_dispatches,
            "copies": kernels.copies,
            "fills": kernels.fills,
            "bytes_moved": kernels.bytes_moved,
            "bytes_by_data_movement": kernels.movement_bytes,
        },
    }


def _rates_json(layouts: Layouts) -> dict[str, Any] | None:
    """What the predicted costs of kernels are computed with."""
    if layouts.rates is None:
        return None
    return {"source": layouts.source, **asdict(layouts.rates)}


def _spec_json(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "shape": list(spec.shape), "dtype": spec.dtype.name}
