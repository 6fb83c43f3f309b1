"""What a data movement is: pieces of sources with index maps, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import (
    Domain,
    IndexMap,
    Shape,
    digit_form,
    from_affine,
    is_reshape,
    layout_of,
)

EVERYWHERE = Domain(())


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


def is_static(value: ir.Value) -> bool:
    """Whether ``value`` is a ranked tensor of static shape."""
    type_ = value.type
    return isinstance(type_, ir.RankedTensorType) and type_.has_static_shape


def shape_of(value: ir.Value) -> Shape:
    """The static shape of a ranked tensor."""
    return tuple(ir.RankedTensorType(value.type).shape)


def bits_of(type_: ir.Type) -> int:
    """Bits of a scalar type; an index counts as 64."""
    return type_.width if isinstance(type_, ir.IntegerType | ir.FloatType) else 64


def long_dims(shape: Shape) -> Shape:
    """The shape without dims of size 1, which no loop runs along."""
    return tuple(n for n in shape if n > 1)


def whole(source: ir.Value, index_map: IndexMap) -> Movement:
    """The movement that reads one source everywhere."""
    return Movement((Piece(source, index_map),))


def is_view(value: ir.Value) -> bool:
    """Whether a ``smartmem.view`` makes ``value``."""
    return isinstance(value.owner, ViewOp)


def before_views(value: ir.Value) -> ir.Value:
    """What ``value`` is made of by views, paddings among them."""
    while is_view(value):
        value = value.owner.operands[0]
    return value


def view_map(view: ir.Operation | ir.OpView) -> IndexMap:
    """The index map of a ``smartmem.view``: result index -> source index."""
    map_ = ir.AffineMapAttr(view.attributes["map"]).value
    return from_affine(map_, shape_of(view.results[0]))


def domain_of(attribute: ir.Attribute | None, shape: Shape) -> Domain:
    """Where a ``smartmem.view`` or piece of a concat holds in a result of ``shape``."""
    if attribute is None:
        return EVERYWHERE
    return Domain(from_affine(ir.AffineMapAttr(attribute).value, shape).exprs)


def is_free(view: ir.Operation) -> bool:
    """Whether a view keeps the row-major order of all elements: it costs nothing."""
    whole = "domain" not in view.attributes
    return whole and is_reshape(view_map(view), shape_of(view.operands[0]))


def is_in_order(index_map: IndexMap, source: Shape) -> bool:
    """Whether a view reads its source, or a slice of it, in the order in which it lies."""
    if is_reshape(index_map, source):
        return True
    form = digit_form(index_map)
    layout = None if form is None else layout_of(form, source)
    if form is None or layout is None:
        return False
    return layout.source_digits == list(range(len(form.digit_shape)))
