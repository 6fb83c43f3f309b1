"""Networks with each storage on a Vulkan device: are the results those of buffers bit by bit?

A network is compiled for the device once for each way to read and write, and run on the same
inputs, each time in a process of its own. --validate runs them with Khronos's validation
layer and its synchronization validation, and shows what it finds with images that it does
not find with buffers. A driver's first run compiles the shaders: on a software device a
full-size network takes minutes.

    python benchmarks/compare_storages.py small_swin small_vit small_convnext
    python benchmarks/compare_storages.py small_vit --validate --runs 3
    python benchmarks/compare_storages.py swin_tiny_patch4_window7_224 \\
        --ways texel_buffer image2d --timeout 3600
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from arguments import script_parser
from results import save_rows
from rich.console import Console
from rich.table import Table

import smartmem
from smartmem.backend.device.fresh_run import (
    FreshRun,
    are_finite,
    has_validation_layer,
    run_fresh,
    same_bits,
)
from smartmem.options import CompileOptions
from smartmem.parameters import Array
from smartmem.report.report import Report
from smartmem.runtime.inputs import random_inputs

BUFFERS = "buffer"
WAYS = {
    "texel_buffer": ("texel_buffer", "buffer"),
    "texel_buffer+writes": ("texel_buffer", "texel_buffer"),
    "image2d": ("image2d", "buffer"),
    "image2d+writes": ("image2d", "image2d"),
}
"""Names of the ways: the storage of what is read, and of what is written."""


@dataclass(frozen=True)
class Row:
    """One network in one way.

    Attributes:
        way: a key of ``WAYS``, or "buffer".
        is_same: whether all results are finite and equal those of buffers bit by bit.
        reads: load instructions by storage, after compiling; writes likewise.
        shown: bindings of the recorded dispatches by what the device took them as.
        given_up: what the compiler did without because something failed.
        messages: what the validation layer found.
        new_messages: those of them that it did not find with buffers.
        first_s: seconds of the first inference, the driver's compilation included.
        last_s: seconds of the last one.
    """

    name: str
    way: str
    is_same: bool
    reads: dict[str, int]
    writes: dict[str, int]
    shown: dict[str, int]
    given_up: list[str]
    messages: list[str]
    new_messages: list[str]
    first_s: float
    last_s: float

    @property
    def is_good(self) -> bool:
        """Right, with images, and nothing to object to."""
        images = self.shown["texel_bindings"] + self.shown["image_bindings"]
        has_images = self.way == BUFFERS or images > 0
        return self.is_same and has_images and not self.new_messages


def compare(name: str, arguments: argparse.Namespace) -> list[Row]:
    """Compiles and runs one network in all ways, buffers first."""
    rows: list[Row] = []
    plain: FreshRun | None = None
    with tempfile.TemporaryDirectory() as folder:
        for way in (BUFFERS, *arguments.ways):
            module = Path(folder, f"{way}.vmfb")
            report, arrays = compile_way(name, way, module, arguments.timeout)
            done = run_fresh(
                module,
                *[arrays] * arguments.runs,
                validate=arguments.validate,
                timeout_s=arguments.timeout,
            )
            plain = plain or done
            rows.append(row_of(name, way, report, done, plain))
            print(json.dumps(asdict(rows[-1])), file=sys.stderr, flush=True)
    return rows


def compile_way(
    name: str, way: str, output: Path, timeout_s: float
) -> tuple[Report, list[Array]]:
    """Compiles a network of ``models.py`` or a model file; returns inputs for it, too."""
    reads, writes = WAYS.get(way, (BUFFERS, BUFFERS))
    options = CompileOptions(
        storage=reads, storage_writes=writes, keep_ir=False, timeout_s=timeout_s
    )
    model, inputs = _model(name)
    compiled = smartmem.compile(model, inputs=inputs, target="vulkan", options=options)
    compiled.save(output)
    arrays = [x.numpy() for x in inputs] if inputs else random_inputs(compiled.inputs)
    report = compiled.report
    del model, compiled
    gc.collect()  # the next one needs the memory
    return report, arrays


def _model(name: str) -> tuple[object, tuple[object, ...] | None]:
    if Path(name).is_file():
        return Path(name), None
    from models import MODELS  # needs PyTorch, which model files do not

    return MODELS[name].build()


def row_of(name: str, way: str, report: Report, done: FreshRun, plain: FreshRun) -> Row:
    """What a run shows beside that with buffers."""
    accesses = report.accesses()
    kinds = ("texel_bindings", "image_bindings", "fallback_bindings")
    return Row(
        name=Path(name).stem,
        way=way,
        is_same=same_bits(done.outputs, plain.outputs) and are_finite(done.outputs),
        reads={a.storage: a.reads for a in accesses},
        writes={a.storage: a.writes for a in accesses},
        shown={kind: done.statistics.get(kind, 0) for kind in kinds},
        given_up=[str(step) for step in report.fallbacks],
        messages=sorted(done.messages),
        new_messages=sorted(done.messages - plain.messages),
        first_s=done.seconds[0],
        last_s=done.seconds[-1],
    )


def print_table(rows: Sequence[Row]) -> None:
    """The results as one table."""
    table = Table(title=f"Storages, SmartMem {smartmem.__version__}")
    columns = (
        "network",
        "way",
        "same bits",
        "reads",
        "writes",
        "shown as",
        "messages",
        "new",
        "s",
    )
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(
            *(row.name, row.way, "yes" if row.is_same else "NO"),
            *map(_counts, (row.reads, row.writes, row.shown)),
            *(str(len(row.messages)), str(len(row.new_messages))),
            f"{row.first_s:.1f}, {row.last_s:.2f}",
        )
    console = Console(width=180, markup=False, highlight=False)
    console.print(table)
    for row in rows:
        for line in (*row.given_up, *(f"{m[:400]}" for m in row.messages)):
            console.print(f"{row.name}, {row.way}: {line}")


def _counts(counts: dict[str, int]) -> str:
    return (
        ", ".join(f"{n} {k.removesuffix('_bindings')}" for k, n in counts.items() if n) or "-"
    )


def main() -> int:
    """Compares; 1 if a result differs or the layer objects."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "models", nargs="+", help="names of benchmarks/models.py, or model files"
    )
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=list(WAYS), help="beside buffers"
    )
    parser.add_argument("--runs", type=int, default=2, help="inferences of each")
    parser.add_argument("--validate", action="store_true", help="with the validation layer")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one step")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    if arguments.validate and not has_validation_layer():
        parser.error("no validation layer; apt-get install vulkan-validationlayers")
    rows = [row for name in arguments.models for row in compare(name, arguments)]
    print_table(rows)
    save_rows(rows, arguments.json)
    return int(not all(row.is_good for row in rows))


if __name__ == "__main__":
    sys.exit(main())
