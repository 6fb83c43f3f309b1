"""Recognize data movements: the pure half of raising views.

``movement`` says what an operation moves as pieces with index maps, or why it is not
seen as a movement. Nothing is rewritten here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from torch_mlir import ir

from smartmem.errors import SmartMemError
from smartmem.index_map import (
    Domain,
    IndexMap,
    Shape,
    box_domain,
    broadcast,
    compose,
    compose_domain,
    constant,
    extract_slice,
    from_affine,
    identity,
    reshape,
    transpose,
)
from smartmem.index_map import expr as ex
from smartmem.parameters import Parameters
from smartmem.passes.index_tables import body_value, extract_map, runs

EVERYWHERE = Domain(())
# A gather whose table falls into more pieces stays a gather.
MAX_PIECES = 8


@dataclass(frozen=True)
class Piece:
    """result[i] = source[index_map(i)] for the i of ``domain``."""

    source: ir.Value
    index_map: IndexMap
    domain: Domain = EVERYWHERE


@dataclass(frozen=True)
class Movement:
    """A result made of pieces; the first whose domain holds an index gives it.

    ``fill`` is the scalar, a value or a constant's attribute, of the indices that no
    piece holds, if there are any.
    """

    pieces: tuple[Piece, ...]
    fill: ir.Value | ir.Attribute | None = None


@dataclass(frozen=True)
class Refusal:
    """Why an operation that moves data is left as it is."""

    reason: str


Outcome = Movement | Refusal | None


def movement(op: ir.Operation, parameters: Parameters) -> Outcome:
    """What ``op`` moves; a refusal if it moves data in a way not expressed here.

    None for every operation that computes.
    """
    matcher = _MATCHERS.get(op.name)
    if matcher is None or len(op.results) != 1:
        return None
    tensors = [*map(_static_source, op.operands), op.results[0]]
    if not all(_is_static(v) for v in tensors if isinstance(v.type, ir.ShapedType)):
        return Refusal("its shape is not static")
    try:
        return matcher(op, parameters)
    except SmartMemError as error:
        return Refusal(str(error))


def _is_static(value: ir.Value) -> bool:
    type_ = value.type
    return isinstance(type_, ir.RankedTensorType) and type_.has_static_shape


def _static_source(value: ir.Value) -> ir.Value:
    """What a ``tensor.cast`` that only forgets sizes was given; else ``value``."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "tensor.cast":
        return value
    source = owner.operands[0]
    return source if _is_static(source) else value


def _shape(value: ir.Value) -> Shape:
    return tuple(ir.RankedTensorType(value.type).shape)


def _single(source: ir.Value, index_map: IndexMap) -> Movement:
    return Movement((Piece(source, index_map),))


def _integers(op: ir.Operation, name: str) -> list[int]:
    return [int(n) for n in ir.DenseI64ArrayAttr(op.attributes[name])]


def _match_reshape(op: ir.Operation, parameters: Parameters) -> Outcome:
    source = op.operands[0]
    return _single(source, reshape(_shape(source), _shape(op.results[0])))


def _kept_dims(full: Shape, reduced: Shape) -> list[int]:
    """Which dims of ``full`` a rank-reduced shape keeps: dropped ones have size 1."""
    kept: list[int] = []
    for axis, n in enumerate(full):
        missing = len(reduced) - len(kept)
        must_keep = n != 1 or missing == len(full) - axis
        if missing and n == reduced[len(kept)] and must_keep:
            kept.append(axis)
    return kept


def _match_extract_slice(op: ir.Operation, parameters: Parameters) -> Outcome:
    sizes = tuple(_integers(op, "static_sizes"))
    box = extract_slice(_integers(op, "static_offsets"), sizes, _integers(op, "static_strides"))
    return _single(op.operands[0], compose(reshape(sizes, _shape(op.results[0])), box))


def _match_transpose(op: ir.Operation, parameters: Parameters) -> Outcome:
    permutation = _integers(op, "permutation")
    return _single(op.operands[0], transpose(_shape(op.operands[0]), permutation))


def _match_broadcast(op: ir.Operation, parameters: Parameters) -> Outcome:
    shape, added = _shape(op.results[0]), _integers(op, "dimensions")
    kept = [axis for axis in range(len(shape)) if axis not in added]
    return _single(op.operands[0], broadcast(kept, shape))


def _strided_box(
    shape: Shape, offsets: list[int], sizes: Shape, strides: list[int]
) -> tuple[list[ex.Expr], Domain]:
    """Where a slice lies in ``shape``: its own indices there, and its domain."""
    indices, constraints = [], []
    for axis, (offset, size, stride) in enumerate(zip(offsets, sizes, strides, strict=True)):
        shifted = ex.add([identity(shape).exprs[axis], constant(-offset)], shape)
        indices.append(constant(0) if size == 1 else ex.floordiv(shifted, stride, shape))
        last = ex.add([ex.scale(shifted, -1), constant((size - 1) * stride)], shape)
        between = ex.scale(ex.mod(shifted, stride, shape), -1)
        constraints += [shifted, last] + ([between] if stride > 1 and size > 1 else [])
    open_ = tuple(c for c in constraints if ex.bounds(c, shape)[0] < 0)
    return indices, Domain(open_)


