"""What a processor's vectors hold: as much as tile sizes and packings depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Vectors:
    """The vector registers of a target.

    Attributes:
        lanes: elements of 32 bits in one of them.
        registers: how many there are.
    """

    lanes: int = 16
    registers: int = 32

    @property
    def block_rows(self) -> int:
        """Rows of a block of results, with two vectors each.

        Four registers are left for weights and scalars. More rows do not help: each needs
        a scalar of its own.
        """
        return (self.registers - 4) // 2

    @property
    def block_side(self) -> int:
        """Rows and columns of a square block that fills half of the registers or less."""
        return math.isqrt(self.registers // 2)


AVX512 = Vectors(lanes=16, registers=32)
SPIRV = Vectors(lanes=4, registers=32)
