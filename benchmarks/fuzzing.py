"""One run of a tool on a file that is damaged, and how bytes are."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from smartmem.tools import cli, opt
from smartmem.tools.process import run_tool

NUMBERS = (0, -1, 1, 2, 3, 7, 1 << 31, -(1 << 31), (1 << 63) - 1, 10**12, 65536)
"""Of which some are wrong wherever a number stands."""


@dataclass(frozen=True)
class Case:
    """One run of a tool.

    Attributes:
        files: what lies in its folder.
        outputs: what it may leave there.
        statuses: how it may end.
        parts: inputs in it, each of which may have its messages.
    """

    tool: str
    arguments: Sequence[str]
    files: Mapping[str, bytes]
    outputs: Sequence[str] = ()
    statuses: Sequence[int] = (0, 1)
    parts: int = 1

    @property
    def command(self) -> list[str]:
        """For a shell."""
        return [self.tool, *self.arguments]

    def run(self) -> int:
        """Runs the tool in this process, where a crash is one."""
        sys.argv = self.command
        return opt.run(self.arguments) if self.tool == "smartmem-opt" else run_tool(cli.app)


class Kind(Protocol):
    """Cases of one kind.

    Attributes:
        name: of the kind.
    """

    name: str

    def case(self, rng: random.Random) -> Case:
        """A case that depends on ``rng`` alone."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Other bytes: with bits flipped, cut short, or with a part that is zero, lost or twice."""
    data = bytearray(content)
    start = rng.randrange(len(data))
    end = min(start + rng.choice((1, 4, 64, 1000)), len(data))
    match rng.randrange(6):
        case 0:
            return bytes(data[:start])
        case 1:
            data[start:end] = bytes(end - start)
        case 2:
            del data[start:end]
        case 3:
            data[end:end] = data[start:end]
        case _:
            for _ in range(rng.choice((1, 1, 2, 8))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)
