"""A table of measured choices, and its file.

The file is JSON. ``schema_version`` changes with the meaning of a field; a file of another
version, of other vectors or of another version of IREE is refused: what was fastest there
says nothing here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smartmem.errors import InvalidInputError
from smartmem.files import write_file
from smartmem.passes.analysis.tile_sizes import TileSizes
from smartmem.vectors import Vectors

SCHEMA_VERSION = 1


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
        tiles: the fastest ones; None: nothing was faster than what SmartMem computes.
        seconds: of one run with them.
        default_seconds: of one run with what SmartMem computes, in turn with it.
    """

    tiles: TileSizes | None
    seconds: float
    default_seconds: float


@dataclass
class Table:
    """Measured choices of one machine; keys are those of ``kernel_keys``.

    Attributes:
        machine: where they were measured.
        kernels: what was found for each.
    """

    machine: Machine
    kernels: dict[str, Measured] = field(default_factory=dict)

    def tiles(self, key: str) -> TileSizes | None:
        """The tile sizes to use instead of the computed ones."""
        found = self.kernels.get(key)
        return None if found is None else found.tiles

    def over(self, other: Table | None) -> Table:
        """This table, and what only ``other`` knows."""
        if other is None:
            return self
        return Table(self.machine, other.kernels | self.kernels)

    def save(self, path: Path) -> None:
        """Writes the table, whole or not at all.

        Raises:
            InvalidInputError: the path cannot be written.
        """
        values = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        values["kernels"] = dict(sorted(values["kernels"].items()))
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
        table = _parsed(json.loads(path.read_bytes()))
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
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
    kernels = {key: _measured(value) for key, value in values["kernels"].items()}
    return Table(Machine(**machine), kernels)


def _measured(values: Mapping[str, Any]) -> Measured:
    tiles = values["tiles"]
    if tiles is not None:
        parts = [tuple(tiles[name]) for name in ("workgroup", "vector", "reduction")]
        sizes = [size for part in parts for size in part]
        if len({len(part) for part in parts}) != 1 or not all(
            isinstance(size, int) and size >= 0 for size in sizes
        ):
            raise ValueError(f"{tiles} are no tile sizes")
        tiles = TileSizes(*parts)
    return Measured(tiles, float(values["seconds"]), float(values["default_seconds"]))


def _plain(value: object) -> str:
    if isinstance(value, Vectors):
        return f"{value.registers} of {value.lanes} lanes"
    return str(value)