def _match_insert_slice(op: ir.Operation, parameters: Parameters) -> Outcome:
    source, destination = op.operands[0], op.operands[1]
    shape, sizes = _shape(op.results[0]), tuple(_integers(op, "static_sizes"))
    offsets, strides = _integers(op, "static_offsets"), _integers(op, "static_strides")
    indices, domain = _strided_box(shape, offsets, sizes, strides)
    kept = _kept_dims(sizes, _shape(source))
    piece = Piece(source, IndexMap(tuple(indices[a] for a in kept), shape), domain)
    if not domain.constraints:
        return Movement((piece,))
    if (fill := _splat(destination)) is not None:
        return Movement((piece,), fill)
    return Movement((piece, Piece(destination, identity(shape))))


def _splat(value: ir.Value) -> ir.Value | ir.Attribute | None:
    """The scalar that every element of ``value`` has, if that is known."""
    if isinstance(value.owner, ir.Block):
        return None
    op = value.owner.operation
    if op.name in ("linalg.fill", "tensor.splat"):
        return op.operands[0]
    if op.name != "arith.constant":
        return None
    attribute = op.attributes["value"].maybe_downcast()
    if isinstance(attribute, ir.DenseElementsAttr) and attribute.is_splat:
        return attribute.get_splat_value()
    return None


def _match_pad(op: ir.Operation, parameters: Parameters) -> Outcome:
    source, shape = op.operands[0], _shape(op.results[0])
    low = _integers(op, "static_low")
    fill = op.regions[0].blocks[0].operations[-1].operands[0]
    if isinstance(fill.owner, ir.Block):
        return Refusal("the padding value depends on the index")
    if fill.owner.operation.name == "arith.constant":
        fill = fill.owner.operation.attributes["value"]
    elif fill.owner.operation.parent.name == "tensor.pad":
        return Refusal("the padding value is computed in the padding's region")
    sizes = _shape(source)
    indices, domain = _strided_box(shape, low, sizes, [1] * len(shape))
    piece = Piece(source, IndexMap(tuple(indices), shape), domain)
    return Movement((piece,), fill) if domain.constraints else Movement((piece,))


def _match_concat(op: ir.Operation, parameters: Parameters) -> Outcome:
    axis = int(ir.IntegerAttr(op.attributes["dim"]).value)
    shape, offset, pieces = _shape(op.results[0]), 0, []
    for source in map(_static_source, op.operands):
        sizes, offsets = _shape(source), [0] * len(shape)
        offsets[axis] = offset
        indices, domain = _strided_box(shape, offsets, sizes, [1] * len(shape))
        pieces.append(Piece(source, IndexMap(tuple(indices), shape), domain))
        offset += sizes[axis]
    return Movement(tuple(pieces))


def _match_pack(op: ir.Operation, parameters: Parameters) -> Outcome:
    source, result = op.operands[0], op.results[0]
    shape, extents = _shape(result), _shape(source)
    tiles = dict(
        zip(_integers(op, "inner_dims_pos"), _integers(op, "static_inner_tiles"), strict=True)
    )
    outer = _integers(op, "outer_dims_perm") or list(range(len(extents)))
    unit = identity(shape).exprs
    indices = [
        ex.add([ex.scale(unit[outer.index(axis)], tiles.get(axis, 1))], shape)
        for axis in range(len(extents))
    ]
    for number, axis in enumerate(tiles):
        indices[axis] = ex.add([indices[axis], unit[len(extents) + number]], shape)
    ends = (
        ex.add([ex.scale(i, -1), constant(n - 1)], shape)
        for i, n in zip(indices, extents, strict=True)
    )
    domain = Domain(tuple(e for e in ends if ex.bounds(e, shape)[0] < 0))
    piece = Piece(source, IndexMap(tuple(indices), shape), domain)
    if not domain.constraints:
        return Movement((piece,))
    return (
        Movement((piece,), op.operands[2])
        if len(op.operands) == 3
        else Refusal("it pads with an undefined value")
    )


def _match_unpack(op: ir.Operation, parameters: Parameters) -> Outcome:
    source, shape = op.operands[0], _shape(op.results[0])
    positions, tiles = _integers(op, "inner_dims_pos"), _integers(op, "static_inner_tiles")
    outer = _integers(op, "outer_dims_perm") or list(range(len(shape)))
    tile, unit = dict(zip(positions, tiles, strict=True)), identity(shape).exprs
    indices = [ex.floordiv(unit[axis], tile.get(axis, 1), shape) for axis in outer]
    indices += [ex.mod(unit[axis], tile[axis], shape) for axis in positions]
    return _single(source, IndexMap(tuple(indices), shape))


def _match_copy(op: ir.Operation, parameters: Parameters) -> Outcome:
    return _single(op.operands[0], identity(_shape(op.results[0])))


