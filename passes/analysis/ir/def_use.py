"""What a value reads, and what reads it, seen through all views and concats between.

``reading`` composes the index maps of a chain of movements into one set of pieces on
values that are computed, so that the chain can be replaced by one movement, or by none
where a consumer reads the pieces itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.dialect import ConcatOp, ViewOp
from smartmem.index_map import (
    Dim,
    Domain,
    IndexMap,
    Shape,
    atoms,
    bounds,
    box_domain,
    compose,
    compose_domain,
    from_affine,
    identity,
)
from smartmem.index_map.expr import evaluate
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.chains import defining_op
from smartmem.passes.analysis.ir.index_tables import Table, extract_map
from smartmem.passes.analysis.ir.movement import Piece, domain_of, is_view, shape_of

# Tables up to this size are built to find one map for several pieces.
TABLE_LIMIT = 1 << 20

MOVEMENTS = (ViewOp.OPERATION_NAME, ConcatOp.OPERATION_NAME)


@dataclass(frozen=True)
class Reading:
    """A tensor as pieces of other tensors.

    Attributes:
        shape: of the tensor.
        pieces: the first whose domain holds an index gives its element.
        fill: the scalar where no piece holds; None if that cannot be or is undefined.
    """

    shape: Shape
    pieces: tuple[Piece, ...]
    fill: ir.Value | None = None

    @property
    def single(self) -> Piece | None:
        """The only piece, if it gives every element."""
        whole = len(self.pieces) == 1 and not self.pieces[0].domain.constraints
        return self.pieces[0] if whole else None


Readings = dict[ir.Value, Reading]
"""What values read, to be shared by all questions about IR that does not change meanwhile."""


@dataclass(frozen=True)
class Reader:
    """Operand ``number`` of a computation (or of a return) ``op``."""

    op: ir.Operation
    number: int

    @property
    def value(self) -> ir.Value:
        """The operand."""
        return self.op.operands[self.number]


def readers_of(value: ir.Value) -> list[Reader]:
    """The operands that ``value`` reaches, directly or through movements.

    ``chains.readers`` is its counterpart behind ``smartmem-lower-to-linalg``.
    """
    found: dict[Reader, None] = {}
    stack = [value]
    while stack:
        for use in stack.pop().uses:
            op = use.owner.operation
            if op.name in MOVEMENTS:
                stack.append(op.results[0])
            else:
                found[Reader(op, use.operand_number)] = None
    return list(found)


def constant_source(value: ir.Value, parameters: Parameters) -> ir.Operation | None:
    """The constant of known elements that ``value`` reads through views, if it is one."""
    while (op := defining_op(value)) is not None:
        if op.name == "arith.constant":
            is_tensor = isinstance(value.type, ir.RankedTensorType)
            return op if is_tensor and parameters.holds(op.attributes["value"]) else None
        if op.name != ViewOp.OPERATION_NAME or len(op.operands) != 1:
            return None
        value = op.operands[0]
    return None


def reading(value: ir.Value, known: Readings | None = None) -> Reading:
    """The pieces of computed values, arguments and constants that ``value`` is made of.

    Args:
        known: what values read by now; grows.
    """
    found = {} if known is None else known
    pending = [] if value in found else [value]
    while pending:  # no recursion: a chain can be longer than Python's stack
        sources = [source for source in _sources(pending[-1]) if source not in found]
        if sources:
            pending += sources
        else:
            last = pending.pop()
            found[last] = _reading(last, found)
    return found[value]


def _sources(value: ir.Value) -> list[ir.Value]:
    op = value.owner
    if isinstance(op, ViewOp):
        return [op.source]
    return list(op.sources) if isinstance(op, ConcatOp) else []


def _reading(value: ir.Value, found: Mapping[ir.Value, Reading]) -> Reading:
    """Args: found: the readings of all that ``value`` is made of."""
    shape = shape_of(value)
    op = value.owner
    if isinstance(op, ViewOp):
        return _view_reading(op, shape, found[op.source])
    if isinstance(op, ConcatOp):
        return _concat_reading(op, shape, found)
    return leaf(value, shape)


def leaf(value: ir.Value, shape: Shape) -> Reading:
    """``value`` as the one piece that it is."""
    return Reading(shape, (Piece(value, identity(shape)),))


def _view_reading(view: ViewOp, shape: Shape, inner: Reading) -> Reading:
    outer = from_affine(ir.AffineMapAttr(view.map).value, shape)
    domain = domain_of(view.domain, shape)
    through = _through(outer, inner)
    if not _composes(view, inner) or _is_scattered(through):
        through = _through(outer, leaf(view.source, shape_of(view.source)))
    if view.domain is None:
        return through
    pieces = tuple(
        Piece(p.source, p.index_map, _both(domain, identity(shape), p.domain))
        for p in through.pieces
    )
    return _simplified(Reading(shape, pieces, view.fill or through.fill))


def _is_scattered(found: Reading) -> bool:
    """Whether each element has to be looked for in several tensors.

    Their concat is better stored: each producer writes its part of it.
    """
    return len({piece.source for piece in found.pieces}) > 1


def _through(outer: IndexMap, inner: Reading) -> Reading:
    """What ``outer`` reads of a tensor that is itself ``inner``."""
    pieces = tuple(
        Piece(p.source, compose(outer, p.index_map), compose_domain(outer, p.domain))
        for p in inner.pieces
    )
    return _simplified(Reading(outer.shape, pieces, inner.fill))


def _direct_pieces(concat: ConcatOp, shape: Shape) -> list[Piece]:
    """The pieces of a concat on the nearest value that all its sources read through
    views alone; empty if there is none.
    """
    chains = [_view_chain(source, shape) for source in concat.sources]
    common = next((v for v in chains[0] if all(v in chain for chain in chains)), None)
    if common is None:
        return []
    domains = [domain_of(d, shape) for d in ir.ArrayAttr(concat.domains)]
    return [Piece(common, c[common], d) for c, d in zip(chains, domains, strict=True)]


def _view_chain(value: ir.Value, shape: Shape) -> dict[ir.Value, IndexMap]:
    """The values that ``value`` reads through views without fill, nearest first."""
    index_map, chain = identity(shape), {}
    while is_view(value):
        view = value.owner.opview
        if view.fill is not None:
            break
        map_ = ir.AffineMapAttr(view.map).value
        index_map = compose(index_map, from_affine(map_, shape_of(value)))
        value = view.source
        chain[value] = index_map
    return chain


def _composes(view: ViewOp, inner: Reading) -> bool:
    """Whether a view of ``inner`` is one movement again.

    Padding stays a movement of its own: code generators know a pad of a tensor, and not
    one of a reshaped or permuted tensor. What permutes a computed tensor before it is
    padded or concatenated stays, too: a producer can take that into its write.
    """
    if inner.fill is not None or view.domain is None:
        return inner.fill is None
    single = len(inner.pieces) == 1
    return (single or view.fill is None) and not (
        single and _permutes_computed(inner.pieces[0])
    )


def _permutes_computed(piece: Piece) -> bool:
    owner = piece.source.owner
    if isinstance(owner, ir.Block) or owner.name == "arith.constant":
        return False
    dims = [a.index for e in piece.index_map.exprs for a in atoms(e) if isinstance(a, Dim)]
    return dims != sorted(dims)


def _concat_reading(
    concat: ConcatOp, shape: Shape, found: Mapping[ir.Value, Reading]
) -> Reading:
    if (joined := _joined(_direct_pieces(concat, shape), shape)) is not None:
        return _through(joined.index_map, found[joined.source])
    unit = identity(shape)
    pieces: list[Piece] = []
    for source, attribute in zip(concat.sources, ir.ArrayAttr(concat.domains), strict=True):
        domain = domain_of(attribute, shape)
        inner = found[source]
        if inner.fill is not None:
            inner = leaf(source, shape)
        pieces += (
            Piece(p.source, p.index_map, _both(domain, unit, p.domain)) for p in inner.pieces
        )
    return _simplified(Reading(shape, tuple(pieces)))


def _both(domain: Domain, outer: IndexMap, inner: Domain) -> Domain:
    constraints = (*domain.constraints, *compose_domain(outer, inner).constraints)
    return Domain(tuple(dict.fromkeys(constraints)))


def _simplified(found: Reading) -> Reading:
    """Without pieces that hold nothing, or that stand behind one that holds all."""
    if found.single is not None:
        return Reading(found.shape, found.pieces)
    pieces: list[Piece] = []
    for piece in found.pieces:
        ranges = [(c, bounds(c, found.shape)) for c in piece.domain.constraints]
        if any(high < 0 for _, (_, high) in ranges):
            continue
        open_ = tuple(c for c, (low, _) in ranges if low < 0)
        new = Piece(piece.source, piece.index_map, Domain(open_))
        both = _abutting(pieces[-1], new, found.shape) if pieces else None
        if both is not None:
            pieces[-1], open_ = both, both.domain.constraints
        else:
            pieces.append(new)
        if not open_:
            break
    fill = found.fill if pieces and pieces[-1].domain.constraints else None
    joined = _joined(pieces, found.shape) if fill is None else None
    return Reading(found.shape, (joined,) if joined else tuple(pieces), fill)


def _abutting(one: Piece, other: Piece, shape: Shape) -> Piece | None:
    """Both as one piece: the same map in two boxes side by side, as two halves of a split."""
    if one.source != other.source or one.index_map != other.index_map:
        return None
    first, second = one.domain.box(shape), other.domain.box(shape)
    if first is None or second is None:
        return None
    apart = [d for d, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
    if len(apart) != 1:
        return None
    (low, end), (begin, high) = sorted((first[apart[0]], second[apart[0]]))
    if begin != end:
        return None
    joined = [(low, high) if d == apart[0] else side for d, side in enumerate(first)]
    held = [c for c in box_domain(joined, shape).constraints if bounds(c, shape)[0] < 0]
    return Piece(one.source, one.index_map, Domain(tuple(held)))


def _joined(pieces: Sequence[Piece], shape: Shape) -> Piece | None:
    """One piece for several of the same source: two slices make a roll."""
    if len(pieces) < 2 or any(p.source != pieces[0].source for p in pieces):
        return None
    tables = [_table(pieces, axis, shape) for axis in range(len(pieces[0].index_map.exprs))]
    known = [t for t in tables if t is not None]
    if len(known) < len(tables):
        return None
    index_map = extract_map(known, shape)
    return Piece(pieces[0].source, index_map) if index_map else None


def _table(pieces: Sequence[Piece], axis: int, shape: Shape) -> Table | None:
    """The source index along ``axis`` for every result index, broadcastable to shape."""
    grid = list(np.ogrid[tuple(slice(n) for n in shape)])
    table = evaluate(pieces[-1].index_map.exprs[axis], grid)
    for piece in reversed(pieces[:-1]):
        index = evaluate(piece.index_map.exprs[axis], grid)
        if np.array_equal(np.broadcast_arrays(index, table)[0], table):
            continue
        inside = piece.domain.mask(shape)
        if np.broadcast(inside, index, table).size > TABLE_LIMIT:
            return None
        table = np.where(inside, index, table)
    return table
