"""The table of what evaluates each operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from torch_mlir import ir

from smartmem.errors import UnsupportedError
from smartmem.interpreter.values import Array

if TYPE_CHECKING:
    from smartmem.interpreter.frame import Frame

Evaluator = Callable[[ir.Operation, Sequence[Array], "Frame"], Sequence[Array]]
"""Takes an operation, its operands and the frame it is in; returns its results."""

_EVALUATORS: dict[str, Evaluator] = {}


def evaluates(*names: str) -> Callable[[Evaluator], Evaluator]:
    """Makes a function the evaluator of the operations of these names."""

    def register(evaluator: Evaluator) -> Evaluator:
        for name in names:
            assert name not in _EVALUATORS, name
            _EVALUATORS[name] = evaluator
        return evaluator

    return register


def evaluator_of(op: ir.Operation) -> Evaluator:
    """What evaluates an operation.

    Raises:
        UnsupportedError: nothing does; names it and its location.
    """
    name = op.name
    found = _EVALUATORS.get(name)
    if found is None and name.startswith("linalg."):
        found = _EVALUATORS["linalg.generic"]  # refuses what has no indexing maps
    if found is None:
        raise UnsupportedError(f"the interpreter has no {name}, at {op.location}")
    return found


def evaluated() -> Iterator[str]:
    """The names of all operations that have an evaluator of their own."""
    yield from sorted(_EVALUATORS)