def _match_generic(op: ir.Operation, parameters: Parameters) -> Outcome:
    maps = [ir.AffineMapAttr(a).value for a in op.attributes["indexing_maps"]]
    if any("reduction" in str(kind) for kind in op.attributes["iterator_types"]):
        return None
    yielded = op.regions[0].blocks[0].operations[-1].operands[0]
    iteration = _iteration_domain(maps[-1], _shape(op.results[0]))
    if iteration is None:
        return None
    if isinstance(yielded.owner, ir.Block):
        number = ir.BlockArgument(yielded).arg_number
        if number == len(op.operands) - 1:
            return None  # yields what the output held before
        reads = from_affine(maps[number], iteration.source)
        return _single(op.operands[number], compose(iteration.index_map, reads))
    if yielded.owner.operation.name == "tensor.extract":
        return _match_gather(op, yielded.owner.operation, iteration, parameters)
    return None


@dataclass(frozen=True)
class _Iteration:
    """The loops of an elementwise generic: result index -> iteration index."""

    index_map: IndexMap
    source: Shape


def _iteration_domain(output_map: ir.AffineMap, shape: Shape) -> _Iteration | None:
    writes = from_affine(output_map, (2,) * output_map.n_dims)  # sizes yet unknown
    if not output_map.is_permutation:
        return None
    axes = [expr.terms[0][0].index for expr in writes.exprs]  # type: ignore[union-attr]
    sizes = tuple(shape[axes.index(axis)] for axis in range(len(axes)))
    to_iteration = transpose(sizes, axes)
    return _Iteration(to_iteration, sizes)


def _match_gather(
    op: ir.Operation, extract: ir.Operation, iteration: _Iteration, parameters: Parameters
) -> Outcome:
    source, domain = extract.operands[0], iteration.source
    if not _is_static(source):
        return Refusal("it gathers from a tensor whose shape is not static")
    tables = [body_value(op, i, domain, parameters) for i in list(extract.operands)[1:]]
    if any(t is None for t in tables):
        return Refusal("it gathers at indices that are known at run time only")
    known = [np.broadcast_to(t, domain).astype(np.int64) for t in tables if t is not None]
    if not _inside(known, _shape(source)):
        return Refusal("it gathers at indices outside the source")
    if (whole := extract_map(known, domain)) is not None:
        return _single(source, compose(iteration.index_map, whole))
    return _piecewise(source, known, iteration) or Refusal(
        f"its index table is not quasi-affine in at most {MAX_PIECES} pieces"
    )


def _inside(tables: list[np.ndarray], extents: Shape) -> bool:
    return all(((t >= 0) & (t < n)).all() for t, n in zip(tables, extents, strict=True))


def _piecewise(
    source: ir.Value, tables: list[np.ndarray], iteration: _Iteration
) -> Movement | None:
    """A table cut along one axis into runs that are quasi-affine each."""
    domain = iteration.source
    for axis, n in enumerate(domain):
        lines = [np.moveaxis(t, axis, 0).reshape(n, -1)[:, 0] for t in tables]
        cuts = sorted({low for line in lines for low, _ in runs(line)} | {n})
        if not 2 < len(cuts) <= MAX_PIECES + 1:
            continue
        pieces = [
            _slab(source, tables, iteration, axis, low, high) for low, high in pairwise(cuts)
        ]
        if all(p is not None for p in pieces):
            return Movement(tuple(p for p in pieces if p is not None))
    return None


def _slab(
    source: ir.Value,
    tables: list[np.ndarray],
    iteration: _Iteration,
    axis: int,
    low: int,
    high: int,
) -> Piece | None:
    domain = iteration.source
    slab = (*domain[:axis], high - low, *domain[axis + 1 :])
    fitted = extract_map([np.take(t, range(low, high), axis) for t in tables], slab)
    if fitted is None:
        return None
    into = list(identity(domain).exprs)
    into[axis] = ex.add([into[axis], constant(-low)], domain)
    exprs = tuple(ex.substitute(e, into, domain) for e in fitted.exprs)
    box = [(0, n) for n in domain]
    box[axis] = (low, high)
    return Piece(
        source,
        compose(iteration.index_map, IndexMap(exprs, domain)),
        compose_domain(iteration.index_map, box_domain(box, domain)),
    )


_MATCHERS: Mapping[str, Callable[[ir.Operation, Parameters], Outcome]] = {
    "tensor.expand_shape": _match_reshape,
    "tensor.collapse_shape": _match_reshape,
    "tensor.reshape": _match_reshape,
    "tensor.extract_slice": _match_extract_slice,
    "tensor.insert_slice": _match_insert_slice,
    "tensor.pad": _match_pad,
    "tensor.concat": _match_concat,
    "linalg.transpose": _match_transpose,
    "linalg.broadcast": _match_broadcast,
    "linalg.copy": _match_copy,
    "linalg.pack": _match_pack,
    "linalg.unpack": _match_unpack,
    "linalg.generic": _match_generic,
}
