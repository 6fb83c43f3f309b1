"""How many registers a thread of a GPU may take: with more, a core holds few threads, or spills.

What Mesa's compilers make of blocks of every size, which ``benchmarks/phone`` shows, and the
registers of each architecture that they know of.
"""

from __future__ import annotations

import re

from smartmem.backend.targets.processor import MANY_REGISTERS

BLOCKS = (
    # 64 registers; 4 x 4 results, with what a step loads, are 48 numbers. With 56 some are spilled.
    (r"valhall\d|arm5gen|bifrost.*|arm-mali|mali.*", 52),
    # 96 registers leave 8 of 16 waves. 5 x 8 results, with what a step loads, are 92 numbers.
    (r"adreno.*", 92),
)
"""Patterns of the architecture's name in IREE's target attribute, and numbers of 32 bits."""


def block_of(architecture: str) -> int:
    """The numbers that a thread may keep, beside its addresses."""
    found = (block for names, block in BLOCKS if re.fullmatch(names, architecture))
    return next(found, MANY_REGISTERS)
