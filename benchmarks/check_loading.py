"""What happens to weights when a model is loaded: nothing but that they are read.

For each network, by SmartMem and by IREE alone: kernels on constants alone, which run when
the module is loaded if iree-compile is told not to run them itself, kernels of an inference
that only move data, and the time to load the module and run the first inference in a new process, beside that of a
warm inference and of reading the file.

    python benchmarks/check_loading.py                        # all full-size networks, CPU
    python benchmarks/check_loading.py small_vit --runs 5
    python benchmarks/check_loading.py --max-ratio 1.3        # an error if one is above
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from arguments import check_names, script_parser
from models import MODELS, ModelCase
from rich.console import Console
from rich.table import Table
from stock import compile_stock

import smartmem
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import dump_phase
from smartmem.backend.iree_compile.kernels import (
    PHASE,
    WITHOUT_EVALUATION,
    kernels_of,
    load_time_dispatches,
)
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.compiler.recorder import save_bytecode
from smartmem.frontend import import_model
from smartmem.options import CompileOptions
from smartmem.runtime.inputs import random_inputs


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        load_kernels: kernels that transpose, pack or compute weights, at load time.
        stock_load_kernels: those of the model as IREE compiles it.
        moves: kernels of one inference that only move data.
        read_ms: reading the module's file.
        first_ms: loading it and running one inference, in a new process, imports excluded.
        warm_ms: one of the inferences behind.
        stock_ratio: as ``ratio``, of the model as IREE compiles it.
    """

    name: str
    load_kernels: int
    stock_load_kernels: int
    moves: int
    read_ms: float
    first_ms: float
    warm_ms: float
    stock_ratio: float

    @property
    def ratio(self) -> float:
        """Load and first inference over reading the file and a warm inference."""
        return self.first_ms / (self.read_ms + self.warm_ms)


def check(case: ModelCase, target: Target, runs: int) -> Row:
    """Compiles one network both ways, counts, and measures loading it."""
    model, inputs = case.build()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        imported = folder / "imported.mlirbc"
        save_bytecode(import_model(model, inputs=inputs).module, imported)
        compile_stock(imported, target, folder / "stock.vmfb")
        options = CompileOptions(save_temps=folder / "stages", keep_ir=False)
        compiled = smartmem.compile(imported, target=target, options=options)
        compiled.save(folder / "ours.vmfb")
        del model
        gc.collect()
        lowered = next((folder / "stages").glob("*-lowered.mlirbc"))
        level = compiled.report.opt_level
        text, stock_text = (
            dump_phase(source, target, PHASE, IreeOptions(level, [WITHOUT_EVALUATION]))
            for source in (lowered, imported)
        )
        ours = _measured(folder / "ours.vmfb", target, runs)
        stock = _measured(folder / "stock.vmfb", target, runs)
        return Row(
            case.name,
            load_time_dispatches(text),
            load_time_dispatches(stock_text),
            kernels_of(text).movement_dispatches,
            *ours,
            stock_ratio=stock[1] / (stock[0] + stock[2]),
        )


def _measured(module: Path, target: Target, runs: int) -> tuple[float, float, float]:
    """Milliseconds of reading, of load and first inference, and warm: medians of processes."""
    command = [sys.executable, __file__, "--child", str(module), target.kind]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(runs)
    ]
    read, first, warm = (statistics.median(times) for times in zip(*found, strict=True))
    return read, first, warm


def run_child(module: Path, device: str) -> None:
    """Prints the three times of one process: the file is in the page cache as before."""
    start = time.perf_counter()
    module.read_bytes()
    read = time.perf_counter() - start
    specs = LoadedModule(module, device, threads=2, unchecked=True).inputs
    arrays = random_inputs(specs, seed=0)
    start = time.perf_counter()
    loaded = LoadedModule(module, device, threads=2, unchecked=True)
    loaded(*arrays)
    first = time.perf_counter() - start
    warm = loaded.benchmark(arrays, warmup=2, repetitions=7).median
    print(json.dumps([1e3 * seconds for seconds in (read, first, warm)]))


def print_table(rows: Sequence[Row]) -> None:
    """The results as one table."""
    table = Table(title="Weights when a module is loaded")
    columns = "load kernels,stock's,moves,read ms,first ms,warm ms,ratio,stock's ratio"
    for column in ("network", *columns.split(",")):
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in rows:
        table.add_row(
            row.name, str(row.load_kernels), str(row.stock_load_kernels), str(row.moves),
            f"{row.read_ms:.1f}", f"{row.first_ms:.1f}", f"{row.warm_ms:.1f}",
            f"{row.ratio:.2f}", f"{row.stock_ratio:.2f}",
        )  # fmt: skip
    Console(width=140).print(table)


def main() -> int:
    """Runs the checks; 1 if a kernel runs at load time, or a ratio is above the limit."""
    parser = script_parser(__doc__)
    full = [case.name for case in MODELS.values() if case.size == "full"]
    parser.add_argument("models", nargs="*", default=full, help="names of benchmarks/models.py")
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument("--runs", type=int, default=5, help="processes for each module")
    parser.add_argument("--max-ratio", type=float, help="largest accepted ratio")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        run_child(Path(arguments.child[0]), arguments.child[1])
        return 0
    check_names(parser, arguments.models, MODELS)
    target = resolve_target(arguments.target)
    rows = []
    for name in arguments.models:
        rows.append(check(MODELS[name], target, arguments.runs))
        print(json.dumps(asdict(rows[-1])), file=sys.stderr)
    print_table(rows)
    slow = arguments.max_ratio is not None and any(r.ratio > arguments.max_ratio for r in rows)
    return int(slow or any(row.load_kernels for row in rows))


if __name__ == "__main__":
    sys.exit(main())
