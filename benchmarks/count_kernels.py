"""Counts the kernels of compiled networks, before and after SmartMem.

Counted are the kernel runs of one inference, those of them that only move data
(transpose, copy, slice, concat, pad, pack), and the copies and fills between them.
*Stock* is what IREE makes of the unmodified import. All of it is read from IREE's IR
after scheduling, and must agree with iree-compile's statistics of the finished module.

    python benchmarks/count_kernels.py                        # all full-size networks
    python benchmarks/count_kernels.py clip_text vit_tiny_patch16_224 --target adreno
    python benchmarks/count_kernels.py model.onnx --max-movements 0
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from arguments import script_parser
from models import MODELS
from rich.console import Console
from rich.table import Table

import smartmem
from smartmem.backend.iree_compile.kernels import KernelCounts
from smartmem.options import CompileOptions
from smartmem.report.report import Report


class CountError(Exception):
    """Two ways to count disagree."""


def compile_and_count(name: str, target: str) -> Report:
    """Compiles a network of ``models.py``, or a model file, and looks at its kernels.

    Raises:
        CountError: iree-compile's statistics are other than what was counted.
    """
    model, inputs = MODELS[name].build() if name in MODELS else (Path(name), None)
    options = CompileOptions(keep_ir=False, inspect_kernels=True, timeout_s=1800)
    compiled = smartmem.compile(model, inputs=inputs, target=target, options=options)
    counts, statistics = compiled.report.kernel_counts, compiled.statistics
    assert counts is not None
    counted = counts.dispatches, counts.copies, counts.fills
    finished = statistics.kernels, statistics.copies, statistics.fills
    if counted != finished:
        raise CountError(
            f"counted {counted} kernels, copies and fills, but the module has {finished}"
        )
    return compiled.report


def movements(counts: KernelCounts) -> int:
    """Kernel runs and copies of one inference that only move data."""
    return counts.movement_dispatches + counts.copies


def print_table(reports: Mapping[str, Report]) -> None:
    """The counts as one table, and the kernels that only move data."""
    columns = ("kernels", "only move", "copies", "fills")
    table = Table(title=f"Kernels of one inference, SmartMem {smartmem.__version__}")
    table.add_column("network")
    for column in ("target", *columns, *(f"stock {c}" for c in columns)):
        table.add_column(column, justify="right")
    for name, report in reports.items():
        sides = (report.kernel_counts, report.kernels_before)
        cells = [cell for counts in sides for cell in _cells(counts)]
        table.add_row(name, report.target, *cells)
    console = Console(width=160, markup=False, highlight=False)
    console.print(table)
    for name, report in reports.items():
        kernels = report.kernel_counts.kernels if report.kernel_counts else ()
        for kernel in (k for k in kernels if k.moves_only):
            console.print(f"{name}: {kernel.name} only moves data")
        for step in report.fallbacks:
            console.print(f"{name}: {step}, because {step.reason}")


def _cells(counts: KernelCounts | None) -> list[str]:
    if counts is None:
        return ["-"] * 4
    numbers = (counts.dispatches, counts.movement_dispatches, counts.copies, counts.fills)
    return [str(number) for number in numbers]


def main() -> int:
    """Counts; 1 if a network moves data more often than ``--max-movements`` allows."""
    parser = script_parser(__doc__)
    full = [case.name for case in MODELS.values() if case.size == "full"]
    parser.add_argument(
        "models", nargs="*", default=full, help="names of benchmarks/models.py, or model files"
    )
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument(
        "--max-movements",
        type=int,
        metavar="N",
        help="fail if kernels that only move data, and copies, are more than N",
    )
    parser.add_argument("--json", type=Path, help="also write the reports to this file")
    arguments = parser.parse_args()
    reports = {name: compile_and_count(name, arguments.target) for name in arguments.models}
    print_table(reports)
    if arguments.json:
        text = json.dumps({name: r.to_json() for name, r in reports.items()}, indent=2)
        arguments.json.write_text(text + "\n")
    limit = arguments.max_movements
    counts = [r.kernel_counts for r in reports.values() if r.kernel_counts]
    return int(limit is not None and any(movements(c) > limit for c in counts))


if __name__ == "__main__":
    sys.exit(main())
