"""What computes one element of a tensor, seen through movements and elementwise operations.

``element_of`` follows an element up to stored tensors: a view continues where its map
points to, a concat chooses one of its pieces by position, an elementwise operation that
nothing else reads is computed at the place. The result is a tree without any IR, from
which one ``linalg.generic`` can be built.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import (
    Dim,
    Domain,
    IndexMap,
    Shape,
    compose,
    compose_domain,
    constant,
    from_affine,
    identity,
)
from smartmem.passes.analysis.ir.accesses import ends_contraction, ends_window, is_row_wise
from smartmem.passes.analysis.ir.def_use import MOVEMENTS
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of, view_map


@dataclass(frozen=True)
class Load:
    """An element of a stored tensor; where no piece wants it, the map can point outside.

    Attributes:
        source: the tensor.
        index_map: where the element lies in it.
        lanes: how many neighbours in the last dim, from a multiple of that number on, the
            innermost loop reads. Outside, the map stands for the nearest ones of these.
    """

    source: ir.Value
    index_map: IndexMap
    lanes: int = 1


@dataclass(frozen=True)
class Scalar:
    """The same value everywhere: what a tensor is padded with."""

    value: ir.Value


@dataclass(frozen=True)
class Compute:
    """The result of an elementwise operation's body for these operands."""

    op: ir.Operation
    operands: tuple[Element, ...]


@dataclass(frozen=True)
class Choose:
    """The first piece whose domain holds the index; the last one where none does."""

    pieces: tuple[tuple[Domain, Element], ...]


MAX_DEPTH = 32
"""Operations that an element is followed through, one behind the other."""

Element = Load | Scalar | Compute | Choose


def element_of(value: ir.Value, at: IndexMap | None = None) -> Element:
    """The tree for the elements of ``value``, or for those that ``at`` points to.

    Its root is never a ``Load`` of ``value``, if that is a movement or an elementwise
    operation, whatever else reads it.
    """
    return _Follower(value).root(at or identity(shape_of(value)))


def loads(element: Element) -> list[Load]:
    """The different loads of a tree."""
    return list(dict.fromkeys(e for e in walk(element) if isinstance(e, Load)))


def walk(element: Element) -> Iterator[Element]:
    """The tree's nodes, ``element`` first."""
    yield element
    inner: tuple[Element, ...] = ()
    if isinstance(element, Compute):
        inner = element.operands
    elif isinstance(element, Choose):
        inner = tuple(piece for _, piece in element.pieces)
    for node in inner:
        yield from walk(node)


def computes_pieces(element: Element) -> bool:
    """Whether the tree computes what it chooses from."""
    chosen = (node for node in walk(element) if isinstance(node, Choose))
    return any(isinstance(node, Compute) for choice in chosen for node in walk(choice))


def computing_nest(op: ir.Operation) -> LoopNest | None:
    """The loops of an elementwise operation whose body can be computed anywhere."""
    nest = loop_nest(op)
    if nest is None or not nest.is_elementwise or nest.uses_index:
        return None
    if not nest.is_projected_permutation(nest.output):
        return None
    block = op.regions[0].blocks[0]
    # What starts from its output's initial value would need that, too.
    return None if list(block.arguments[-1].uses) else nest


class _Follower:
    def __init__(self, value: ir.Value) -> None:
        self._value = value
        self._inside = _only_for(value)
        self._depth = 0

    def root(self, index_map: IndexMap) -> Element:
        value, owner = self._value, self._value.owner
        if not isinstance(owner, ir.Block):
            nest = computing_nest(owner.operation)
            if nest is not None:
                return self._computed(owner.operation, nest, index_map)
        return self._element(value, index_map)

    def _element(self, value: ir.Value, index_map: IndexMap) -> Element:
        """The element of ``value`` at ``index_map`` of the root's index."""
        if isinstance(value.owner, ir.Block) or self._depth == MAX_DEPTH:
            return Load(value, index_map)
        self._depth += 1
        found = self._followed(value, index_map)
        self._depth -= 1
        return found

    def _followed(self, value: ir.Value, index_map: IndexMap) -> Element:
        op = value.owner.operation
        if op.name == ViewOp.OPERATION_NAME:
            return self._viewed(op, index_map)
        if op.name == ConcatOp.OPERATION_NAME:
            return self._concatenated(op, index_map)
        if op in self._inside and (nest := cheap_nest(op)) is not None:
            return self._computed(op, nest, index_map)
        return Load(value, index_map)

    def _viewed(self, view: ir.Operation, index_map: IndexMap) -> Element:
        source = self._element(view.operands[0], compose(index_map, view_map(view)))
        if len(view.operands) == 1:
            return source
        domain = _domain(view.attributes["domain"], index_map, shape_of(view.results[0]))
        outside = Scalar(view.operands[1])
        return Choose(((domain, source), (Domain(()), outside)))

    def _concatenated(self, concat: ir.Operation, index_map: IndexMap) -> Element:
        shape = shape_of(concat.results[0])
        pieces = []
        for source, attribute in zip(
            concat.operands, ir.ArrayAttr(concat.attributes["domains"]), strict=True
        ):
            domain = _domain(attribute, index_map, shape)
            pieces.append((domain, self._element(source, index_map)))
        return Choose(tuple(pieces))

    def _computed(self, op: ir.Operation, nest: LoopNest, index_map: IndexMap) -> Element:
        loops = [constant(0)] * len(nest.domain)
        for written, at in zip(nest.accesses[-1].exprs, index_map.exprs, strict=True):
            for atom, _ in written.terms:
                assert isinstance(atom, Dim)
                loops[atom.index] = at
        here = IndexMap(tuple(loops), index_map.shape)
        inputs = list(op.operands)[:-1]
        operands = (
            self._element(v, compose(here, access))
            for v, access in zip(inputs, nest.accesses, strict=False)
        )
        return Compute(op, tuple(operands))


def _domain(attribute: ir.Attribute, index_map: IndexMap, shape: Shape) -> Domain:
    own = Domain(from_affine(ir.AffineMapAttr(attribute).value, shape).exprs)
    return compose_domain(index_map, own)


def _only_for(value: ir.Value) -> set[ir.Operation]:
    """The operations that only ``value`` needs."""
    inside: set[ir.Operation] = set()
    if isinstance(value.owner, ir.Block):
        return inside
    inside.add(value.owner.operation)
    stack = list(value.owner.operands)
    while stack and len(inside) < MAX_DEPTH:
        owner = stack.pop().owner
        if isinstance(owner, ir.Block) or owner.operation in inside:
            continue
        op = owner.operation
        follows = op.name in MOVEMENTS or computing_nest(op) is not None
        if follows and all(use.owner.operation in inside for use in op.results[0].uses):
            inside.add(op)
            stack += op.operands
    return inside


def cheap_nest(op: ir.Operation) -> LoopNest | None:
    """The loops of ``op``, if every element of a concat may compute it in vain.

    The end of a contraction, a window or a normalization costs nothing where it is.
    """
    nest = computing_nest(op)
    if nest is None:
        return None
    body = [inner.operation.name for inner in op.regions[0].blocks[0].operations]
    cheap = all(name.startswith("arith.") or name == "linalg.yield" for name in body)
    ends = ends_contraction(op) or ends_window(op) or is_row_wise(op)
    return nest if cheap and not ends else None
