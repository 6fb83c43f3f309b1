"""Build tensors of physical shape from tensors that carry a layout."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.dialect import (
    RelayoutOp,
    layout,
    layout_of,
    physical_layout_of,
    primitives_of,
    relayout,
    view,
)
from smartmem.index_map import IndexMap, compose
from smartmem.index_map.affine import to_affine_map
from smartmem.index_map.primitives import Pad, Primitive
from smartmem.passes.analysis.ir.movement import is_view, view_map
from smartmem.passes.analysis.operators.window_layouts import WindowRead
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.read_as import read_as
from smartmem.passes.rewrites.loops.split_loops import view_as


def through_plain(op: ir.Operation) -> None:
    """Makes a relayout from one layout to another two: to the plain type, and from there."""
    before, after = (layout_of(v.type) for v in (op.operands[0], op.results[0]))
    if before is None or after is None:
        return
    with ir.InsertionPoint(op), op.location:
        op.operands[0] = relayout(op.operands[0], None)


def is_plain(op: ir.Operation) -> bool:
    """Whether a relayout changes nothing: there is a layout on neither side."""
    return all(layout_of(value.type) is None for value in (op.operands[0], op.results[0]))


def one_for_each_use(view: ir.Operation) -> list[ir.Operation]:
    """``view``, and clones of it for whoever reads it more than once."""
    found = [view]
    readers: list[ir.Operation] = []
    for use in list(view.results[0].uses):
        reader, number = use.owner.operation, use.operand_number
        if reader in readers:
            with ir.InsertionPoint(view):
                clone = view.clone()
            reader.operands[number] = clone.results[0]
            found.append(clone)
        readers.append(reader)
    return found


def carrying_arguments(function: ir.Operation) -> list[ir.Value]:
    """The arguments of a function with a body that carry a layout."""
    blocks = list(function.regions[0].blocks)
    arguments = list(blocks[0].arguments) if blocks else []
    tensors = [a for a in arguments if isinstance(a.type, ir.RankedTensorType)]
    return [argument for argument in tensors if layout_of(argument.type) is not None]


def update_type(function: ir.Operation) -> None:
    """Gives a function the types of its arguments and of what it returns."""
    inside = [op.operation for block in function.regions[0].blocks for op in block.operations]
    for returned in [op for op in inside if op.name == "func.return"]:
        inputs = [argument.type for argument in function.regions[0].blocks[0].arguments]
        type_ = ir.FunctionType.get(inputs, [value.type for value in returned.operands])
        function.attributes["function_type"] = ir.TypeAttr.get(type_)


def laid_out(value: ir.Value) -> ir.Value:
    """The tensor of physical shape in place of one that carries a layout.

    An argument changes its type; what a relayout makes becomes a view of its source.
    """
    physical = physical_layout_of(value.type)
    if isinstance(value.owner, ir.Block):
        with value.owner.owner.location:
            value.set_type(build.tensor_type(value, physical.shape))
        return value
    op = value.owner.operation
    assert op.name == RelayoutOp.OPERATION_NAME, "only relayouts make layouts"
    source, index_map = _through_views(op.operands[0], physical.index_map)
    with ir.InsertionPoint(op), op.location:
        if not physical.domain.constraints:
            return view_as(source, index_map)
        type_ = build.tensor_type(value, physical.shape)
        domain = to_affine_map(physical.domain.constraints, len(physical.shape), op.context)
        padded = any(isinstance(p, Pad) for p in primitives_of(value.type))
        with ir.InsertionPoint.at_block_begin(op.block):  # before the kernel that pads
            fill = build.zero(type_.element_type) if padded else None
        return view(source, index_map.to_affine(op.context), type_, domain, fill)


def _through_views(value: ir.Value, index_map: IndexMap) -> tuple[ir.Value, IndexMap]:
    """What views make ``value`` of, and how it is read through them and ``index_map``."""
    while is_view(value):
        owner = value.owner.operation
        if "domain" in owner.attributes:
            break
        index_map = compose(index_map, view_map(owner))
        value = owner.operands[0]
    return value, index_map


def write_layout(value: ir.Value, primitives: Sequence[Primitive]) -> None:
    """Lets ``value`` lie in a layout: a relayout to it, and one back for all readers."""
    op = value.owner.operation
    uses = [(use.owner, use.operand_number) for use in value.uses]
    with ir.InsertionPoint.after(op), op.location:
        plain = relayout(relayout(value, layout(primitives)), None)
    for user, number in uses:
        user.operands[number] = plain


def read_back(
    op: ir.Operation, laid: ir.Value, type_: ir.RankedTensorType
) -> list[ir.Operation] | None:
    """Replaces a relayout to the plain type by views; None where elements lie twice.

    Each view that reads it becomes one of what lies in the layout.
    """
    places = physical_layout_of(type_).places
    if places is None:
        return None
    return read_as(op, places, laid)


def read_windows(found: WindowRead, laid: ir.Value) -> None:
    """Lets the operation read the windows of ``laid``."""
    op = found.op
    loops = len(ir.ArrayAttr(op.attributes["iterator_types"]))
    maps = list(ir.ArrayAttr(op.attributes["indexing_maps"]))
    new = to_affine_map(found.exprs, loops, op.context)
    maps[found.operand] = ir.AffineMapAttr.get(new)
    op.operands[found.operand] = laid
    op.attributes["indexing_maps"] = ir.ArrayAttr.get(maps)
