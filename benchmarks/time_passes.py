"""Times each pass of SmartMem on networks, or on chains of several lengths.

Shown is CPU time, which other work on the machine hardly changes. For chains it is fitted to
``operators ** exponent``: 1 is linear.

    python benchmarks/time_passes.py vit_tiny_patch16_224 model.onnx --iree
    python benchmarks/time_passes.py --chain linear --operators 500 1000 2000
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from arguments import script_parser
from results import save_rows
from rich.console import Console
from rich.table import Table
from synthetic_chains import CHAINS, chain

import smartmem
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.compiler.faults import Net
from smartmem.compiler.stages import pass_context
from smartmem.frontend import ImportedModel, import_model
from smartmem.mlir.memo import remembering
from smartmem.mlir.pipelines import format_element
from smartmem.options import CompileOptions
from smartmem.passes import PIPELINE
from smartmem.report.inventory import take_inventory
from smartmem.report.layouts import layouts_of

Seconds = dict[str, float]

_SHOWN_S = 0.02
"""A pass that takes less than this, and less than a hundredth of all, is not shown."""


@dataclass(frozen=True)
class ChainTime:
    """CPU seconds of all passes on a chain of so many operators."""

    chain: str
    operators: int
    seconds: float


def time_passes(imported: ImportedModel, target: Target) -> Seconds:
    """CPU seconds of each pass, of the inventories behind the stages and of the layouts."""
    with remembering():  # as a compilation does
        return _time_passes(imported, target)


def _time_passes(imported: ImportedModel, target: Target) -> Seconds:
    options = CompileOptions(timeout_s=3600)
    context = pass_context(imported.parameters, target, options)
    net, found = Net(options), Seconds()
    module, weights = imported.module, frozenset(imported.parameters)
    for _, passes in PIPELINE:
        for element in passes:
            one = element if isinstance(element, str) else element()
            name = format_element(one).removeprefix("smartmem-")
            _time(found, name, partial(net.run, module, [one], context))
        _time(found, "inventory", lambda: take_inventory(module.operation))
    _time(found, "layouts", lambda: layouts_of(module.operation, context, weights))
    return found


def _time(found: Seconds, name: str, work: Callable[[], object]) -> None:
    gc.collect()
    start = time.process_time()
    work()
    found[name] = found.get(name, 0.0) + time.process_time() - start


def time_iree(model: Any, inputs: Any, target: Target) -> float:
    """CPU seconds of iree-compile's process for what the passes made of the model."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    smartmem.compile(model, inputs=inputs, target=target)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def exponent(sizes: Sequence[int], seconds: Sequence[float]) -> float:
    """The exponent of the power of the size that fits the times best."""
    slope, _ = np.polyfit(np.log(sizes), np.log(np.maximum(seconds, 1e-6)), 1)
    return float(slope)


def print_network(name: str, found: Seconds, iree: float | None) -> None:
    """The times of one network."""
    table = Table(title=f"CPU seconds of SmartMem {smartmem.__version__} on {name}")
    table.add_column("pass")
    table.add_column("s", justify="right")
    for pass_, seconds in _largest(found).items():
        table.add_row(pass_, f"{seconds:.2f}")
    table.add_row("all", f"{sum(found.values()):.2f}")
    if iree is not None:
        table.add_row("iree-compile", f"{iree:.2f}")
        table.add_row("ratio", f"{sum(found.values()) / iree:.2f}")
    Console(width=120).print(table)


def print_chain(name: str, found: Mapping[int, Seconds]) -> None:
    """The times of one kind of chain, and their exponents."""
    table = Table(title=f"CPU seconds of SmartMem {smartmem.__version__}, chain {name}")
    table.add_column("pass")
    sizes = list(found)
    for size in sizes:
        table.add_column(f"{size}", justify="right")
    table.add_column("exponent", justify="right")
    totals = {size: sum(found[size].values()) for size in sizes}
    for pass_ in _largest(found[sizes[-1]]):
        _row(table, pass_, sizes, [found[size][pass_] for size in sizes])
    _row(table, "all", sizes, list(totals.values()))
    Console(width=120).print(table)


def _largest(found: Seconds) -> Seconds:
    least = max(_SHOWN_S, sum(found.values()) / 100)
    shown = {name: seconds for name, seconds in found.items() if seconds >= least}
    return dict(sorted(shown.items(), key=lambda item: -item[1]))


def _row(table: Table, name: str, sizes: Sequence[int], seconds: Sequence[float]) -> None:
    cells = [f"{s:.2f}" for s in seconds]
    power = f"{exponent(sizes, seconds):.2f}" if len(sizes) > 1 else ""
    table.add_row(name, *cells, power)


def _network(name: str) -> tuple[Any, Any]:
    if Path(name).suffix:
        return Path(name), None
    from models import MODELS

    return MODELS[name].build()


def _arguments() -> argparse.Namespace:
    parser = script_parser(__doc__)
    parser.add_argument("models", nargs="*", help="names of models.py, or model files")
    parser.add_argument("--chain", action="append", choices=CHAINS, default=[])
    parser.add_argument("--operators", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument(
        "--json", type=Path, help="also write the sums of the chains to this file"
    )
    parser.add_argument("--iree", action="store_true", help="compare with iree-compile")
    return parser.parse_args()


def main() -> int:
    """Times what the arguments name."""
    arguments = _arguments()
    target = resolve_target(arguments.target)
    for name in arguments.models:
        model, inputs = _network(name)
        seconds = time_passes(import_model(model, inputs=inputs), target)
        iree = time_iree(model, inputs, target) if arguments.iree else None
        print_network(name, seconds, iree)
    rows: list[ChainTime] = []
    for name in arguments.chain:
        # One after the other: a chain of thousands of convolutions is large.
        found = {
            n: time_passes(import_model(chain(name, n)), target) for n in arguments.operators
        }
        print_chain(name, found)
        rows += [ChainTime(name, n, sum(seconds.values())) for n, seconds in found.items()]
    save_rows(rows, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
