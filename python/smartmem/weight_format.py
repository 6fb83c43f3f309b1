"""The form in which linear layers' weights are stored, as a user writes it: ``int4:group=32``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from smartmem.errors import InvalidInputError

_FORM = re.compile(r"int(4|8)(?::(\w.*))?")

# By bits: steps that share a scale (0: all of a channel), and the largest relative error.
_GROUPS = {4: 32, 8: 0}
_ERRORS = {4: 0.15, 8: 0.02}


@dataclass(frozen=True)
class WeightFormat:
    """Integers with a scale for each group of a channel's weights.

    Attributes:
        bits: of an integer.
        group: weights of a channel that share a scale; 0: all.
        max_error: the largest norm of a layer's rounding errors over that of its weights.
    """

    bits: int
    group: int
    max_error: float


def weight_format(text: str) -> WeightFormat:
    """The format that ``int8``, ``int4:group=64`` or ``int4:group=64,error=0.1`` names.

    Raises:
        InvalidInputError: a text of another form.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise _wrong(text)
    bits = int(match[1])
    group, error = _GROUPS[bits], _ERRORS[bits]
    for item in match[2].split(",") if match[2] else ():
        name, _, number = item.partition("=")
        if name == "group" and number.isdecimal():
            group = int(number)
        elif name == "error" and _is_positive(number):
            error = float(number)
        else:
            raise _wrong(text)
    return WeightFormat(bits, group, error)


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False


def _wrong(text: str) -> InvalidInputError:
    return InvalidInputError(
        f"weights '{text}' are of no known form; use int8 or int4, and behind a colon "
        "group=32 (weights that share a scale) and error=0.1 (the largest of a layer)"
    )
