"""Counts the loads of compiled networks' shaders that are four elements wide.

Counted are the load instructions of storage buffers in the SPIR-V of the compiled module,
by class of kernel: contractions (with convolutions that are contractions), windows
(depthwise convolutions and poolings), normalizations, softmax. What a kernel is, its name
says, which IREE gives it, and its instructions.

    python benchmarks/count_vector_loads.py                    # six networks, two targets
    python benchmarks/count_vector_loads.py vit_tiny_patch16_224 --target vulkan --kernels
    python benchmarks/count_vector_loads.py model.vmfb --min-share 0.9
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from arguments import script_parser
from models import MODELS
from rich.console import Console
from rich.table import Table

import smartmem
from smartmem.backend.module.spirv import Words, shaders
from smartmem.options import CompileOptions

NETWORKS = (
    *("swin_tiny_patch4_window7_224", "vit_tiny_patch16_224", "convnext_tiny"),
    *("resnext50_32x4d", "regnety_032", "efficientvit_b1"),
)
CLASSES = ("contraction", "window", "normalization", "softmax")
"""The kernels that the goal is about; others are elementwise or only move data."""

_WIDE = 4
_HEADER_WORDS = 5

# Opcodes, operands and GLSL.std.450 instructions of the SPIR-V specification.
_ENTRY_POINT, _EXT_INST = 15, 12
_TYPE_VECTOR, _TYPE_POINTER = 23, 32
_LOAD, _STORE, _ACCESS_CHAIN, _VARIABLE = 61, 62, 65, 59
_STORAGE_BUFFER = 12
_FADD, _FMUL = 129, 133
_SQRT, _INVERSE_SQRT = 31, 32
_FMAX, _FMA, _NMAX = 40, 50, 80
_FLOOR, _EXP = 8, 27  # IREE computes exponentials with the former, too

# Loads, and operations, for each store from which on a kernel computes a window.
_WINDOW = 4


@dataclass(frozen=True)
class Shader:
    """One kernel's accesses to storage buffers.

    Attributes:
        name: its entry point.
        kind: one of ``CLASSES``, or ``other``.
        loads: number of load instructions by width in elements.
    """

    name: str
    kind: str
    loads: Counter[int]


def read_shaders(module: Path) -> list[Shader]:
    """The shaders of a compiled module (``.vmfb``)."""
    return [_read(list(_instructions(shader))) for shader in shaders(module.read_bytes())]


def _instructions(shader: Words) -> Iterator[Words]:
    position = _HEADER_WORDS
    while position < len(shader):
        length = int(shader[position]) >> 16
        yield shader[position : position + length]
        position += length


def _read(instructions: Sequence[Words]) -> Shader:
    of: dict[int, list[Words]] = {}
    for instruction in instructions:
        of.setdefault(int(instruction[0]) & 0xFFFF, []).append(instruction)
    widths = {int(i[1]): int(i[3]) for i in of.get(_TYPE_VECTOR, [])}
    buffers = {
        int(i[1]): widths.get(int(i[3]), 1)
        for i in of[_TYPE_POINTER]
        if i[2] == _STORAGE_BUFFER
    }
    pointers = {int(i[2]): int(i[1]) for code in _POINTERS for i in of.get(code, [])}
    loads = [pointers.get(int(i[3])) for i in of.get(_LOAD, [])]
    stores = [pointers.get(int(i[1])) for i in of.get(_STORE, [])]
    name = _text(of[_ENTRY_POINT][0][3:])
    operations = Counter({code: len(found) for code, found in of.items()})
    functions = Counter(int(i[4]) for i in of.get(_EXT_INST, []))
    widths_of_loads = Counter(buffers[p] for p in loads if p in buffers)
    stored = sum(p in buffers for p in stores)
    kind = _kind(name, operations, functions, widths_of_loads.total() / max(stored, 1))
    return Shader(name, kind, widths_of_loads)


_POINTERS = (_ACCESS_CHAIN, _VARIABLE)


def _text(words: Words) -> str:
    return np.ascontiguousarray(words).tobytes().split(b"\0", 1)[0].decode()


def _kind(
    name: str, operations: Counter[int], functions: Counter[int], loads_per_store: float
) -> str:
    if any(word in name for word in ("matmul", "matvec", "conv")):
        return "contraction"
    largest = functions[_FMAX] + functions[_NMAX]
    if "reduction" in name and largest and functions[_EXP] + functions[_FLOOR]:
        return "softmax"
    if "reduction" in name and functions[_SQRT] + functions[_INVERSE_SQRT]:
        return "normalization"
    combines = operations[_FADD] + operations[_FMUL] + functions[_FMA] + largest
    return "window" if min(combines, loads_per_store) >= _WINDOW else "other"


def compile_shaders(name: str, target: str) -> list[Shader]:
    """Compiles a network of ``models.py``, or a model file, and reads its shaders.

    Raises:
        RuntimeError: a part of it was given up on the way.
    """
    model, inputs = MODELS[name].build() if name in MODELS else (Path(name), None)
    # As buffers: images are accessed in the same widths, by other instructions.
    options = CompileOptions(keep_ir=False, storage="buffer", timeout_s=1800)
    compiled = smartmem.compile(model, inputs=inputs, target=target, options=options)
    if fallbacks := compiled.report.fallbacks:
        raise RuntimeError(f"{name} for {target}: {'; '.join(map(str, fallbacks))}")
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "model.vmfb")
        compiled.save(output)
        return read_shaders(output)


def share(found: Sequence[Shader], kind: str) -> float | None:
    """The part of the loads of a class that is four wide; None if it has no loads."""
    loads = sum((s.loads for s in found if s.kind == kind), Counter[int]())
    return loads[_WIDE] / loads.total() if loads.total() else None


def print_table(results: Sequence[tuple[str, str, Sequence[Shader]]]) -> None:
    """The shares as one table."""
    table = Table(title=f"Loads of four elements, SmartMem {smartmem.__version__}")
    table.add_column("network")
    for column in ("target", *CLASSES):
        table.add_column(column, justify="right")
    for name, target, found in results:
        shares = [share(found, kind) for kind in CLASSES]
        cells = ["-" if part is None else f"{100 * part:.1f} %" for part in shares]
        table.add_row(name, target, *cells)
    Console(width=120, markup=False, highlight=False).print(table)


def print_kernels(found: Sequence[Shader]) -> None:
    """Each kernel with its loads, those with most narrow ones first."""
    console = Console(width=160, markup=False, highlight=False)
    for shader in sorted(found, key=lambda s: s.loads[_WIDE] - s.loads.total()):
        widths = ", ".join(f"{n} of {width}" for width, n in sorted(shader.loads.items()))
        console.print(f"  {shader.kind:13} {shader.name}: {widths}")


def main() -> int:
    """Counts; 1 if a class of a network has a smaller share than ``--min-share``."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "models",
        nargs="*",
        default=NETWORKS,
        help="names of benchmarks/models.py, model files, or compiled modules (.vmfb)",
    )
    parser.add_argument(
        "--target",
        nargs="+",
        default=["adreno", "valhall4"],
        help="as `smartmem targets` lists",
    )
    parser.add_argument("--kernels", action="store_true", help="also list the kernels")
    parser.add_argument(
        "--min-share", type=float, metavar="PART", help="fail below this part, such as 0.9"
    )
    arguments = parser.parse_args()
    results: list[tuple[str, str, list[Shader]]] = []
    for name in arguments.models:
        if name.endswith(".vmfb"):
            results.append((name, "-", read_shaders(Path(name))))
        else:
            results += [(name, t, compile_shaders(name, t)) for t in arguments.target]
    print_table(results)
    if arguments.kernels:
        for name, target, found in results:
            print(f"{name}, {target}")
            print_kernels(found)
    shares = [share(found, kind) for _, _, found in results for kind in CLASSES]
    limit = arguments.min_share
    return int(limit is not None and any(part is not None and part < limit for part in shares))


if __name__ == "__main__":
    sys.exit(main())
