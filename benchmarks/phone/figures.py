"""Figures of kernels: what a phone's compiler says of each, in the terms of both drivers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from compilers import Compiled, Gpu
from shaders import Kernel
from turnip_assembly import issue_of

_WAVES = 16
"""Waves that a core of an Adreno holds at most."""

_SHADER_DB = re.compile(
    r"SHADER-DB: .*?: (?P<instructions>\d+) inst, (?P<cycles>[\d.]+) cycles, (?P<fma>[\d.]+) fma, "
    r"(?P<cvt>[\d.]+) cvt, (?P<sfu>[\d.]+) sfu, [\d.]+ v, (?P<texture>[\d.]+) t, "
    r"(?P<memory>[\d.]+) ls, \d+ quadwords, (?P<threads>\d+) threads, (?P<loops>\d+) loops, "
    r"(?P<spills>\d+):(?P<fills>\d+) spills:fills"
)
_MALI_UNITS = ("fma", "cvt", "sfu", "texture", "memory")
_MALI_THREADS = 2
"""What the driver calls full occupancy: 32 registers. With 33 to 64 it is 1."""
_MALI_REGISTERS = {2: 32, 1: 64}


@dataclass(frozen=True)
class Figures:
    """One kernel on one GPU.

    Attributes:
        name: its entry point.
        kind: its class.
        layers: names that the model gives to what it was made of.
        threads: of a workgroup.
        workgroups: of one dispatch.
        dispatches: of one inference.
        products: multiply-adds of one dispatch that its name tells; 0 if it does not.
        error: why the compiler refuses it; empty if it does not.
        seconds: that its compilation takes.
        registers: of a thread, of 32 bits each; Mali rounds up to 32 or 64.
        occupancy: threads that a core holds, of those it can.
        spills: registers stored to memory, static.
        fills: registers loaded from there, static.
        instructions: of its code, static.
        loops: that were not unrolled.
        cycles: of a wave by kind. Adreno: instructions issued, loops counted; Mali: cycles of
            each unit, each instruction once.
        lanes: the part of a wave's lanes that have a thread.
        waves: of one dispatch.
    """

    name: str
    kind: str
    layers: tuple[str, ...]
    threads: int
    workgroups: int
    dispatches: int
    products: int
    error: str
    seconds: float
    registers: int = 0
    occupancy: float = 0.0
    spills: int = 0
    fills: int = 0
    instructions: int = 0
    loops: int = 0
    unknown_loops: int = 0
    cycles: dict[str, float] = field(default_factory=dict)
    lanes: float = 0.0
    waves: int = 0

    @property
    def spilling(self) -> bool:
        """Whether registers do not suffice."""
        return self.spills + self.fills > 0

    @property
    def issued(self) -> float:
        """Cycles of all waves of an inference, by this GPU's count of a wave's."""
        return sum(self.cycles.values()) * self.waves * self.dispatches


def figures_of(kernel: Kernel, compiled: Compiled, gpu: Gpu) -> Figures:
    """What the compiler of a GPU says of a kernel."""
    lanes = gpu.lanes
    known = {
        "threads": kernel.threads,
        "workgroups": kernel.workgroups,
        "lanes": kernel.threads / (-(-kernel.threads // lanes) * lanes),
        "waves": -(-kernel.threads // lanes) * kernel.workgroups,
    }
    read = {} if compiled.error else _READERS[gpu.driver](compiled)
    return Figures(
        name=kernel.name,
        kind=kernel.kind,
        layers=kernel.layers,
        dispatches=kernel.dispatches,
        products=kernel.products,
        error=compiled.error,
        seconds=compiled.seconds,
        **known,
        **read,
    )


def _adreno(compiled: Compiled) -> dict[str, object]:
    counted, issue = compiled.statistics, issue_of(compiled.assembly)
    return {
        "registers": counted["Registers used"],
        "occupancy": counted["Max Waves Per Core"] / _WAVES,
        "spills": counted["STP Count"],
        "fills": counted["LDP Count"],
        "instructions": counted["Instruction Count"],
        "loops": issue.loops,
        "unknown_loops": issue.unknown,
        "cycles": {kind: float(n) for kind, n in sorted(issue.instructions.items())},
    }


def _mali(compiled: Compiled) -> dict[str, object]:
    found = _SHADER_DB.search(compiled.log)
    if found is None:
        raise RuntimeError(f"{compiled.name}: the driver prints no statistics: {compiled.log}")
    threads = int(found["threads"])
    return {
        "registers": _MALI_REGISTERS[threads],
        "occupancy": threads / _MALI_THREADS,
        "spills": int(found["spills"]),
        "fills": int(found["fills"]),
        "instructions": int(found["instructions"]),
        "loops": int(found["loops"]),
        "cycles": {unit: float(found[unit]) for unit in _MALI_UNITS},
    }


_READERS = {"freedreno": _adreno, "panfrost": _mali}


@dataclass(frozen=True)
class Totals:
    """The figures of some kernels together; shares are of what their waves issue."""

    kernels: int
    dispatches: int
    refused: int
    spilling: int
    spills: int
    fills: int
    full: int
    seconds: float
    slowest: float
    issued: float
    occupancy: float
    lanes: float
    shares: dict[str, float]


def totals(found: Sequence[Figures]) -> Totals:
    """Sums figures up."""
    issued = sum(f.issued for f in found) or 1.0
    shares: Counter[str] = Counter()
    for f in found:
        for kind, cycles in f.cycles.items():
            shares[kind] += cycles * f.waves * f.dispatches / issued  # type: ignore[assignment]
    return Totals(
        kernels=len(found),
        dispatches=sum(f.dispatches for f in found),
        refused=sum(bool(f.error) for f in found),
        spilling=sum(f.spilling for f in found),
        spills=sum(f.spills for f in found),
        fills=sum(f.fills for f in found),
        full=sum(f.occupancy == 1 for f in found),
        seconds=sum(f.seconds for f in found),
        slowest=max((f.seconds for f in found), default=0.0),
        issued=issued,
        occupancy=sum(f.occupancy * f.issued for f in found) / issued,
        lanes=sum(f.lanes * f.issued for f in found) / issued,
        shares=dict(shares),
    )
