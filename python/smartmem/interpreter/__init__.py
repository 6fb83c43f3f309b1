"""A reference interpreter of the IR that the passes work on, with NumPy.

It knows MLIR's operations from MLIR's documents, and nothing of the passes: what a module
computes before and after one of them can be compared (``smartmem.validation``). It takes a
module of any stage, from the import to what goes to iree-compile::

    outputs = interpret(module, [array], parameters)

Elements that nothing has written are NaN, or integers far outside of any index, so that a
result shows where they are read. Reads outside of a tensor are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.errors import InterpreterError, InvalidInputError

# Each of these registers the evaluators of a dialect.
from smartmem.interpreter import (  # noqa: F401
    arith,
    control,
    linalg,
    math,
    packing,
    smartmem,
    tensor,
    tm_tensor,
)
from smartmem.interpreter.boundary import from_memory, in_memory
from smartmem.interpreter.control import function_named
from smartmem.interpreter.frame import Frame
from smartmem.interpreter.registry import evaluated
from smartmem.interpreter.values import Array
from smartmem.parameters import Parameters

__all__ = ["Array", "InterpreterError", "evaluated", "interpret", "trace"]


def interpret(
    module: ir.Module | ir.Operation,
    inputs: Sequence[Any],
    parameters: Parameters | None = None,
    function: str | None = None,
) -> list[Array]:
    """Runs a function on arrays.

    Args:
        module: a module.
        inputs: an array for each argument, of its shape and element type.
        parameters: the data of the module's resources; None: it is read from the module.
        function: its name; None: the module's entry.

    Returns:
        An array for each result; they may be read-only.

    Raises:
        UnsupportedError: an operation that the interpreter does not have; names it and
            its location.
        InterpreterError: the program reads outside of a tensor, or an assertion fails.
    """
    root = module.operation
    called = _entry(module) if function is None else function_named(root, function)
    if parameters is None:
        parameters = _parameters(root)
    block = called.regions[0].blocks[0]
    with np.errstate(all="ignore"):  # infinities and NaNs are results like others
        results = Frame(parameters, root).run(block, _logical(block, inputs), frees=True)
    values = block.operations[len(block.operations) - 1].operation.operands
    return [in_memory(a, v.type) for a, v in zip(results, values, strict=True)]


def trace(
    module: ir.Module | ir.Operation, inputs: Sequence[Any], parameters: Parameters
) -> dict[tuple[int, int], Array]:
    """The value of everything that the operations of the entry function's body compute.

    Returns:
        By the number of the operation and that of its result; -1 and its number for an
        argument. What cannot be computed for a fault of the program is left out.
    """
    block = _entry(module).regions[0].blocks[0]
    arrays = _logical(block, inputs)
    frame = Frame(parameters, module.operation)
    with np.errstate(all="ignore"), suppress(InterpreterError):
        frame.run(block, arrays)
    found = {(-1, number): array for number, array in enumerate(arrays)}
    for number, op in enumerate(block.operations):
        results = enumerate(op.operation.results)
        found.update({(number, n): frame[r] for n, r in results if r in frame})
    return found


def _logical(block: ir.Block, inputs: Sequence[Any]) -> list[Array]:
    """The arguments as tensors, wherever their elements lie in the arrays.

    Raises:
        InvalidInputError: there are more or fewer arrays than arguments.
    """
    if len(inputs) != len(block.arguments):
        raise InvalidInputError(
            f"the function takes {len(block.arguments)} arrays, but {len(inputs)} are given"
        )
    pairs = zip(inputs, block.arguments, strict=True)
    return [from_memory(np.asarray(array), argument.type) for array, argument in pairs]


def _parameters(module: ir.Operation) -> Parameters:
    from smartmem.frontend.resources import read_resources

    return read_resources(module)


def _entry(module: ir.Module | ir.Operation) -> ir.Operation:
    from smartmem.frontend.finish import entry_function

    return entry_function(module if isinstance(module, ir.Module) else module.opview)
