"""Keep what a model reads and writes at computed places inside its tensors.

    %i = arith.index_cast %in : i64 to index
    tensor.extract %table[%i]
      ->
    %low = arith.maxsi %i, 0
    %at = arith.minsi %low, rows - 1
    tensor.extract %table[%at]

Kernels cannot stop a program, so an index outside takes the nearest element. It is clamped
*behind* the cast, within the kernel that reads: passes may take the lower half of a long
index, which then gives some other element of the same tensor, and never foreign memory.

Places that lie inside whatever the input stay as they are; constants that do not are errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith, linalg, tensor

from smartmem.errors import InvalidInputError
from smartmem.frontend.lowering import walk, where
from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.ir.movement import Refusal, shape_of
from smartmem.passes.analysis.scalars.bodies import body_of
from smartmem.passes.analysis.scalars.constant_values import (
    Known,
    constant_value,
    known_value,
)
from smartmem.passes.analysis.scalars.expressions import reachable

Range = tuple[int, int]

_EXTRACT, _INSERT, _SCATTER = "tensor.extract", "tensor.insert", "tm_tensor.scatter"
_SLICES = ("tensor.extract_slice", "tensor.insert_slice")


def bound_indices(module: ir.Module, parameters: Parameters) -> None:
    """Applies the rewrite everywhere in ``module``.

    Raises:
        InvalidInputError: a constant index lies outside its tensor.
    """
    known: Known = {}  # bounds change no constant
    for operation in walk(module):
        if operation.name in (_EXTRACT, _INSERT):
            _bound_elements(operation, parameters, known)
        elif operation.name in _SLICES:
            _bound_offsets(operation)
        elif operation.name == _SCATTER:
            _bound_scatter(operation, parameters)


def _bound_elements(operation: ir.Operation, parameters: Parameters, known: Known) -> None:
    target = operation.operands[0 if operation.name == _EXTRACT else 1]
    extents = shape_of(target)
    _check_elements(operation, extents)
    first = len(operation.operands) - len(extents)
    open_dims = [
        d
        for d, extent in enumerate(extents)
        if not _is_inside(interval(operation.operands[first + d]), extent)
    ]
    tables = _tables(operation, parameters, known) if open_dims else None
    for d in open_dims:
        table = tables[d] if tables is not None else None
        if table is not None:
            _check_inside(table, extents[d], operation)
        else:
            _clamp(operation, first + d, extents[d] - 1)


def _check_elements(operation: ir.Operation, extents: Sequence[int]) -> None:
    """No index is inside of a tensor without elements, unless it is read not once."""
    if 0 in extents and not any(0 in shape_of(value) for value in operation.parent.operands):
        raise InvalidInputError(
            f"an element of a tensor without elements is read{where(operation.location)}; "
            "mend the shapes in the model"
        )


def _is_inside(range: Range | None, extent: int) -> bool:
    return range is not None and range[0] >= 0 and range[1] < extent


def _tables(
    extract: ir.Operation, parameters: Parameters, known: Known
) -> list[Array | None] | None:
    """What is known of each index of ``extract`` in all iterations of its kernel."""
    parent = extract.parent
    if extract.name != _EXTRACT or parent is None or parent.name != "linalg.generic":
        return None
    body = body_of(parent.operation, parameters)
    if isinstance(body, Refusal):
        return None
    nodes = [
        n for n in reachable([body.root]) if n.template is not None and n.template == extract
    ]
    return [known_value(body, index, known) for index in nodes[0].args[1:]] if nodes else None


def _check_inside(table: Array, extent: int, operation: ir.Operation) -> None:
    if not table.size or (table.min() >= 0 and table.max() < extent):
        return
    wrong = int(table.min() if table.min() < 0 else table.max())
    raise InvalidInputError(
        f"the constant index {wrong}{where(operation.location)} lies outside of a dimension "
        f"of {extent} elements; mend the indices in the model"
    )


def _clamp(operation: ir.Operation, number: int, high: int) -> None:
    with ir.InsertionPoint(operation), operation.location:
        zero, last = (_index(bound) for bound in (0, high))
        low = arith.maxsi(operation.operands[number], zero)
        operation.operands[number] = arith.minsi(low, last)


def _index(number: int) -> ir.Value:
    return arith.constant(ir.IndexType.get(), number)


def _bound_offsets(operation: ir.Operation) -> None:
    """Moves a slice whose offsets are computed back into the tensor, as StableHLO does."""
    offsets, sizes, strides = (
        list(ir.DenseI64ArrayAttr(operation.attributes[f"static_{name}"]))
        for name in ("offsets", "sizes", "strides")
    )
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    inserts = operation.name == "tensor.insert_slice"
    extents, number = shape_of(operation.operands[int(inserts)]), 1 + int(inserts)
    for offset, size, stride, extent in zip(offsets, sizes, strides, extents, strict=True):
        if offset != dynamic:
            continue
        high = extent - (size - 1) * stride - 1
        if not _is_inside(interval(operation.operands[number]), high + 1):
            _clamp(operation, number, high)
        number += 1


def _bound_scatter(operation: ir.Operation, parameters: Parameters) -> None:
    """Bounds the column of indices for each dimension that is scattered along."""
    indices = operation.operands[1]
    highs = _last_starts(operation)
    table = constant_value(indices, parameters)
    if table is not None:
        for column, high in enumerate(highs):
            _check_inside(table[..., column], int(high) + 1, operation)
        return
    with ir.InsertionPoint(operation), operation.location:
        operation.operands[1] = _clamped(indices, highs)


def _last_starts(scatter: ir.Operation) -> Array:
    """For each column of indices, the last one at which an update lies inside."""
    updates, indices, target = (shape_of(value) for value in scatter.operands)
    dims = list(ir.DenseI64ArrayAttr(scatter.attributes["dimension_map"]))
    window = updates[len(indices) - 1 :]
    sizes = [window[d] if len(window) == len(target) else 1 for d in dims]
    return np.array([target[d] - size for d, size in zip(dims, sizes, strict=True)])


def _clamped(indices: ir.Value, highs: Array) -> ir.Value:
    type_ = ir.RankedTensorType(indices.type)
    element, rank = type_.element_type, type_.rank
    dtype = np.dtype(f"i{ir.IntegerType(element).width // 8}")
    # A type that holds no index past the last one needs no bound above.
    bounds = np.minimum(highs, np.iinfo(dtype).max).astype(dtype)
    last = arith.constant(ir.RankedTensorType.get(bounds.shape, element), _dense(bounds))
    every, column = ir.AffineMap.get_identity(rank), ir.AffineMap.get_minor_identity(rank, 1)
    generic = linalg.GenericOp(
        [type_],
        [indices, last],
        [tensor.empty(type_.shape, element)],
        [every, column, every],
        ["parallel"] * rank,
    )
    block = generic.regions[0].blocks.append(element, element, element)
    with ir.InsertionPoint(block):
        low = arith.maxsi(block.arguments[0], arith.constant(element, 0))
        linalg.yield_([arith.minsi(low, block.arguments[1])])
    return generic.results[0]


def _dense(array: Array) -> ir.Attribute:
    return ir.DenseElementsAttr.get(array)


def interval(value: ir.Value) -> Range | None:
    """The least and the greatest number that an integer can be, if the code tells.

    Follows arithmetic of constants, of loop indices and of what is clamped.
    """
    if isinstance(value.owner, ir.Block):
        return None
    operation = value.owner.operation
    if operation.name == "arith.constant":
        return _number(operation.attributes["value"])
    if operation.name == "linalg.index":
        return _loop_range(operation)
    if operation.name in _ONE_BOUND:
        return _bounded(operation)
    rule = _RULES.get(operation.name)
    if rule is None:
        return None
    ranges = [interval(operand) for operand in operation.operands]
    known = [range for range in ranges if range is not None]
    return rule(*known) if len(known) == len(ranges) else None


def _number(attribute: ir.Attribute) -> Range | None:
    if not isinstance(attribute.maybe_downcast(), ir.IntegerAttr):
        return None
    number = ir.IntegerAttr(attribute).value
    return number, number


def _loop_range(index: ir.Operation) -> Range | None:
    generic = index.parent
    if generic is None or generic.name != "linalg.generic":
        return None
    loop = ir.IntegerAttr(index.attributes["dim"]).value
    maps = ir.ArrayAttr(generic.attributes["indexing_maps"])
    for operand, attribute in zip(generic.operands, maps, strict=True):
        for size, expr in zip(
            shape_of(operand), ir.AffineMapAttr(attribute).value.results, strict=True
        ):
            if isinstance(expr, ir.AffineDimExpr) and expr.position == loop:
                return 0, size - 1
    return None


def _bounded(operation: ir.Operation) -> Range | None:
    """Of a maximum or minimum, of which one operand tells one side only."""
    ranges = [interval(operand) for operand in operation.operands]
    combine = max if operation.name == "arith.maxsi" else min
    known = [range for range in ranges if range is not None]
    if len(known) == len(ranges):
        return combine(r[0] for r in known), combine(r[1] for r in known)
    return _half_bounded(operation, known[0], combine) if known else None


def _half_bounded(
    operation: ir.Operation, known: Range, combine: Callable[..., int]
) -> Range | None:
    """``max(min(x, high), low)``: both bounds, though nothing is known of ``x``."""
    (other,) = (v for v in operation.operands if interval(v) is None)
    inner = None if isinstance(other.owner, ir.Block) else other.owner.operation
    if inner is None or inner.name not in _ONE_BOUND or inner.name == operation.name:
        return None
    limits = [r for r in map(interval, inner.operands) if r is not None]
    if len(limits) != 1:
        return None
    (limit,) = limits
    return min(known[0], limit[0]), max(known[1], limit[1])


def _product(a: Range, b: Range) -> Range:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _quotient(a: Range, b: Range) -> Range | None:
    if b[0] <= 0 or a[0] < 0:
        return None
    return a[0] // b[1], a[1] // b[0]


def _remainder(a: Range, b: Range) -> Range | None:
    if b[0] <= 0:
        return None
    return (0 if a[0] >= 0 else 1 - b[1]), min(max(a[1], 0), b[1] - 1)


_ONE_BOUND = ("arith.maxsi", "arith.minsi")
_RULES: Mapping[str, Callable[..., Range | None]] = {
    "arith.addi": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "arith.subi": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "arith.muli": _product,
    "arith.divsi": _quotient,
    "arith.divui": _quotient,
    "arith.floordivsi": _quotient,
    "arith.remsi": _remainder,
    "arith.remui": lambda a, b: _remainder(a, b) if a[0] >= 0 else None,
    "arith.index_cast": lambda a: a,
    "arith.extsi": lambda a: a,
}
