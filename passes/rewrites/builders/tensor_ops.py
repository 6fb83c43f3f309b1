"""Builders of upstream tensor and linalg operations at the current insertion point.

Each returns its operand unchanged where there is nothing to do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch_mlir import ir
from torch_mlir.dialects import linalg, tensor

from smartmem.index_map import Shape, reassociation
from smartmem.index_map.affine import projection
from smartmem.passes.analysis.ir.movement import shape_of

Box = list[tuple[int, int]]


def tensor_type(like: ir.Value, shape: Sequence[int]) -> ir.RankedTensorType:
    """The tensor type of ``shape`` with the element type of ``like``."""
    return ir.RankedTensorType.get(list(shape), like.type.element_type)


def empty(type_: ir.RankedTensorType) -> ir.Value:
    """A ``tensor.empty``."""
    return tensor.EmptyOp(list(type_.shape), type_.element_type).result


def reshape(value: ir.Value, shape: Shape) -> ir.Value:
    """Row-major reshape by collapse_shape, expand_shape, or both."""
    if shape_of(value) == shape:
        return value
    groups = reassociation(shape_of(value), shape)
    if any(len(old) > 1 for old, _ in groups) or not groups:
        value = _collapse(value, [old for old, _ in groups])
    if any(len(new) > 1 for _, new in groups) or (not groups and shape):
        value = _expand(value, [new for _, new in groups], shape)
    return value


def _reassociation_attr(groups: list[list[int]]) -> ir.ArrayAttr:
    i64 = ir.IntegerType.get_signless(64)
    return ir.ArrayAttr.get(
        [ir.ArrayAttr.get([ir.IntegerAttr.get(i64, d) for d in group]) for group in groups]
    )


def _collapse(value: ir.Value, groups: list[list[int]]) -> ir.Value:
    shape = shape_of(value)
    type_ = tensor_type(value, [math.prod(shape[d] for d in group) for group in groups])
    return tensor.CollapseShapeOp(type_, value, _reassociation_attr(groups)).result


def _expand(value: ir.Value, groups: list[list[int]], shape: Shape) -> ir.Value:
    attribute = _reassociation_attr(groups)
    type_ = tensor_type(value, shape)
    return tensor.ExpandShapeOp(type_, value, attribute, [], list(shape)).result


def transpose(value: ir.Value, permutation: list[int]) -> ir.Value:
    """``linalg.transpose``: result dim k is dim ``permutation[k]``."""
    if permutation == list(range(len(permutation))):
        return value
    shape = shape_of(value)
    init = empty(tensor_type(value, [shape[p] for p in permutation]))
    if _is_boolean(value):
        loops = [permutation.index(d) for d in range(len(permutation))]
        return _copy_through(value, init, loops)
    return linalg.transpose(value, outs=[init], permutation=permutation).results[0]


def broadcast(value: ir.Value, shape: Shape, dimensions: list[int]) -> ir.Value:
    """``linalg.broadcast`` to ``shape``; ``dimensions`` are the added ones."""
    if not dimensions:
        return value
    init = empty(tensor_type(value, shape))
    if _is_boolean(value):
        return _copy_through(value, init, [d for d in range(len(shape)) if d not in dimensions])
    return linalg.broadcast(value, outs=[init], dimensions=dimensions).results[0]


def _is_boolean(value: ir.Value) -> bool:
    # iree-compile 3.13 widens i1 to i8 everywhere but inside of named operations of a region.
    return str(value.type.element_type) == "i1"


def _copy_through(value: ir.Value, init: ir.Value, loops: list[int]) -> ir.Value:
    """A generic that reads dim k of ``value`` with loop ``loops[k]``."""
    map_ = projection(len(shape_of(init)), loops)
    return elementwise([value], [map_], init, lambda elements: elements[0])


def iterators(reduces: Sequence[bool]) -> ir.ArrayAttr:
    """The iterator types of loops, of which each reduces or is parallel."""
    kinds = ["reduction" if reduction else "parallel" for reduction in reduces]
    return ir.ArrayAttr.get(
        [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in kinds]
    )


def generic(
    values: Sequence[ir.Value], maps: Sequence[ir.AffineMap], iterators: ir.ArrayAttr
) -> ir.Operation:
    """A ``linalg.generic`` without a body: inputs and the initial result, each with its map."""
    return ir.Operation.create(
        "linalg.generic",
        [values[-1].type],
        list(values),
        {
            "indexing_maps": ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps]),
            "iterator_types": iterators,
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([len(values) - 1, 1]),
        },
        regions=1,
    )


def new_body(generic: ir.Operation) -> ir.Block:
    """A new, empty body of ``generic``, with an argument for an element of each operand."""
    types = [value.type.element_type for value in generic.operands]
    return generic.regions[0].blocks.append(*types)


def elementwise(
    inputs: Sequence[ir.Value],
    maps: Sequence[ir.AffineMap],
    init: ir.Value,
    compute: Callable[[Sequence[ir.Value]], ir.Value],
) -> ir.Value:
    """A ``linalg.generic`` over the dims of ``init``.

    Args:
        inputs: what it reads, each through its map.
        maps: from the loops to each input.
        init: gives the type of the result.
        compute: builds the value of one element from those of the inputs.
    """
    rank = len(shape_of(init))
    accesses = [*maps, ir.AffineMap.get_identity(rank)]
    result = generic([*inputs, init], accesses, iterators([False] * rank))
    block = new_body(result)
    with ir.InsertionPoint(block):
        linalg.YieldOp([compute(list(block.arguments)[:-1])])
    return result.results[0]


def combine(
    operation: Callable[[ir.Value, ir.Value], ir.Value],
    value: ir.Value,
    other: ir.Value,
    dims: Sequence[int],
) -> ir.Value:
    """``operation`` of the elements of ``value`` and ``other``, which has ``dims`` of it alone."""
    rank = len(shape_of(value))
    maps = [ir.AffineMap.get_identity(rank), projection(rank, dims)]
    return elementwise([value, other], maps, empty(value.type), lambda ab: operation(*ab))


def extract_slice(
    value: ir.Value, offsets: list[int], sizes: list[int], strides: list[int]
) -> ir.Value:
    """``tensor.extract_slice`` with static offsets, sizes and strides."""
    if tuple(sizes) == shape_of(value):
        return value
    type_ = tensor_type(value, sizes)
    return tensor.ExtractSliceOp(type_, value, [], [], [], offsets, sizes, strides).result


def long_slice(
    value: ir.Value, offsets: Sequence[int], sizes: Sequence[int], strides: Sequence[int]
) -> ir.Value:
    """``tensor.extract_slice`` with static offsets, sizes and strides, without dims of size 1."""
    type_ = tensor_type(value, [n for n in sizes if n > 1])
    static = [ir.DenseI64ArrayAttr.get(list(values)) for values in (offsets, sizes, strides)]
    return tensor.ExtractSliceOp(type_, value, [], [], [], *static).result


def insert_slice(value: ir.Value, into: ir.Value, box: Box) -> ir.Value:
    """``tensor.insert_slice`` of ``value`` at the box of ``into``."""
    offsets, sizes = [low for low, _ in box], [high - low for low, high in box]
    ones = [1] * len(box)
    return tensor.InsertSliceOp(value, into, [], [], [], offsets, sizes, ones).result


def pad(value: ir.Value, box: Box, shape: Shape, fill: ir.Value) -> ir.Value:
    """``tensor.pad`` with ``fill`` so that ``value`` lies at ``box`` of ``shape``."""
    if shape_of(value) == shape:
        return value
    if math.prod(shape_of(value)) == 1:
        # iree-compile 3.13 crashes where it folds the unit dims of such a tensor.pad.
        return insert_slice(value, splat(fill, tensor_type(value, shape)), box)
    low = [a for a, _ in box]
    high = [n - b for n, (_, b) in zip(shape, box, strict=True)]
    op = tensor.PadOp(tensor_type(value, shape), value, [], [], low, high)
    index = ir.IndexType.get()
    block = op.regions[0].blocks.append(*[index] * len(shape))
    with ir.InsertionPoint(block):
        tensor.YieldOp(fill)
    return op.result


def splat(fill: ir.Value, type_: ir.RankedTensorType) -> ir.Value:
    """A tensor of ``fill`` everywhere."""
    return linalg.fill(fill, outs=[empty(type_)])


def zero(element_type: ir.Type) -> ir.Value:
    """The scalar 0 of an integer or float type."""
    is_float = isinstance(element_type, ir.FloatType)
    attribute = (
        ir.FloatAttr.get(element_type, 0.0) if is_float else ir.IntegerAttr.get(element_type, 0)
    )
    op = ir.Operation.create("arith.constant", [element_type], [], {"value": attribute})
    return op.results[0]


def concat(values: Sequence[ir.Value], axis: int, type_: ir.RankedTensorType) -> ir.Value:
    """``tensor.concat`` along ``axis``."""
    return tensor.ConcatOp(type_, axis, list(values)).result
