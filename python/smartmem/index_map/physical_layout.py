"""Layouts: sequences of primitives, as index maps, as arrays and as text.

A composed layout is index maps, with which views are built, operations rewritten and constants
re-laid: to write a new layout takes no code for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields

from smartmem.errors import InvalidInputError
from smartmem.index_map.expr import Shape
from smartmem.index_map.index_map import Domain, IndexMap, compose, compose_domain, identity
from smartmem.index_map.primitives import NAMES, Primitive, Reorder, Split
from smartmem.index_map.taking import contiguous
from smartmem.parameters import Array


@dataclass(frozen=True)
class PhysicalLayout:
    """Where the elements of a tensor of shape ``logical`` lie in one of shape ``shape``.

    Attributes:
        logical: the tensor's shape.
        shape: the shape in memory.
        index_map: place in memory -> index of the element there.
        domain: the places that hold an element; the others hold a fill value, or other
            tensors.
        places: index of an element -> its place; None if an element has several.
    """

    logical: Shape
    shape: Shape
    index_map: IndexMap
    domain: Domain
    places: IndexMap | None


# Those with as many arguments as the tensor asks for; the others have a field for each.
_OPEN = {Split: 2, Reorder: 0}

_CALL = re.compile(r"\s*([a-z_]+)\(\s*((?:-?\d+\s*(?:,\s*-?\d+\s*)*)?)\)\s*")


def parse_primitives(text: str) -> tuple[Primitive, ...]:
    """The primitives that ``text`` names, as ``split(1, 8, 4) reorder(0, 2, 1)``.

    Raises:
        InvalidInputError: it does not read so.
    """
    found: list[Primitive] = []
    at = 0
    while at < len(text.rstrip()):
        call = _CALL.match(text, at)
        if call is None:
            raise InvalidInputError(
                f"'{text[at:].strip()}' is no layout primitive; write split(1, 8, 4), "
                "reorder(0, 2, 1) and their like, separated by spaces"
            )
        numbers = tuple(int(n) for n in call[2].split(",") if n.strip())
        found.append(_primitive(call[1], numbers))
        at = call.end()
    return tuple(found)


def format_primitives(primitives: Sequence[Primitive]) -> str:
    """The text that ``parse_primitives`` reads."""
    return " ".join(map(str, primitives))


def physical_layout(shape: Sequence[int], primitives: Sequence[Primitive]) -> PhysicalLayout:
    """The layout of a tensor of ``shape`` that ``primitives`` write, one after the other.

    Raises:
        InvalidInputError: a primitive does not fit the shape that it gets.
    """
    logical = tuple(shape)
    index_map, domain = identity(logical), Domain(())
    places: IndexMap | None = identity(logical)
    for primitive in primitives:
        step = primitive.step(index_map.shape)
        held = (*compose_domain(step.back, domain).constraints, *step.domain.constraints)
        index_map, domain = compose(step.back, index_map), Domain(tuple(dict.fromkeys(held)))
        if places is not None:
            places = None if step.places is None else compose(places, step.places)
    return PhysicalLayout(logical, index_map.shape, index_map, domain, places)


def lay_out(array: Array, primitives: Sequence[Primitive], fill: float = 0) -> Array:
    """``array`` as it lies in the layout that ``primitives`` write; contiguous.

    Args:
        fill: what lies where no element does.

    Raises:
        InvalidInputError: a primitive does not fit the shape that it gets.
    """
    for primitive in primitives:
        array = primitive.apply(array, fill)
    return contiguous(array)


def _primitive(name: str, numbers: tuple[int, ...]) -> Primitive:
    kinds: dict[str, type[Primitive]] = {word: kind for kind, word in NAMES.items()}
    if name not in kinds:
        raise InvalidInputError(f"there is no layout primitive {name}; use {', '.join(kinds)}")
    kind = kinds[name]
    if kind in _OPEN:
        if len(numbers) < _OPEN[kind]:
            raise InvalidInputError(f"{name} takes {_OPEN[kind]} numbers or more")
        return Split(numbers[0], numbers[1:]) if kind is Split else Reorder(numbers)
    names = [field.name for field in fields(kind)]
    if len(numbers) != len(names):
        raise InvalidInputError(f"{name} takes {len(names)} numbers: {', '.join(names)}")
    return kind(*numbers)
