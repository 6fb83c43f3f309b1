"""The strategies for layouts on whole networks: errors, kernels, bytes and paired latency.

Each network is compiled with every strategy and compared with PyTorch. They run in turn: a
strategy's ratio is the median of its times by those of the rule in the same round.

    python benchmarks/compare_layouts.py                               # MLP-Mixer
    python benchmarks/compare_layouts.py mixer_s16_224 vit_tiny_patch16_224 --rounds 9
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from arguments import script_parser
from models import MODELS, ModelCase
from results import relative_error, save_rows
from rich.console import Console
from rich.table import Table

import smartmem
from smartmem.compiler.compile import CompiledModel
from smartmem.options import CompileOptions
from smartmem.parameters import Array

STRATEGIES = ("rule", "model", "search")


@dataclass(frozen=True)
class Row:
    """One network with one strategy.

    Attributes:
        error: against PyTorch, relative to its largest result.
        bytes_moved: read and written by all kernels of an inference.
        latency_ms: median of single inferences.
        ratio: median of latency / the rule's latency over the rounds.
    """

    name: str
    strategy: str
    error: float
    kernels: int
    bytes_moved: int
    latency_ms: float
    ratio: float


def compare(case: ModelCase, target: str, rounds: int, runs: int) -> list[Row]:
    """Compiles, checks and times one network with all strategies."""
    model, inputs = case.build()
    with torch.no_grad():
        expected = model(*inputs).numpy()
    arrays = [x.numpy() for x in inputs]
    compiled = {s: _compile(model, inputs, target, s) for s in STRATEGIES}
    errors = {s: relative_error(compiled[s](*arrays), expected) for s in STRATEGIES}
    times = [{s: _time(compiled[s], arrays, runs) for s in STRATEGIES} for _ in range(rounds)]
    return [
        Row(
            name=case.name,
            strategy=strategy,
            error=errors[strategy],
            kernels=compiled[strategy].statistics.kernels,
            bytes_moved=_bytes_moved(compiled[strategy]),
            latency_ms=1e3 * statistics.median(t[strategy] for t in times),
            ratio=statistics.median(t[strategy] / t["rule"] for t in times),
        )
        for strategy in STRATEGIES
    ]


def _compile(
    model: torch.nn.Module, inputs: Sequence[torch.Tensor], target: str, strategy: str
) -> CompiledModel:
    options = CompileOptions(layout=strategy, inspect_kernels=True)
    return smartmem.compile(model, inputs=inputs, target=target, options=options)


def _bytes_moved(compiled: CompiledModel) -> int:
    counts = compiled.report.kernel_counts
    assert counts is not None, "asked for"
    return counts.bytes_moved


def _time(compiled: CompiledModel, arrays: Sequence[Array], runs: int) -> float:
    return compiled.benchmark(*arrays, warmup=1, repetitions=runs).median


def print_table(rows: Sequence[Row]) -> None:
    """The results as one table."""
    table = Table(title=f"Layouts, SmartMem {smartmem.__version__}")
    for column in ("network", "layout", "error", "kernels", "MB", "ms", "ratio"):
        table.add_column(column, justify="left" if column in ("network", "layout") else "right")
    for row in rows:
        table.add_row(
            *(row.name, row.strategy, f"{row.error:.1e}", str(row.kernels)),
            *(f"{row.bytes_moved / 1e6:.1f}", f"{row.latency_ms:.1f}", f"{row.ratio:.3f}"),
        )
    Console(width=100).print(table)


def main() -> int:
    """Compares; 1 if a network is wrong."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "models", nargs="*", default=["mixer_s16_224"], help="networks of models.py"
    )
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of all strategies")
    parser.add_argument("--runs", type=int, default=10, help="inferences of each in a round")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    rows: list[Row] = []
    for name in arguments.models:
        rows += compare(MODELS[name], arguments.target, arguments.rounds, arguments.runs)
        for row in rows[-len(STRATEGIES) :]:
            print(json.dumps(asdict(row)), file=sys.stderr)
    print_table(rows)
    save_rows(rows, arguments.json)
    return int(any(row.error > 1e-4 for row in rows))


if __name__ == "__main__":
    sys.exit(main())
