"""Decide about what a lowered program asserts: kernels cannot stop a program.

An assertion that holds is dropped. One that cannot hold stands where a lowering gave up
("unimplemented: ..."): what it has written instead computes something else, so the model
is refused. What is left looks at the data of a run, such as whether the indices of a
gather are in range; the program promises it, and the check is dropped.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.errors import UnsupportedError
from smartmem.frontend.operations import walk, where
from smartmem.passes.analysis.scalars.constant_values import sources

_GAVE_UP = ("unimplemented", "not implemented", "unsupported")


def drop_assertions(module: ir.Module) -> bool:
    """Erases the assertions of a canonical ``module``; says whether there were any.

    Raises:
        UnsupportedError: one cannot hold, or is not about the data of a run; the message
            has its text and the node that it stands for.
    """
    found = [operation for operation in walk(module) if operation.name == "cf.assert"]
    for operation in found:
        _check(operation)
        operation.erase()
    return bool(found)


def _check(operation: ir.Operation) -> None:
    condition = operation.operands[0]
    text = ir.StringAttr(operation.attributes["msg"]).value
    if _is_true(condition):
        return
    gave_up = text.lower().startswith(_GAVE_UP) and not _is_of_an_element(operation)
    if gave_up or not _depends_on_data(condition):
        raise UnsupportedError(
            f"an operation{where(operation.location)} cannot be lowered to linalg: "
            f"{text.rstrip('.')}; replace it in the model"
        )


def _is_of_an_element(operation: ir.Operation) -> bool:
    """Whether it is in a body that runs for each element, as for a reciprocal of zero."""
    return operation.parent.name == "linalg.generic"


def _is_true(condition: ir.Value) -> bool:
    owner = condition.owner
    if isinstance(owner, ir.Block) or owner.name != "arith.constant":
        return False
    value = ir.IntegerAttr(owner.attributes["value"].maybe_downcast()).value
    return bool(value)


def _depends_on_data(condition: ir.Value) -> bool:
    """Whether an argument, of the function or of a body, reaches ``condition``."""
    return any(isinstance(value.owner, ir.Block) for value in sources(condition))
