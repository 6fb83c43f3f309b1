"""``func``, ``scf``, ``cf`` and ``affine``: calls, loops, branches and index arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch_mlir import ir

from smartmem.errors import InterpreterError, UnsupportedError
from smartmem.interpreter.accesses import access_of
from smartmem.interpreter.attributes import numbers
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluates
from smartmem.interpreter.tensor import _insert_slice
from smartmem.interpreter.values import Array


@evaluates("func.call", "util.call")
def _call(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    name = ir.FlatSymbolRefAttr(op.attributes["callee"]).value
    function = function_named(frame.module, name)
    callee = Frame(frame.parameters, frame.module)
    return callee.run(function.regions[0].blocks[0], operands, frees=True)


def function_named(module: ir.Operation, name: str) -> ir.Operation:
    """The function of a symbol that has a body.

    Raises:
        UnsupportedError: there is none.
    """
    for op in module.regions[0].blocks[0].operations:
        attributes = op.operation.attributes
        named = "sym_name" in attributes and ir.StringAttr(attributes["sym_name"]).value == name
        if named and len(op.operation.regions[0].blocks):
            return op.operation
    raise UnsupportedError(f"the interpreter finds no body of function @{name}")


@evaluates("scf.for")
def _for(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    lower, upper, step = (_one(op, operand) for operand in operands[:3])
    values = list(operands[3:])
    for number in range(lower, upper, step):
        values = frame.inner().run(op.regions[0].blocks[0], [np.asarray(number), *values])
    return values


@evaluates("scf.while")
def _while(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    before, after = (region.blocks[0] for region in op.regions)
    values = list(operands)
    while True:
        condition, *values = frame.inner().run(before, values)
        if not _one(op, condition):
            return values
        values = frame.inner().run(after, values)


@evaluates("scf.if")
def _if(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    condition = operands[0]
    if condition.size == 1:
        return _branch(op, 0 if condition.reshape(())[()] else 1, frame.inner())
    then, otherwise = (_branch(op, n, frame.inner(is_masked=True)) for n in (0, 1))
    return [np.where(condition, a, b) for a, b in zip(then, otherwise, strict=True)]


def _branch(op: ir.Operation, number: int, frame: Frame) -> list[Array]:
    blocks = list(op.regions[number].blocks)
    return frame.run(blocks[0], []) if blocks else []


@evaluates("scf.forall")
def _forall(op: ir.Operation, operands: Sequence[Array], frame: Frame) -> list[Array]:
    dynamic = iter(operands)
    names = ("staticLowerBound", "staticUpperBound", "staticStep")
    lower, upper, step = (numbers(op, name, dynamic) for name in names)
    results = [np.array(array) for array in dynamic]
    block = op.regions[0].blocks[0]
    spans = [range(*bounds) for bounds in zip(lower, upper, step, strict=True)]
    for index in np.ndindex(*map(len, spans)):
        inner = frame.inner()
        at = [np.asarray(span[i]) for span, i in zip(spans, index, strict=True)]
        inner.run(block, [*at, *results], skipped={len(block.operations) - 1})
        results = _inserted(block, results, inner)
    return results


def _inserted(block: ir.Block, results: list[Array], frame: Frame) -> list[Array]:
    """The results, once the block's ``scf.forall.in_parallel`` has written to them."""
    terminator = block.operations[len(block.operations) - 1].operation
    outputs = [*block.arguments][-len(results) :]
    results = list(results)
    for insertion in terminator.regions[0].blocks[0].operations:
        op = insertion.operation
        number = outputs.index(op.operands[1])
        operands = [frame[value] for value in op.operands]
        operands[1] = results[number]
        (results[number],) = _insert_slice(op, operands, frame)
    return results


def _one(op: ir.Operation, array: Array) -> int:
    if array.size != 1:
        raise UnsupportedError(
            f"the interpreter runs {op.name} inside of a linalg body only where all iterations "
            f"agree on its bounds, at {op.location}"
        )
    return int(array.reshape(())[()])


@evaluates("cf.assert")
def _assert(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    if not np.all(operands[0]):
        raise InterpreterError(f"the assertion {op.attributes['msg']} does not hold")
    return []


@evaluates("affine.apply", "affine.min", "affine.max")
def _affine(op: ir.Operation, operands: Sequence[Array], _: Frame) -> list[Array]:
    access = access_of(ir.AffineMapAttr(op.attributes["map"]).value)
    found = access.indices(operands[: access.n_dims], operands[access.n_dims :])
    if op.name == "affine.apply":
        return [np.asarray(found[0])]
    choose = np.minimum if op.name == "affine.min" else np.maximum
    result = np.asarray(found[0])
    for other in found[1:]:
        result = choose(result, other)
    return [np.asarray(result)]
