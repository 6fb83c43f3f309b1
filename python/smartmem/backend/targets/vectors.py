"""What a processor's vectors hold: as much as tile sizes and packings depend on."""

from __future__ import annotations

import math
from dataclasses import dataclass

_MOST_ROWS = 14


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
    def masks(self) -> bool:
        """Whether parts of a vector can be loaded and stored: with AVX-512."""
        return self.lanes >= AVX512.lanes

    def rows_of(self, width: int) -> int:
        """The most rows of a block of results that is ``width`` vectors wide.

        A register is left for each vector of weights, and one for scalars. More rows than
        fourteen do not help: each needs a scalar of its own.
        """
        return min((self.registers - width - 1) // max(width, 1), _MOST_ROWS)

    def window_rows(self, width: int) -> int:
        """The same of a sum over a window: half of the registers, rounded up.

        Each row has an address of its own there. 28 x 28 points, 9 groups of 24 channels,
        AVX2: 1.27 ms with blocks of four rows, 1.07 of seven, 2.4 of fourteen.
        """
        return min(-(-(self.registers // 2 - 1) // max(width, 1)), self.rows_of(width))

    @property
    def block_side(self) -> int:
        """Rows and columns of a square block that fills half of the registers or less."""
        return math.isqrt(self.registers // 2)


AVX512 = Vectors(lanes=16, registers=32)
SPIRV = Vectors(lanes=4, registers=32)
