"""What lies in the padding of a dim, what operations make of it, and what no sum notices.

A softmax over 49 keys is the same over 52 whose last three scores are minus infinity: the largest
of all stays, their exponentials are zero, and so is what they add to sums. No other number is
sound: one that is only very low becomes a weight behind a small scale, in a type with few
exponents, or where all other scores of a row are lower.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence

from smartmem.passes.analysis.scalars.expressions import ARGUMENT, CONSTANT, Node, reachable
from smartmem.passes.analysis.scalars.scalar_functions import dtype_of, normal_range

MASK = -math.inf
"""What makes a padding ``LOWEST``."""


class Content(enum.Enum):
    """What a padding holds, from the most known to the least."""

    ZERO = "zero"
    LOWEST = "minus infinity"
    REPEATED = "what the last element is, or one that all share: as finite as it is"
    FINITE = "a number"
    ANYTHING = "anything, which may be no number"

    def join(self, other: Content) -> Content:
        """What holds if one of both does."""
        if self is other:
            return self
        return Content.FINITE if {self, other} <= NUMBERS else Content.ANYTHING


ZERO, LOWEST, REPEATED = Content.ZERO, Content.LOWEST, Content.REPEATED
FINITE, ANYTHING = Content.FINITE, Content.ANYTHING

NUMBERS = frozenset({ZERO, REPEATED, FINITE})
"""What is as finite as the elements before the padding."""

# What a reduction can take in and stay what it is, for each combiner.
_NEUTRAL: Mapping[str, frozenset[Content]] = {
    "arith.addf": frozenset({ZERO}),
    "arith.maximumf": frozenset({LOWEST, REPEATED}),
    "arith.maxnumf": frozenset({LOWEST, REPEATED}),
    "arith.minimumf": frozenset({REPEATED}),
    "arith.minnumf": frozenset({REPEATED}),
}


def is_neutral(combiner: str, content: Content) -> bool:
    """Whether a reduction with this combiner does not notice a padding of its dim."""
    return content in _NEUTRAL.get(combiner, ())


def content_of(root: Node, operands: Mapping[int, Content]) -> Content:
    """What an expression is in the padding.

    Args:
        operands: what the padding of an operand holds, by number; all others have none, and
            are there what they are before.
    """
    found: dict[Node, Content] = {}
    for node in reachable([root]):
        args = [found[arg] for arg in node.args]
        if node.kind == ARGUMENT:
            found[node] = operands.get(node.number, REPEATED)
        elif all(arg is REPEATED for arg in args):
            found[node] = REPEATED
        else:
            rule = _RULES.get(node.kind)
            found[node] = ANYTHING if rule is None else rule(node, args)
    return found[root]


def _exp(_: Node, args: Sequence[Content]) -> Content:
    return ZERO if args[0] is LOWEST else ANYTHING


def _widened(_: Node, args: Sequence[Content]) -> Content:
    return args[0]


def _narrowed(_: Node, args: Sequence[Content]) -> Content:
    # Another number than the last may be too large for the type.
    return ANYTHING if args[0] is FINITE else args[0]


def _negated(_: Node, args: Sequence[Content]) -> Content:
    return args[0] if args[0] in NUMBERS else ANYTHING


def _sum(_: Node, args: Sequence[Content]) -> Content:
    if LOWEST in args:
        return ANYTHING if ANYTHING in args else LOWEST
    return args[0].join(args[1])


def _difference(_: Node, args: Sequence[Content]) -> Content:
    if args[0] is LOWEST and args[1] in NUMBERS:
        return LOWEST
    return ANYTHING if LOWEST in args else args[0].join(args[1])


def _product(node: Node, args: Sequence[Content]) -> Content:
    if set(args) <= NUMBERS:
        return ZERO if ZERO in args else FINITE
    scaled = [k for k in (0, 1) if args[k] is LOWEST and _is_positive(node.args[1 - k])]
    return LOWEST if scaled else ANYTHING


def _quotient(node: Node, args: Sequence[Content]) -> Content:
    if args[0] is LOWEST and _is_positive(node.args[1]):
        return LOWEST
    if args[0] not in NUMBERS or args[1] is not REPEATED:
        return ANYTHING  # the divisor may be zero
    return args[0] if args[0] is ZERO else FINITE


def _largest(_: Node, args: Sequence[Content]) -> Content:
    above = [FINITE if arg is REPEATED else arg for arg in args if arg is not LOWEST]
    return above[0].join(above[-1]) if above else LOWEST


def _selected(_: Node, args: Sequence[Content]) -> Content:
    one, other = (FINITE if arg is REPEATED else arg for arg in args[1:])
    return one.join(other)


def _is_positive(node: Node) -> bool:
    """Whether it is a positive factor that leaves minus infinity as it is.

    Shaders may take a number below the normal ones for zero, and zero times infinity is none.
    """
    dtype, number = dtype_of(node.type), node.payload
    if node.kind != CONSTANT or dtype is None or not isinstance(number, float):
        return False
    return normal_range(dtype)[0] <= number < math.inf


_RULES: Mapping[str, Callable[[Node, Sequence[Content]], Content]] = {
    "math.exp": _exp,
    "math.exp2": _exp,
    "arith.extf": _widened,
    "arith.truncf": _narrowed,
    "arith.negf": _negated,
    "arith.addf": _sum,
    "arith.subf": _difference,
    "arith.mulf": _product,
    "arith.divf": _quotient,
    "arith.maximumf": _largest,
    "arith.maxnumf": _largest,
    "arith.select": _selected,
}
