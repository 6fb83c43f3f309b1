"""What SmartMem's Vulkan library costs a module that does not need it.

On a GPU such a module does not go through the library. Here it is made to: IREE is told which
Vulkan loader to load, the system's or the library. A round is three processes in turn, without
the library, with it, and without it again; the ratio of the two without it is the noise. A
process's time is the median of its inferences.

    python benchmarks/measure_library.py small_vit small_swin --rounds 9 --runs 30
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from arguments import script_parser
from compare_storages import BUFFERS, compile_way
from results import save_rows
from rich.console import Console
from rich.table import Table

import smartmem
from smartmem.backend.device.fresh_run import run_fresh
from smartmem.backend.device.hal import LOADER_VARIABLE
from smartmem.backend.device.image_library import find_image_library
from smartmem.parameters import Array

SYSTEM_LOADER = "libvulkan.so.1"


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        latency_ms: median of single inferences without the library.
        ratios: time with the library by the mean of the times around it, of each round.
        noise: second time without it by the first, of each round.
    """

    name: str
    latency_ms: float
    ratios: list[float]
    noise: list[float]


def measure(name: str, library: Path, rounds: int, runs: int) -> Row:
    """Compiles a network with buffers only and times it with and without the library."""
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder, "module.vmfb")
        _, arrays = compile_way(name, BUFFERS, module, 600)
        _time(module, arrays, None, 1)  # so that the driver's cache of shaders is warm
        times = [
            tuple(_time(module, arrays, used, runs) for used in (None, library, None))
            for _ in range(rounds)
        ]
    return Row(
        name=Path(name).stem,
        latency_ms=1e3 * statistics.median(t[0] for t in times),
        ratios=[2 * between / (before + after) for before, between, after in times],
        noise=[after / before for before, _, after in times],
    )


def _time(module: Path, arrays: list[Array], library: Path | None, runs: int) -> float:
    environment = {LOADER_VARIABLE: str(library or SYSTEM_LOADER)}
    done = run_fresh(module, *[arrays] * (runs + 2), environment=environment)
    assert done.is_through_library == (library is not None)
    assert not done.statistics.get("image_dispatches")
    return statistics.median(done.seconds[2:])


def print_table(rows: list[Row]) -> None:
    """Median, least and greatest ratio of each network."""
    table = Table(title=f"Cost of the Vulkan library, SmartMem {smartmem.__version__}")
    table.add_column("network")
    for column in ("ms", "with / without", "range", "without / without", "range"):
        table.add_column(column, justify="right")
    for row in rows:
        cells = [cell for ratios in (row.ratios, row.noise) for cell in _cells(ratios)]
        table.add_row(row.name, f"{row.latency_ms:.2f}", *cells)
    Console(width=120).print(table)


def _cells(ratios: list[float]) -> list[str]:
    return [f"{statistics.median(ratios):.3f}", f"{min(ratios):.3f} - {max(ratios):.3f}"]


def main() -> int:
    """Measures; 1 if there is no library."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "models", nargs="+", help="names of benchmarks/models.py, or model files"
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of three processes")
    parser.add_argument("--runs", type=int, default=20, help="timed inferences of a process")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    library = find_image_library()
    if library is None:
        parser.error("SmartMem's Vulkan library was not built")
    rows = [measure(n, library, arguments.rounds, arguments.runs) for n in arguments.models]
    print_table(rows)
    save_rows(rows, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
