"""What happens to a producer and its consumer, by their groups.

SmartMem's tables 5 (actions) and 6 (group of what is left, and whose layout is searched)
as data: one row for each pair of groups, with the reason and the pass that acts. Whether
a fusion is legal and pays is not decided here but where it is done (section 3.2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch_mlir import ir

from smartmem.dialect.attributes import ILD_FIXED, ILD_VARIABLE, ILI_FIXED, ILI_VARIABLE
from smartmem.passes.analysis.operators.classification import classify

Act = Literal[
    "keep both", "try to fuse", "eliminate first", "eliminate second", "eliminate both"
]
Search = Literal["both", "fused", "first", "second", "none"]

FUSION = "fusion"
"""Upstream's elementwise fusion, and the regions of smartmem-form-regions."""
ELIMINATION = "smartmem-eliminate-views"
COMPOSITION = "smartmem-compose-views"


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
        by: the pass that acts, or ``FUSION``; None where nothing is done.
        reason: why.
    """

    first: str
    second: str
    act: Act
    result: str | None
    search: Search
    by: str | None
    reason: str

    def __str__(self) -> str:
        return f"{self.first} -> {self.second}: {self.act}"


_OWN_ORDERS = "each computes best in an order of its own; their layouts must agree"
_IN_PRODUCER = "it takes any order, so it runs in the loops of the producer"
_IN_CONSUMER = "it gives any order, so it runs in the loops of the consumer"
_ONE_NEST = "both take any order, so one nest of loops does both"
_WRITE_ORDER = "the producer can write in any order, also in that of the movement"
_WRITE_PART = "the producer computes only what is selected, or readers begin at an offset"
_READ_ORDER = "reading in the order of the movement is a matter of indices"
_READ_PART = "reading only what is selected is a matter of indices"
_ONE_MAP = "two movements compose to one, which joins the next computation"

TABLE: tuple[Pair, ...] = (
    Pair(ILD_VARIABLE, ILD_VARIABLE, "keep both", ILD_VARIABLE, "both", None, _OWN_ORDERS),
    Pair(
        ILD_VARIABLE, ILI_VARIABLE, "try to fuse", ILD_VARIABLE, "fused", FUSION, _IN_PRODUCER
    ),
    Pair(
        ILD_VARIABLE, ILD_FIXED, "eliminate second", ILD_VARIABLE, "first", ELIMINATION,
        _WRITE_ORDER,
    ),
    Pair(
        ILD_VARIABLE, ILI_FIXED, "eliminate second", ILD_VARIABLE, "first", ELIMINATION,
        _WRITE_PART,
    ),
    Pair(
        ILI_VARIABLE, ILD_VARIABLE, "try to fuse", ILD_VARIABLE, "fused", FUSION, _IN_CONSUMER
    ),
    Pair(ILI_VARIABLE, ILI_VARIABLE, "try to fuse", ILI_VARIABLE, "none", FUSION, _ONE_NEST),
    Pair(
        ILI_VARIABLE, ILD_FIXED, "eliminate second", ILI_VARIABLE, "none", ELIMINATION,
        _WRITE_ORDER,
    ),
    Pair(
        ILI_VARIABLE, ILI_FIXED, "eliminate second", ILI_VARIABLE, "none", ELIMINATION,
        _WRITE_PART,
    ),
    Pair(
        ILD_FIXED, ILD_VARIABLE, "eliminate first", ILD_VARIABLE, "second", ELIMINATION,
        _READ_ORDER,
    ),
    Pair(
        ILD_FIXED, ILI_VARIABLE, "eliminate first", ILI_VARIABLE, "none", ELIMINATION,
        _READ_ORDER,
    ),
    Pair(ILD_FIXED, ILD_FIXED, "eliminate both", None, "none", COMPOSITION, _ONE_MAP),
    Pair(ILD_FIXED, ILI_FIXED, "eliminate both", None, "none", COMPOSITION, _ONE_MAP),
    Pair(
        ILI_FIXED, ILD_VARIABLE, "eliminate first", ILD_VARIABLE, "second", ELIMINATION,
        _READ_PART,
    ),
    Pair(
        ILI_FIXED, ILI_VARIABLE, "eliminate first", ILI_VARIABLE, "none", ELIMINATION,
        _READ_PART,
    ),
    Pair(ILI_FIXED, ILD_FIXED, "eliminate both", None, "none", COMPOSITION, _ONE_MAP),
    Pair(ILI_FIXED, ILI_FIXED, "eliminate both", None, "none", COMPOSITION, _ONE_MAP),
)  # fmt: skip

_ROWS = {(pair.first, pair.second): pair for pair in TABLE}


def pair_of(producer: ir.Operation, consumer: ir.Operation) -> Pair:
    """The row for two operations, by how they are classified now."""
    return _ROWS[classify(producer).group, classify(consumer).group]
