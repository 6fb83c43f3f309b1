"""A table of measured choices, and its file.

The file is JSON. ``schema_version`` changes with the meaning of a field; a file of another
version, of other vectors or of another version of IREE is refused: what was fastest there
says nothing here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from smartmem.backend.targets.vectors import Vectors
from smartmem.errors import InvalidInputError
from smartmem.files import refuse_special, write_file
from smartmem.passes.analysis.fusion.profile import PairTimes
from smartmem.passes.analysis.images.image_choices import STORAGES, Storage
from smartmem.passes.analysis.layout.kernel_costs import Rates
from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles
from smartmem.tuning.fusion_times import parsed_fusions, plain_fusions

SCHEMA_VERSION = 2

Tiles = TileSizes | GpuTiles
"""Tile sizes of a CPU's kernel, or of a shader."""

# By the kind of machine: the class of its tiles. Their fields are those of the file.
_TILES: Mapping[str, type[Tiles]] = {"cpu": TileSizes, "vulkan": GpuTiles}
_THREADS = "threads"  # of a workgroup, not by loop
_PEELED = "peeled"  # not a size; older tables do not have it


@dataclass(frozen=True)
class Machine:
    """Where a table was measured.

    Attributes:
        kind: "cpu" or "vulkan".
        architecture: of the CPU code, such as ``x86_64``; the device's name on Vulkan.
        vectors: of the code that was measured.
        iree: version of iree-compile.
        description: of the device, for people.
    """

    kind: str
    architecture: str
    vectors: Vectors
    iree: str
    description: str

    def mismatch(self, other: Machine) -> str | None:
        """Why a table of this machine is none for ``other``, or None if it is one."""
        for what in ("kind", "architecture", "vectors", "iree"):
            mine, wanted = getattr(self, what), getattr(other, what)
            if mine != wanted:
                return f"its {what} is {_plain(mine)}, wanted is {_plain(wanted)}"
        return None


@dataclass(frozen=True)
class Measured:
    """What was found for one kernel.

    Attributes:
        tiles: the fastest ones; None: nothing was faster than what SmartMem computes, or
            leaves to IREE.
        seconds: of one run with them.
        default_seconds: of one run without, in turn with it.
        storage: how the kernel should read what it only reads: buffer, texel_buffer or
            image2d; None: not measured.
        storage_seconds: of one run with each storage that runs, measured in turn.
    """

    tiles: Tiles | None
    seconds: float
    default_seconds: float
    storage: Storage | None = None
    storage_seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Table:
    """Measured choices of one machine; keys are those of ``kernel_keys``.

    Attributes:
        machine: where they were measured.
        kernels: what was found for each.
        costs: what the device does per second; None: not measured.
        fusions: seconds of pairs of kernels as one and as two.
    """

    machine: Machine
    kernels: dict[str, Measured] = field(default_factory=dict)
    costs: Rates | None = None
    fusions: dict[str, PairTimes] = field(default_factory=dict)

    def tiles(self, key: str) -> Tiles | None:
        """The tile sizes to use instead of the computed ones."""
        found = self.kernels.get(key)
        return None if found is None else found.tiles

    def over(self, other: Table | None) -> Table:
        """This table, and what only ``other`` knows."""
        if other is None:
            return self
        return Table(
            self.machine,
            other.kernels | self.kernels,
            self.costs or other.costs,
            other.fusions | self.fusions,
        )

    def save(self, path: Path) -> None:
        """Writes the table, whole or not at all.

        Raises:
            InvalidInputError: the path cannot be written.
        """
        values = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        values["kernels"] = {k: _plain_kernel(v) for k, v in sorted(values["kernels"].items())}
        values["fusions"] = plain_fusions(self.fusions)
        text = json.dumps(values, indent=1) + "\n"
        write_file(path, lambda out: out.write(text.encode()))


def read_table(path: Path, machine: Machine | None = None) -> Table:
    """The table in a file.

    Args:
        machine: what it is to be used for; None for any.

    Raises:
        InvalidInputError: unreadable, no such table, or one of another machine.
    """
    try:
        refuse_special(path)
        table = _parsed(json.loads(path.read_bytes()))
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RecursionError,
    ) as error:
        raise InvalidInputError(
            f"{path} is no tuning file: {_reason(error)}; make one with `smartmem tune`"
        ) from error
    reason = None if machine is None else table.machine.mismatch(machine)
    if reason is not None:
        raise InvalidInputError(
            f"{path} was measured for something else: {reason}; "
            "make one for this target with `smartmem tune`"
        )
    return table


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return "it is not JSON"
    return f"no field {error}" if isinstance(error, KeyError) else str(error)


def _parsed(values: Mapping[str, Any]) -> Table:
    if values["schema_version"] != SCHEMA_VERSION:
        version = values["schema_version"]
        raise ValueError(f"schema version {version!r} is not {SCHEMA_VERSION}")
    machine = {**values["machine"], "vectors": Vectors(**values["machine"]["vectors"])}
    kind = machine["kind"]
    if kind not in _TILES:
        raise ValueError(f"there is no kind of machine {kind!r}")
    kernels = {key: _measured(value, kind) for key, value in values["kernels"].items()}
    costs = _rates(values["costs"]) if values.get("costs") else None
    fusions = parsed_fusions(values.get("fusions", {}))
    return Table(Machine(**machine), kernels, costs, fusions)


def _plain_kernel(values: dict[str, Any]) -> dict[str, Any]:
    """What is written of a kernel: without storage where that was not measured."""
    left_out = () if values["storage"] else ("storage", "storage_seconds")
    return {name: value for name, value in values.items() if name not in left_out}


def _measured(values: Mapping[str, Any], kind: str) -> Measured:
    tiles, storage = values["tiles"], values.get("storage")
    if storage not in (None, *STORAGES):
        raise ValueError(f"{storage!r} is no storage")
    return Measured(
        None if tiles is None else _tiles(tiles, _TILES[kind]),
        float(values["seconds"]),
        float(values["default_seconds"]),
        storage,
        {
            str(name): float(seconds)
            for name, seconds in values.get("storage_seconds", {}).items()
        },
    )


def _tiles(values: Mapping[str, Any], kind: type[Tiles]) -> Tiles:
    sizes_of = [f.name for f in fields(kind) if f.name != _PEELED]
    parts: dict[str, Any] = {name: tuple(values[name]) for name in sizes_of}
    loops = {len(part) for name, part in parts.items() if name != _THREADS}
    sizes = [size for part in parts.values() for size in part]
    threads = parts.get(_THREADS, (1, 1, 1))
    if (
        len(loops) != 1
        or not all(isinstance(size, int) and size >= 0 for size in sizes)
        or len(threads) != 3
        or 0 in threads
    ):
        raise ValueError(f"{values} are no tile sizes")
    if values.get(_PEELED) is True:
        parts[_PEELED] = True
    return kind(**parts)


def _rates(values: Mapping[str, Any]) -> Rates:
    rates = {f.name: float(values[f.name]) for f in fields(Rates)}
    if not all(0 < value < math.inf for value in rates.values()):
        raise ValueError(f"{values} are no costs")
    return Rates(**rates)


def _plain(value: object) -> str:
    if isinstance(value, Vectors):
        return f"{value.registers} of {value.lanes} lanes"
    return str(value)
