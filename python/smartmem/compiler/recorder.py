"""Watches the stages of one compilation: time, IR, files and progress."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from torch_mlir import ir

from smartmem.files import make_folder, write_file
from smartmem.frontend.imported_model import STAGE_ATTRIBUTE
from smartmem.options import CompileOptions
from smartmem.report.inventory import Inventory, take_inventory
from smartmem.report.report import StageRecord, Worker

# Constants with more elements than this are left out of the text of a stage.
TEXT_ELEMENTS = 16


class StageRecorder:
    """Collects what the report and ``CompiledModel.ir`` say about each stage."""

    def __init__(self, stages: Sequence[str], options: CompileOptions) -> None:
        """
        Args:
            stages: the names of all stages, in order.
            options: say what is kept, saved and whom to tell.
        """
        self.records: list[StageRecord] = []
        self.ir: dict[str, str] = {}
        self.inventory = Inventory((), ())  # of the model as it was first classified
        self.inventory_left = Inventory((), ())  # of the last stage
        self.stages = tuple(stages)
        self._options = options

    @contextmanager
    def stage(self, name: str, worker: Worker) -> Iterator[None]:
        """Times the body as stage ``name``."""
        self._tell(name, self.stages.index(name))
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.records.append(StageRecord(name, worker, seconds, None, None))

    def split(self, name: str, worker: Worker, seconds: float, text: str) -> None:
        """Adds a stage that ran inside of the last one, before it.

        Args:
            seconds: of the last stage's time.
            text: the IR after the stage, or nothing.
        """
        last = self.records.pop()
        self.records.append(StageRecord(name, worker, seconds, None, None))
        self.records.append(replace(last, seconds=max(last.seconds - seconds, 0.0)))
        if text:
            self.ir[name] = text

    def rename(self, name: str) -> None:
        """Makes the last stage that of another name."""
        self.records[-1] = replace(self.records[-1], name=name)

    @contextmanager
    def extend(self) -> Iterator[None]:
        """Adds the time of the body to the last stage."""
        start = time.perf_counter()
        yield
        last = self.records[-1]
        seconds = last.seconds + time.perf_counter() - start
        self.records[-1] = replace(last, seconds=seconds)

    def keep(self, module: ir.Module) -> None:
        """Takes the inventory of the last stage's IR, and marks, keeps and saves the IR."""
        record = self.records[-1]
        mark_stage(module, record.name)
        inventory = take_inventory(module.operation)
        self.inventory_left = inventory
        if not self.inventory.is_classified:  # later stages eliminate what it counts
            self.inventory = inventory
        self.records[-1] = replace(
            record, data_movement=inventory.movements, bytes_moved=inventory.bytes_moved
        )
        if self._options.keep_ir:
            self.ir[record.name] = module_text(module)
        if self._options.save_temps is not None:
            folder = Path(self._options.save_temps)
            file = f"{self.stages.index(record.name):02}-{record.name}.mlirbc"
            save_bytecode(module, make_folder(folder) / file)

    def done(self) -> None:
        """Reports that all stages are over."""
        self._tell("done", len(self.stages))

    def _tell(self, stage: str, index: int) -> None:
        if self._options.progress is not None:
            self._options.progress(stage, index, len(self.stages))


def mark_stage(module: ir.Module, stage: str) -> None:
    """Makes a module say behind which stage it is."""
    attribute = ir.StringAttr.get(stage, module.context)
    module.operation.attributes[STAGE_ATTRIBUTE] = attribute


def module_text(module: ir.Module, *, elide: bool = True) -> str:
    """The IR as text.

    Args:
        elide: leave out the values of large constants; such text is for reading only.
    """
    # Any other limit of resources makes MLIR print each of them, to see how long it is.
    text = module.operation.get_asm(
        large_elements_limit=TEXT_ELEMENTS if elide else None,
        large_resource_limit=0 if elide else None,
        assume_verified=True,
    )
    return str(text)


def save_bytecode(module: ir.Module, path: Path) -> None:
    """Writes the whole module, parameters included, as MLIR bytecode.

    Raises:
        InvalidInputError: the path cannot be written.
    """
    write_file(path, module.operation.write_bytecode)


def peak_memory() -> int:
    """Largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes
