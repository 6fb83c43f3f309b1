"""Compose chains of movements into one movement each.

Rewrites:
  view(view(x, f), g)            ->  view(x, f o g)
  view(concat(x, y), f)          ->  concat of views of x and y, or a view of one of them
  concat(view(x), view(x)), a roll ->  view(x) with a mod
  view(constant)                 ->  constant, where the elements must be moved anyway
  view(x, f) and view(x, f)      ->  one of them, so that use counts tell the truth

  %a = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}
  %b = "smartmem.view"(%a) {map = affine_map<(d0) -> (d0 floordiv 4, d0 mod 4)>}
    ->
  %b = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0 mod 4, d0 floordiv 4)>}

Keeps two movements whose fill values differ. Runs before elimination, which then sees
each movement as one step between two computations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.index_map import (
    Domain,
    IndexMap,
    compose,
    compose_domain,
    contiguous_run,
    digit_form,
    from_affine,
    is_within,
    layout_of,
    restrict,
)
from smartmem.index_map.taking import take
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.elimination.producer_consumer import Pair, PairTable
from smartmem.passes.analysis.ir.chains import defining_op
from smartmem.passes.analysis.ir.def_use import MOVEMENTS, Reading, leaf, readers_of, reading
from smartmem.passes.analysis.ir.loops import loop_nest
from smartmem.passes.analysis.ir.movement import Piece, shape_of, view_map
from smartmem.passes.analysis.operators.classification import pair_of
from smartmem.passes.base import Pass, PassContext, outer_operations
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.movement_ops import build_movement
from smartmem.passes.rewrites.padding.pad_views import padded_view

# A folded constant may hold this many elements, or no more than its source.
FOLD_LIMIT = 1 << 16


@dataclass(frozen=True)
class ComposeViews(Pass):
    """Makes each movement one step between two computations."""

    argument = "smartmem-compose-views"
    summary = "Compose chains of movements into one movement each"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Rebuilds every movement that a computation or a return reads."""
        views = [op for op in outer_operations(module) if op.name == ViewOp.OPERATION_NAME]
        for op in context.each(views):
            _pad_last(op)
        movements = [op for op in outer_operations(module) if op.name in MOVEMENTS]
        # All readings first: rebuilding one movement must not change what others see.
        found = _readings([op for op in movements if _is_read(op)], context)
        for op in context.each(
            op for op in reversed(movements) if op in found
        ):  # readers first
            seen = found[op]
            for movement, pair in _joined(op, seen, context.pairs):
                context.remark(self.argument, movement, True, str(pair))
            piece = seen.single
            if piece is not None and _fold(op, piece, context.parameters):
                continue
            if piece is None or not _is_made_so(op, piece):
                _rebuild(op, seen)
        for op in reversed(movements):
            if not list(op.results[0].uses):
                op.erase()
        _merge_equal(module)


def _pad_last(op: ir.Operation) -> None:
    """view(pad(x)) -> pad(view(x)): what computes x can write it in the view's order."""
    inner = op.operands[0].owner
    if "domain" in op.attributes or isinstance(inner, ir.Block):
        return
    if inner.name != ViewOp.OPERATION_NAME or inner.opview.fill is None:
        return
    shape, pad = shape_of(op.results[0]), inner.opview
    if isinstance(pad.source.owner, ir.Block) or len(readers_of(pad.result)) > 1:
        return  # nothing computes it, or it would be padded for each of its readers
    if reading(op.results[0]).single is None:
        return
    held = Domain(from_affine(ir.AffineMapAttr(pad.domain).value, shape_of(pad.result)).exprs)
    through = view_map(op)
    box = compose_domain(through, held).box(shape)
    if box is None or math.prod(shape) > math.prod(shape_of(pad.result)):
        return
    index_map = restrict(compose(through, view_map(pad.operation)), box)
    if any(high <= low for low, high in box) or not is_within(index_map, shape_of(pad.source)):
        return
    with ir.InsertionPoint(op), op.location:
        padded = padded_view(pad.source, index_map, box, shape, pad.fill)
        op.results[0].replace_all_uses_with(padded)


def _readings(read: list[ir.Operation], context: PassContext) -> dict[ir.Operation, Reading]:
    """What the movements read, and those that they do not look through."""
    found: dict[ir.Operation, Reading] = {}
    known: dict[ir.Value, Reading] = {}
    for op in context.each(_popped(read)):
        kept = _kept_apart(op, context.pairs)
        found[op] = reading(op.results[0], {**known, **kept} if kept else known)
        owners = [piece.source.owner for piece in found[op].pieces]
        ends = [end.operation for end in owners if not isinstance(end, ir.Block)]
        read += [end for end in ends if end.name in MOVEMENTS and end not in found]
    return found


