"""Recognize data movements: the pure half of raising views.

``movement`` says what an operation moves as pieces with index maps, or why it is not
seen as a movement. Nothing is rewritten here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch_mlir import ir

from smartmem.errors import SmartMemError, UnsupportedError
from smartmem.index_map import (
    Domain,
    IndexMap,
    Shape,
    broadcast,
    compose,
    constant,
    extract_slice,
    identity,
    reshape,
    transpose,
)
from smartmem.index_map import expr as ex
from smartmem.mlir.memo import remembered
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import (
    Movement,
    Outcome,
    Piece,
    Refusal,
    is_static,
    shape_of,
    whole,
)
from smartmem.passes.analysis.raising.generic_movements import match_generic


def movement(op: ir.Operation, parameters: Parameters) -> Outcome:
    """What ``op`` moves; a refusal if it moves data in a way not expressed here.

    None for every operation that computes.
    """
    matcher = _MATCHERS.get(op.name)
    if matcher is None or len(op.results) != 1:
        return None
    tensors = [*map(_static_source, op.operands), op.results[0]]
    if not all(is_static(v) for v in tensors if isinstance(v.type, ir.ShapedType)):
        return Refusal("its shape is not static")
    try:
        return matcher(op, parameters)
    except SmartMemError as error:
        return Refusal(str(error))


def _static_source(value: ir.Value) -> ir.Value:
    """What a ``tensor.cast`` that only forgets sizes was given; else ``value``."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != "tensor.cast":
        return value
    source = owner.operands[0]
    return source if is_static(source) else value


@remembered
def _values(attribute: ir.Attribute) -> tuple[int, ...]:
    return tuple(ir.DenseI64ArrayAttr(attribute))


def _integers(op: ir.Operation, name: str) -> list[int]:
    """The values of an attribute such as ``static_offsets``.

    Raises:
        UnsupportedError: one of them is an operand instead.
    """
    values = list(_values(op.attributes[name]))
    if ir.ShapedType.get_dynamic_size() in values:
        raise UnsupportedError("where it reads or writes is known at run time only")
    return values


def _match_reshape(op: ir.Operation, parameters: Parameters) -> Outcome:
    source = op.operands[0]
    return whole(source, reshape(shape_of(source), shape_of(op.results[0])))


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
    return whole(op.operands[0], compose(reshape(sizes, shape_of(op.results[0])), box))


def _match_transpose(op: ir.Operation, parameters: Parameters) -> Outcome:
    permutation = _integers(op, "permutation")
    return whole(op.operands[0], transpose(shape_of(op.operands[0]), permutation))


def _match_broadcast(op: ir.Operation, parameters: Parameters) -> Outcome:
    shape, added = shape_of(op.results[0]), _integers(op, "dimensions")
    kept = [axis for axis in range(len(shape)) if axis not in added]
    return whole(op.operands[0], broadcast(kept, shape))


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
    shape, sizes = shape_of(op.results[0]), tuple(_integers(op, "static_sizes"))
    offsets, strides = _integers(op, "static_offsets"), _integers(op, "static_strides")
    indices, domain = _strided_box(shape, offsets, sizes, strides)
    kept = _kept_dims(sizes, shape_of(source))
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
    source, shape = op.operands[0], shape_of(op.results[0])
    low = _integers(op, "static_low")
    fill = op.regions[0].blocks[0].operations[-1].operands[0]
    if isinstance(fill.owner, ir.Block):
        return Refusal("the padding value depends on the index")
    if fill.owner.operation.name == "arith.constant":
        fill = fill.owner.operation.attributes["value"]
    elif fill.owner.operation.parent.name == "tensor.pad":
        return Refusal("the padding value is computed in the padding's region")
    sizes = shape_of(source)
    indices, domain = _strided_box(shape, low, sizes, [1] * len(shape))
    piece = Piece(source, IndexMap(tuple(indices), shape), domain)
    return Movement((piece,), fill) if domain.constraints else Movement((piece,))


def _match_concat(op: ir.Operation, parameters: Parameters) -> Outcome:
    axis = int(ir.IntegerAttr(op.attributes["dim"]).value)
    shape, offset, pieces = shape_of(op.results[0]), 0, []
    for source in map(_static_source, op.operands):
        sizes, offsets = shape_of(source), [0] * len(shape)
        offsets[axis] = offset
        indices, domain = _strided_box(shape, offsets, sizes, [1] * len(shape))
        pieces.append(Piece(source, IndexMap(tuple(indices), shape), domain))
        offset += sizes[axis]
    return Movement(tuple(pieces))


def _match_pack(op: ir.Operation, parameters: Parameters) -> Outcome:
    source, result = op.operands[0], op.results[0]
    shape, extents = shape_of(result), shape_of(source)
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
    source, shape = op.operands[0], shape_of(op.results[0])
    positions, tiles = _integers(op, "inner_dims_pos"), _integers(op, "static_inner_tiles")
    outer = _integers(op, "outer_dims_perm") or list(range(len(shape)))
    tile, unit = dict(zip(positions, tiles, strict=True)), identity(shape).exprs
    indices = [ex.floordiv(unit[axis], tile.get(axis, 1), shape) for axis in outer]
    indices += [ex.mod(unit[axis], tile[axis], shape) for axis in positions]
    return whole(source, IndexMap(tuple(indices), shape))


def _match_copy(op: ir.Operation, parameters: Parameters) -> Outcome:
    return whole(op.operands[0], identity(shape_of(op.results[0])))


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
    "linalg.generic": match_generic,
}
