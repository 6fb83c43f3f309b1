"""DNNFusion's table 3: what fusing two operators gives, and whether it is worth it.

A pair is the mapping type of a producer and that of its consumer (table 2, see
``smartmem.dialect.MAPPINGS``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from smartmem.dialect import (
    MANY_TO_MANY,
    ONE_TO_MANY,
    ONE_TO_ONE,
    REORGANIZE,
    SHUFFLE,
)

Color = Literal["green", "yellow", "red"]


@dataclass(frozen=True)
class Cell:
    """One cell of the table.

    Attributes:
        fused: mapping type of the fused operator; that of a red cell is never used.
        color: green: fuse; yellow: fuse if it measures faster; red: never fuse.
        reason: why.
    """

    fused: str
    color: Color
    reason: str


_ADDS_NOTHING = "a one-to-one operator needs no other access than its partner's"
_ONE_ORDER = "both only change where elements lie: one change does"
_MAY_BREAK_ACCESS = "the order of the accesses may suit only one of the two"
_RECOMPUTES = "each element would be computed for every element that needs it"
_TWO_REDUCTIONS = "two reductions want their own loops, tiles and registers"
_BROADCASTS = "the repeated elements may be cheaper to read than to make again"

TABLE: Mapping[tuple[str, str], Cell] = {
    (ONE_TO_ONE, ONE_TO_ONE): Cell(ONE_TO_ONE, "green", _ADDS_NOTHING),
    (ONE_TO_ONE, ONE_TO_MANY): Cell(ONE_TO_MANY, "green", _ADDS_NOTHING),
    (ONE_TO_ONE, MANY_TO_MANY): Cell(MANY_TO_MANY, "green", _ADDS_NOTHING),
    (ONE_TO_ONE, REORGANIZE): Cell(REORGANIZE, "green", _ADDS_NOTHING),
    (ONE_TO_ONE, SHUFFLE): Cell(SHUFFLE, "green", _ADDS_NOTHING),
    (ONE_TO_MANY, ONE_TO_ONE): Cell(ONE_TO_MANY, "green", _ADDS_NOTHING),
    (ONE_TO_MANY, ONE_TO_MANY): Cell(ONE_TO_MANY, "yellow", _BROADCASTS),
    (ONE_TO_MANY, MANY_TO_MANY): Cell(MANY_TO_MANY, "red", _RECOMPUTES),
    (ONE_TO_MANY, REORGANIZE): Cell(ONE_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (ONE_TO_MANY, SHUFFLE): Cell(ONE_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (MANY_TO_MANY, ONE_TO_ONE): Cell(MANY_TO_MANY, "green", _ADDS_NOTHING),
    (MANY_TO_MANY, ONE_TO_MANY): Cell(MANY_TO_MANY, "yellow", _BROADCASTS),
    (MANY_TO_MANY, MANY_TO_MANY): Cell(MANY_TO_MANY, "red", _TWO_REDUCTIONS),
    (MANY_TO_MANY, REORGANIZE): Cell(MANY_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (MANY_TO_MANY, SHUFFLE): Cell(MANY_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (REORGANIZE, ONE_TO_ONE): Cell(REORGANIZE, "green", _ADDS_NOTHING),
    (REORGANIZE, ONE_TO_MANY): Cell(ONE_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (REORGANIZE, MANY_TO_MANY): Cell(MANY_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (REORGANIZE, REORGANIZE): Cell(REORGANIZE, "green", _ONE_ORDER),
    (REORGANIZE, SHUFFLE): Cell(REORGANIZE, "green", _ONE_ORDER),
    (SHUFFLE, ONE_TO_ONE): Cell(SHUFFLE, "green", _ADDS_NOTHING),
    (SHUFFLE, ONE_TO_MANY): Cell(ONE_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (SHUFFLE, MANY_TO_MANY): Cell(MANY_TO_MANY, "yellow", _MAY_BREAK_ACCESS),
    (SHUFFLE, REORGANIZE): Cell(REORGANIZE, "green", _ONE_ORDER),
    (SHUFFLE, SHUFFLE): Cell(SHUFFLE, "green", _ONE_ORDER),
}
