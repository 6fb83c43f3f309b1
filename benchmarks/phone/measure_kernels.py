"""What phones' compilers make of networks' kernels: registers, occupancy, spills, instructions.

Each network is compiled for the target of each GPU, by SmartMem and by IREE alone. Each kernel
goes to the GPU's compiler, which runs here without the GPU: nothing is executed, and no time but
the compiler's is measured. ``setup.sh`` builds the compilers.

    export PHONE_ROOT=/opt/phone
    python benchmarks/phone/measure_kernels.py                                # six networks, two GPUs
    python benchmarks/phone/measure_kernels.py vit_tiny_patch16_224 --gpu g610 --kernels
    python benchmarks/phone/measure_kernels.py model.onnx --variant texel_buffer stock --json kernels.json
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from arguments import script_parser
from compilers import GPUS, compile_shaders
from figures import Figures, figures_of, totals
from models import MODELS
from rich.console import Console
from rich.table import Table
from shaders import STOCK, export_shaders, read_index

import smartmem
from smartmem.backend.targets.targets import resolve_target

NETWORKS = (
    *("swin_tiny_patch4_window7_224", "vit_tiny_patch16_224", "convnext_tiny"),
    *("mobilenetv2_100", "resnext50_32x4d", "efficientvit_b1"),
)
_OWN = "smartmem"
"""SmartMem, with the storage that is usual on the GPU."""


@dataclass(frozen=True)
class Measured:
    """A network's kernels on one GPU."""

    network: str
    gpu: str
    variant: str
    kernels: tuple[Figures, ...]


def measure(name: str, gpu_name: str, variant: str, timeout_s: float) -> Measured:
    """Compiles a network of ``models.py``, or a model file, and hands on its kernels."""
    gpu = GPUS[gpu_name]
    model, inputs = MODELS[name].build() if name in MODELS else (Path(name), None)
    storage = gpu.storage if variant == _OWN else variant
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, Path(temporary).name)
        export_shaders(model, inputs, resolve_target(gpu.target), storage, folder, timeout_s)
        kernels = {kernel.name: kernel for kernel in read_index(folder)}
        compiled = compile_shaders(folder, list(kernels), gpu)
    found = tuple(figures_of(kernels[c.name], c, gpu) for c in compiled)
    return Measured(name, gpu_name, variant, found)


def print_totals(results: Sequence[Measured]) -> None:
    """A table for each GPU, a line for each network and variant."""
    for name in dict.fromkeys(r.gpu for r in results):
        columns = _MALI if GPUS[name].driver == "panfrost" else _ADRENO
        table = Table(title=f"{GPUS[name].title}, SmartMem {smartmem.__version__}")
        for column in ("network", "variant", *columns):
            table.add_column(column, justify="left" if column in _NAMES else "right")
        for result in (r for r in results if r.gpu == name):
            table.add_row(result.network, result.variant, *_cells(result, columns))
        Console(width=180, markup=False, highlight=False).print(table)


_NAMES = ("network", "variant")
_COMMON = (
    *("kernels", "refused", "spilling", "spills", "fills", "full occupancy"),
    *("slowest, s", "all, s"),
)
_MALI = _COMMON
_ADRENO = (
    *_COMMON,
    *(
        "issued, M",
        "occupancy",
        "lanes",
        "fma %",
        "integer %",
        "move %",
        "nop %",
        "fma / fetch",
    ),
)


def _cells(result: Measured, columns: Sequence[str]) -> Iterator[str]:
    t = totals(result.kernels)
    fetches = sum(t.shares.get(path, 0.0) for path in ("texture", "buffer"))
    shares = {f"{kind} %": f"{100 * part:.0f}" for kind, part in t.shares.items()}
    cells: dict[str, Any] = {
        "kernels": f"{t.kernels} ({t.dispatches})",
        "refused": t.refused,
        "spilling": f"{t.spilling} ({sum(f.dispatches for f in result.kernels if f.spilling)})",
        "spills": t.spills,
        "fills": t.fills,
        "full occupancy": t.full,
        "slowest, s": f"{t.slowest:.2f}",
        "all, s": f"{t.seconds:.1f}",
        "issued, M": f"{t.issued / 1e6:.1f}",
        "occupancy": f"{t.occupancy:.2f}",
        "lanes": f"{t.lanes:.2f}",
        "fma / fetch": f"{t.shares.get('fma', 0.0) / fetches:.1f}" if fetches else "-",
    }
    return (str(cells.get(c, shares.get(c, "0"))) for c in columns)


def print_kernels(result: Measured) -> None:
    """Each kernel, those with most spills and most cycles first."""
    console = Console(width=220, markup=False, highlight=False)
    console.print(f"{result.network}, {GPUS[result.gpu].title}, {result.variant}")
    for f in sorted(result.kernels, key=lambda f: (-f.spills - f.fills, -f.issued)):
        cycles = ", ".join(f"{kind} {n:g}" for kind, n in f.cycles.items() if n)
        console.print(
            f"  {f.name} x{f.dispatches} ({f.kind}): {f.error or 'compiled'} in {f.seconds:.2f} s, "
            f"{f.workgroups} x {f.threads} threads, {f.registers} registers, occupancy "
            f"{f.occupancy:g}, {f.spills}:{f.fills} spills:fills, {f.instructions} instructions, "
            f"{f.loops} loops; {cycles}"
        )


def main() -> int:
    """Measures; 1 if a compiler refuses a kernel of SmartMem's."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "models", nargs="*", default=NETWORKS, help="names of benchmarks/models.py, or files"
    )
    parser.add_argument("--gpu", nargs="+", choices=GPUS, default=["a740", "g610"])
    parser.add_argument(
        "--variant",
        nargs="+",
        default=[_OWN, STOCK],
        choices=[_OWN, STOCK, "buffer", "texel_buffer", "image2d"],
        help="how kernels read; `smartmem`: as is usual on the GPU",
    )
    parser.add_argument("--kernels", action="store_true", help="also list the kernels")
    parser.add_argument("--timeout", type=float, default=1800, metavar="SECONDS")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    results = [
        measure(name, gpu, variant, arguments.timeout)
        for name in arguments.models
        for gpu in arguments.gpu
        for variant in arguments.variant
    ]
    print_totals(results)
    if arguments.kernels:
        for result in results:
            print_kernels(result)
    if arguments.json:
        text = json.dumps([asdict(result) for result in results], indent=1)
        arguments.json.write_text(text + "\n")
    return int(any(f.error for r in results if r.variant != STOCK for f in r.kernels))


if __name__ == "__main__":
    sys.exit(main())
