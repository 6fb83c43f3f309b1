"""Trees of elements whose innermost loop is whole vectors.

Computed by position, each element has indices and a choice of its own, and a CPU computes
them one by one. With the innermost loop in two, ``c = 16*v + l``, most concats choose and
clamp by ``v`` alone, as their pieces begin at multiples of 16:

    383 - 48*h - c >= 0                 ->  23 - 3*h - v >= 0
    x[min(48*h + c, 383)], 384 in x     ->  x[16*min(3*h + v, 23) + l]

Then all of a vector is chosen, and read by one instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smartmem.index_map import (
    Dim,
    Domain,
    Expr,
    IndexMap,
    Shape,
    atoms,
    bounds,
    compose,
    compose_domain,
    dim,
    identity,
    reshape,
)
from smartmem.index_map import expr as ex
from smartmem.passes.analysis.gathers.element_loads import is_operand
from smartmem.passes.analysis.gathers.elements import (
    Choose,
    Compute,
    Element,
    Load,
    loads,
    walk,
)
from smartmem.passes.analysis.ir.movement import shape_of

# Elements in a vector, best first. A processor with shorter ones takes several of them.
_LANES = (16, 8, 4)


@dataclass(frozen=True)
class LaneForm:
    """A tree over a box whose last dim is one vector.

    Attributes:
        element: the tree.
        shape: the box. Its last two dims, as one, can be longer than what they stand for;
            what is computed there nobody may read.
    """

    element: Element
    shape: Shape


def lane_form(element: Element, shape: Shape, longer: bool) -> LaneForm | None:
    """``element``, of the box ``shape``, in whole vectors; None where that gains nothing.

    ``longer`` allows that the rows become longer than ``shape`` says.
    """
    if not shape or all(is_operand(load, shape) for load in loads(element)):
        return None
    for lanes in _LANES:
        vectors = -(-shape[-1] // lanes)
        if shape[-1] < lanes or not (longer or shape[-1] == vectors * lanes):
            continue
        split = _split_of(shape, vectors, lanes)
        form = LaneForm(_in_lanes(element, split), split.shape)
        if _is_by_vectors(form):
            return form
    return None


def _split_of(shape: Shape, vectors: int, lanes: int) -> IndexMap:
    """From the box with two dims in place of the last one."""
    *outer, _ = shape
    return reshape((*outer, vectors * lanes), (*outer, vectors, lanes))


def _in_lanes(element: Element, split: IndexMap) -> Element:
    """The same tree at the places that ``split`` maps to."""
    if isinstance(element, Load):
        return _aligned(replace(element, index_map=compose(split, element.index_map)))
    if isinstance(element, Compute):
        return replace(element, operands=tuple(_in_lanes(e, split) for e in element.operands))
    if isinstance(element, Choose):
        pieces = ((_tightened(d, split), _in_lanes(e, split)) for d, e in element.pieces)
        return Choose(tuple(pieces))
    return element


def _tightened(domain: Domain, split: IndexMap) -> Domain:
    """The domain by whole vectors, where it can be: n >= 0 just if floor(n / lanes) >= 0."""
    shape = split.shape
    whole = (
        ex.floordiv(c, shape[-1], shape) if _uses_lane([c], shape) else c
        for c in compose_domain(split, domain).constraints
    )
    return compose_domain(identity(shape), Domain(tuple(whole)))


def _aligned(load: Load) -> Load:
    """The load, marked if it reads whole vectors: only where one begins is then ever clamped."""
    exprs, shape = load.index_map.exprs, load.index_map.shape
    if not exprs or shape_of(load.source)[-1] % shape[-1]:
        return load
    vector, lane = (f(exprs[-1], shape[-1], shape) for f in (ex.floordiv, ex.mod))
    if lane != dim(len(shape) - 1) or _uses_lane([*exprs[:-1], vector], shape):
        return load
    return replace(load, lanes=shape[-1])


def _is_by_vectors(form: LaneForm) -> bool:
    """Whether each vector is chosen as a whole, and read as one or through indexing maps."""
    chosen = (node for node in walk(form.element) if isinstance(node, Choose))
    domains = (domain for choice in chosen for domain, _ in choice.pieces)
    if any(_uses_lane(domain.constraints, form.shape) for domain in domains):
        return False
    found = loads(form.element)
    return all(is_operand(e, form.shape) or _reads_vectors(e, form.shape) for e in found)


def _reads_vectors(load: Load, shape: Shape) -> bool:
    """Whether the lanes read neighbours in the last dim, which is never left, or one element."""
    exprs = load.index_map.exprs
    if load.lanes > 1 or not _uses_lane(exprs, shape):
        return True
    lane, last = Dim(len(shape) - 1), exprs[-1]
    first = Expr(tuple(term for term in last.terms if term[0] != lane), last.const)
    low, high = bounds(last, shape)
    is_inside = low >= 0 and high < shape_of(load.source)[-1]
    adds_lane = dict(last.terms).get(lane) == 1
    return adds_lane and is_inside and not _uses_lane([*exprs[:-1], first], shape)


def _uses_lane(exprs: Sequence[Expr], shape: Shape) -> bool:
    return any(Dim(len(shape) - 1) in atoms(e) for e in exprs)