def _kept_apart(op: ir.Operation, pairs: PairTable) -> dict[ir.Value, Reading]:
    """What ``op`` reads of movements with which the table does not compose it."""
    found: dict[ir.Value, Reading] = {}
    for value in op.operands:
        maker = defining_op(value)
        if maker is None or maker.name not in MOVEMENTS:
            continue
        if not pair_of(maker, op, pairs).is_composed:
            found[value] = leaf(value, shape_of(value))
    return found


def _popped(pending: list[ir.Operation]) -> Iterator[ir.Operation]:
    """Takes what is pending, also what becomes so on the way."""
    while pending:
        yield pending.pop()


def _joined(
    op: ir.Operation, seen: Reading, pairs: PairTable
) -> list[tuple[ir.Operation, Pair]]:
    """The movements that ``op`` is composed with, each with its row of table 5."""
    ends = {piece.source for piece in seen.pieces}
    found: list[tuple[ir.Operation, Pair]] = []
    pending = [op]
    while pending:
        reader = pending.pop()
        for value in reader.operands:
            if isinstance(value.owner, ir.Block) or value in ends:
                continue
            if value.owner.name in MOVEMENTS:
                source = value.owner.operation
                found.append((source, pair_of(source, reader, pairs)))
                pending.append(source)
    return found


def _merge_equal(module: ir.Operation) -> None:
    """Keeps the first of the movements that read the same values in the same way.

    Upstream's cse does not: it cannot know that an operation defined in Python is pure.
    """
    first: dict[tuple[object, ...], ir.Value] = {}
    for op in (op for op in outer_operations(module) if op.name in MOVEMENTS):
        result = op.results[0]
        attributes = tuple(op.attributes.items())
        key = (op.block, op.name, tuple(op.operands), attributes, result.type)
        if key in first:
            result.replace_all_uses_with(first[key])
            op.erase()
        else:
            first[key] = result


def _is_read(op: ir.Operation) -> bool:
    return any(use.owner.name not in MOVEMENTS for use in op.results[0].uses)


def _is_made_so(op: ir.Operation, piece: Piece) -> bool:
    """Whether ``op`` is the view that would be built."""
    return (
        op.operands[0] == piece.source
        and len(op.attributes) == 1  # views with attributes of others would not be merged
        and not piece.index_map.is_identity
        and ir.AffineMapAttr.get(piece.index_map.to_affine(op.context))
        == op.attributes.get("map")
    )


def _rebuild(op: ir.Operation, seen: Reading) -> None:
    result = op.results[0]
    with ir.InsertionPoint(op), op.location:
        new = build_movement(seen.pieces, seen.fill, result.type)
    result.replace_all_uses_with(new)


def _fold(op: ir.Operation, piece: Piece, parameters: Parameters) -> bool:
    """Moves the elements of a constant now, if its readers would have to move them."""
    array = _known_value(piece.source, parameters)
    result = op.results[0]
    elements = math.prod(result.type.shape)
    if array is None or elements > max(array.size, FOLD_LIMIT) or piece.index_map.is_identity:
        return False
    if contiguous_run(piece.index_map, array.shape) == elements:
        return False  # a reshape costs nothing
    readers = [use.owner for use in result.uses if use.owner.name not in MOVEMENTS]
    repeated = elements > array.size and _repeats_evenly(piece.index_map, array)
    if repeated and all(reader.name == "linalg.generic" for reader in readers):
        return False  # they repeat a bias as they read it
    if all(_reads_through_any_permutation(reader) for reader in readers):
        return False
    with ir.InsertionPoint(op), op.location:
        taken = take(piece.index_map, array)
        value = constant_tensor("folded", taken, result.type, parameters)
    for use in list(result.uses):
        if use.owner.name not in MOVEMENTS:
            use.owner.operands[use.operand_number] = value
    return True


def _repeats_evenly(index_map: IndexMap, array: Array) -> bool:
    """Whether loops of their own repeat each element: a broadcast, reshaped or not."""
    form = digit_form(index_map)
    layout = layout_of(form, array.shape) if form is not None else None
    return layout is not None and len(layout.source_digits) < len(layout.digit_shape)


def _known_value(value: ir.Value, parameters: Parameters) -> Array | None:
    if isinstance(value.owner, ir.Block) or value.owner.name != "arith.constant":
        return None
    return parameters.value(value.owner.attributes["value"].maybe_downcast())


def _reads_through_any_permutation(op: ir.OpView) -> bool:
    """Contractions: code generation packs their weights whatever the order."""
    nest = loop_nest(op.operation)
    return nest is not None and nest.is_contraction
