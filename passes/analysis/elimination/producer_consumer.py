"""What happens to a producer and its consumer, by their groups.

SmartMem's tables 5 (actions) and 6 (group of what is left, and whose layout is searched)
as data: one row for each pair of groups, with the reason. The passes ask it:

    smartmem-compose-views      composes two movements where ``act`` eliminates both
    smartmem-eliminate-views    puts a movement into its producer or its consumer where ``act``
                                eliminates the second or the first
    smartmem-propagate-layouts  chooses layouts beside pairs whose layout is searched
    smartmem-search-formats     likewise
    smartmem-form-regions       makes one kernel of no pair that is kept apart

Whether a fusion is legal and pays is decided where it is done (section 3.2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from smartmem.dialect.attributes import ILD_FIXED, ILD_VARIABLE, ILI_FIXED, ILI_VARIABLE

Act = Literal[
    "keep both", "try to fuse", "eliminate first", "eliminate second", "eliminate both"
]
Search = Literal["both", "fused", "first", "second", "none"]


@dataclass(frozen=True)
class Pair:
    """One cell of both tables.

    Attributes:
        first: group of the producer.
        second: group of the consumer.
        act: what is done (table 5).
        result: group of what is left; None where nothing of the two is left, and their
            movement joins the next computation (table 6).
        search: whose layout is searched afterwards (table 6).
        reason: why.
    """

    first: str
    second: str
    act: Act
    result: str | None
    search: Search
    reason: str

    @property
    def is_read_through(self) -> bool:
        """Whether the second may read what the first, a movement, reads."""
        return self.act in ("eliminate first", "eliminate both")

    @property
    def is_written_through(self) -> bool:
        """Whether the first may write what the second, a movement, makes."""
        return self.act in ("eliminate second", "eliminate both")

    @property
    def is_composed(self) -> bool:
        """Whether two movements become one."""
        return self.act == "eliminate both"

    @property
    def is_searched(self) -> bool:
        """Whether the layout of one of the two is chosen."""
        return self.search != "none"

    def __str__(self) -> str:
        return f"{self.first} -> {self.second}: {self.act}"


@dataclass(frozen=True)
class PairTable:
    """The rows by the groups of producer and consumer."""

    rows: Mapping[tuple[str, str], Pair]

    def __getitem__(self, groups: tuple[str, str]) -> Pair:
        return self.rows[groups]

    def with_row(self, pair: Pair) -> PairTable:
        """The table with another row for the groups of ``pair``."""
        return replace(self, rows={**self.rows, (pair.first, pair.second): pair})


_OWN_ORDERS = "each computes best in an order of its own; their layouts must agree"
_IN_PRODUCER = "it takes any order, so it runs in the loops of the producer"
_IN_CONSUMER = "it gives any order, so it runs in the loops of the consumer"
_ONE_NEST = "both take any order, so one nest of loops does both"
_WRITE_ORDER = "the producer can write in any order, also in that of the movement"
_WRITE_PART = "the producer computes only what is selected, or readers begin at an offset"
_READ_ORDER = "reading in the order of the movement is a matter of indices"
_READ_PART = "reading only what is selected is a matter of indices"
_ONE_MAP = "two movements compose to one, which joins the next computation"

_ROWS = (
    Pair(ILD_VARIABLE, ILD_VARIABLE, "keep both", ILD_VARIABLE, "both", _OWN_ORDERS),
    Pair(ILD_VARIABLE, ILI_VARIABLE, "try to fuse", ILD_VARIABLE, "fused", _IN_PRODUCER),
    Pair(ILD_VARIABLE, ILD_FIXED, "eliminate second", ILD_VARIABLE, "first", _WRITE_ORDER),
    Pair(ILD_VARIABLE, ILI_FIXED, "eliminate second", ILD_VARIABLE, "first", _WRITE_PART),
    Pair(ILI_VARIABLE, ILD_VARIABLE, "try to fuse", ILD_VARIABLE, "fused", _IN_CONSUMER),
    Pair(ILI_VARIABLE, ILI_VARIABLE, "try to fuse", ILI_VARIABLE, "none", _ONE_NEST),
    Pair(ILI_VARIABLE, ILD_FIXED, "eliminate second", ILI_VARIABLE, "none", _WRITE_ORDER),
    Pair(ILI_VARIABLE, ILI_FIXED, "eliminate second", ILI_VARIABLE, "none", _WRITE_PART),
    Pair(ILD_FIXED, ILD_VARIABLE, "eliminate first", ILD_VARIABLE, "second", _READ_ORDER),
    Pair(ILD_FIXED, ILI_VARIABLE, "eliminate first", ILI_VARIABLE, "none", _READ_ORDER),
    Pair(ILD_FIXED, ILD_FIXED, "eliminate both", None, "none", _ONE_MAP),
    Pair(ILD_FIXED, ILI_FIXED, "eliminate both", None, "none", _ONE_MAP),
    Pair(ILI_FIXED, ILD_VARIABLE, "eliminate first", ILD_VARIABLE, "second", _READ_PART),
    Pair(ILI_FIXED, ILI_VARIABLE, "eliminate first", ILI_VARIABLE, "none", _READ_PART),
    Pair(ILI_FIXED, ILD_FIXED, "eliminate both", None, "none", _ONE_MAP),
    Pair(ILI_FIXED, ILI_FIXED, "eliminate both", None, "none", _ONE_MAP),
)  # fmt: skip

TABLE = PairTable({(row.first, row.second): row for row in _ROWS})
"""The tables of the paper."""
