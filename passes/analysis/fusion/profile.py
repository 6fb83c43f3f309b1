"""What fusing a pair was measured to bring: DNNFusion's profile database (section 4.3).

A yellow cell of the fusion table is decided by an entry for the pair, if there is one that
tells the two ways clearly apart. Else by the nearest entry of the same class: the same
operations, accesses and types, and no loop longer or shorter by more than a factor of
``NEAR``. Else by rule.

A nearest entry never fuses what the rule keeps apart: that one kernel of both computes the
right numbers is known of the measured extents only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

CLEAR = 0.05
"""A difference of no more than this part of the time is noise: the rule decides."""

NEAR = 2.0
"""By which factor an extent of a nearest entry may differ."""

_EXTENTS = re.compile(r"(?<= )\d+(?:x\d+)*(?= )")


@dataclass(frozen=True)
class PairTimes:
    """Seconds of one run of a pair.

    Attributes:
        fused_s: in one kernel; None: that does not compile in time, or computes something
            else.
        apart_s: in two kernels.
        shipped: whether it came with SmartMem, and was not measured here.
    """

    fused_s: float | None
    apart_s: float
    shipped: bool = False

    @property
    def ratio(self) -> float:
        """The time of one kernel over that of two; infinite where there is none."""
        return math.inf if self.fused_s is None else self.fused_s / self.apart_s


@dataclass(frozen=True)
class Advice:
    """What the database says about a pair.

    Attributes:
        fuse: whether one kernel is faster.
        is_exact: whether this very pair was measured, and not one of other extents.
        reason: what was measured, and where.
    """

    fuse: bool
    is_exact: bool
    reason: str


def advice(times: Mapping[str, PairTimes], key: str) -> Advice | None:
    """What the database says about the pair with this key; None: nothing, or no difference."""
    near = key if key in times else _nearest(times, key)
    if near is None:
        return None
    found = times[near]
    if abs(found.ratio - 1) <= CLEAR:
        return None
    is_exact = near == key
    what = "" if is_exact else " for other extents"
    where = "shipped" if found.shipped else "measured here"
    if found.fused_s is None:
        reason = f"no right kernel of both in time{what} ({where})"
    else:
        reason = f"{found.ratio:.2f} of the time of two kernels{what} ({where})"
    return Advice(found.ratio < 1, is_exact, reason)


def _nearest(times: Mapping[str, PairTimes], key: str) -> str | None:
    """The key of the same class whose extents differ least; that by the largest ratio."""
    kind, extents = _class(key), _extents(key)
    # Of equally near ones the first by name, so that the order of entries says nothing.
    near = sorted((_distance(extents, _extents(k)), k) for k in times if _class(k) == kind)
    return near[0][1] if near and near[0][0] <= math.log(NEAR) + 1e-9 else None


def _class(key: str) -> str:
    return _EXTENTS.sub(lambda match: re.sub(r"\d+", "n", match[0]), key)


def _extents(key: str) -> list[int]:
    return [int(n) for found in _EXTENTS.findall(key) for n in found.split("x")]


def _distance(extents: list[int], others: list[int]) -> float:
    """The largest ratio of two extents, as its logarithm."""
    pairs = zip(extents, others, strict=True)
    return max((abs(math.log(max(a, 1) / max(b, 1))) for a, b in pairs), default=0.0)
