"""Parts of a model as modules of their own, to measure them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.base import operations

_CONSTANT_ELEMENTS = 64  # constants of more are arguments of the module
_EXTRACT = "tensor.extract"
_STRIDE = 7919  # a prime: made-up indices spread over a table whatever its size


@dataclass(frozen=True, eq=False)
class Alone:
    """A part of a model in a module of its own.

    Attributes:
        module: its function takes what the part captures and returns its last result.
        operations: the part's, in the order in which they were given.
    """

    module: ir.Module
    operations: tuple[ir.Operation, ...]


def alone(part: Sequence[ir.Operation]) -> Alone:
    """A module with copies of these operations, which are in program order."""
    arguments = captured(part)
    results = [r.type for r in part[-1].results]
    with part[-1].context, ir.Location.unknown():
        module = ir.Module.create()
        with ir.InsertionPoint(module.body):
            function = ir.Operation.create(
                "func.func",
                attributes={
                    "sym_name": ir.StringAttr.get("main"),
                    "function_type": ir.TypeAttr.get(
                        ir.FunctionType.get([v.type for v in arguments], results)
                    ),
                },
                regions=1,
            )
        block = function.regions[0].blocks.append(*(v.type for v in arguments))
        with ir.InsertionPoint(block):
            clones = _clones(part, dict(zip(arguments, block.arguments, strict=True)))
            ir.Operation.create("func.return", [], list(clones[-1].results))
    return Alone(module, tuple(clones))


def captured(part: Sequence[ir.Operation]) -> list[ir.Value]:
    """What the part reads from outside, without what is copied or made up."""
    return [v for v in _read_from_outside(part) if not _is_copied(v) and not is_index(v)]


def constants(part: Sequence[ir.Operation]) -> tuple[int, ...]:
    """Which of what the part captures, by number, are constants."""
    owners = [value.owner for value in captured(part)]
    return tuple(
        number
        for number, owner in enumerate(owners)
        if not isinstance(owner, ir.Block) and owner.name == "arith.constant"
    )


def indices(part: Sequence[ir.Operation]) -> list[ir.Value]:
    """The tensors of indices that the part reads from outside: they are made up."""
    return [v for v in _read_from_outside(part) if not _is_copied(v) and is_index(v)]


def is_float(value: ir.Value) -> bool:
    """Whether ``value`` is a tensor of floats: numbers that can be made up."""
    type_ = value.type
    tensor = isinstance(type_, ir.RankedTensorType)
    return tensor and isinstance(type_.element_type, ir.FloatType)


def is_index(value: ir.Value) -> bool:
    """Whether ``value`` is a tensor of integers that are wide enough to be indices."""
    type_ = value.type
    return isinstance(type_, ir.RankedTensorType) and str(type_.element_type) in ("i32", "i64")


def least_extent(part: Sequence[ir.Operation]) -> int | None:
    """The least extent of a table that the part looks elements up in; None: of none."""
    tables = [op.operands[0] for op in _inside(part) if op.name == _EXTRACT]
    return min((extent for table in tables for extent in shape_of(table)), default=None)


def _inside(part: Iterable[ir.Operation]) -> list[ir.Operation]:
    return [inner for op in part for inner in operations(op)]


def _read_from_outside(part: Sequence[ir.Operation]) -> list[ir.Value]:
    inside = _inside(part)
    made = {result for op in inside for result in op.results}
    made |= {a for op in inside for region in op.regions for b in region for a in b.arguments}
    return list(dict.fromkeys(v for op in inside for v in op.operands if v not in made))


def _is_copied(value: ir.Value) -> bool:
    """Whether ``value`` is a constant that belongs to the part: a scalar or a few."""
    if isinstance(value.owner, ir.Block) or value.owner.name != "arith.constant":
        return False
    if not isinstance(value.type, ir.RankedTensorType):
        return True
    return math.prod(shape_of(value)) <= _CONSTANT_ELEMENTS


def _clones(
    part: Sequence[ir.Operation], values: dict[ir.Value, ir.Value]
) -> list[ir.Operation]:
    """The part at the current insertion point, reading ``values`` instead of their keys."""
    bound = least_extent(part) or 1
    for value in _read_from_outside(part):
        if value in values:
            continue
        if _is_copied(value):
            values[value] = value.owner.operation.clone().results[0]
        else:
            values[value] = _made_up(value, bound)
    clones = []
    for op in part:
        clone = op.clone()
        for inner in operations(clone):
            for number, value in enumerate(inner.operands):
                if value in values:
                    inner.operands[number] = values[value]
        values |= dict(zip(op.results, clone.results, strict=True))
        clones.append(clone)
    return clones


def _made_up(value: ir.Value, bound: int) -> ir.Value:
    """A constant of indices below ``bound`` in the place of ``value``."""
    type_ = ir.RankedTensorType(value.type)
    places = np.arange(math.prod(type_.shape), dtype=np.int64) * _STRIDE % bound
    width = np.int32 if str(type_.element_type) == "i32" else np.int64
    array = places.astype(width).reshape(type_.shape)
    attribute = ir.DenseElementsAttr.get(array, type=type_)
    return ir.Operation.create("arith.constant", [type_], [], {"value": attribute}).results[0]
