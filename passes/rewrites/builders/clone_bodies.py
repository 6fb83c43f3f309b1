"""Clone operations, and the bodies of linalg operations, for other operands.

Each clone is made at the current insertion point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch_mlir import ir

Values = dict[ir.Value, ir.Value]
"""What stands for a value where operations are cloned to."""


def clone_with(op: ir.Operation, operands: Sequence[ir.Value]) -> ir.Operation:
    """A clone of ``op`` that reads ``operands``."""
    clone = op.clone()
    for number, operand in enumerate(operands):
        clone.operands[number] = operand
    return clone


def clone_op(op: ir.Operation, values: Values) -> ir.Operation:
    """A clone of ``op`` that reads what ``values`` has for its operands, where it has it.

    Its results join ``values``.
    """
    clone = clone_with(op, [values.get(v, v) for v in op.operands])
    values |= dict(zip(op.results, clone.results, strict=True))
    return clone


def clone_body(source: ir.Operation, target: ir.Operation) -> None:
    """Gives ``target``, a generic without one, the body of ``source``."""
    old = source.regions[0].blocks[0]
    new = target.regions[0].blocks.append(*[a.type for a in old.arguments])
    values: Values = dict(zip(old.arguments, new.arguments, strict=True))
    with ir.InsertionPoint(new):
        for op in old.operations:
            clone_op(op.operation, values)


def inline_body(
    op: ir.Operation,
    elements: Sequence[ir.Value],
    index: Callable[[int], ir.Value] | None = None,
) -> ir.Value:
    """The value that the body of ``op`` yields for these elements.

    Args:
        elements: of the inputs; of the output, too, if the body reads it.
        index: the value of a loop's index; None: the body reads none.
    """
    block = op.regions[0].blocks[0]
    values: Values = dict(zip(block.arguments, elements, strict=False))
    *inner, end = [o.operation for o in block.operations]
    for old in inner:
        if index is not None and old.name == "linalg.index":
            values[old.results[0]] = index(ir.IntegerAttr(old.attributes["dim"]).value)
        else:
            clone_op(old, values)
    return values.get(end.operands[0], end.operands[0])
