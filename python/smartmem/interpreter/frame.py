"""Runs the operations of blocks, and holds their values."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from torch_mlir import ir

from smartmem.errors import InterpreterError
from smartmem.interpreter.registry import evaluator_of
from smartmem.interpreter.values import Array
from smartmem.parameters import Parameters


class Frame:
    """The values of one execution of a block, and those of the blocks around it.

    Attributes:
        parameters: the data of ``dense_resource`` constants.
        module: the module whose functions are called.
        loops: in the body of a ``linalg`` operation, the index of each loop: an array that
            broadcasts to all iterations.
        is_masked: whether some iterations are evaluated that do not happen, as in the
            other branch of an ``scf.if``: these may read outside of tensors.
    """

    def __init__(
        self,
        parameters: Parameters,
        module: ir.Operation,
        outer: Frame | None = None,
        loops: Sequence[Array] = (),
        is_masked: bool = False,
    ) -> None:
        self.parameters = parameters
        self.module = module
        self.loops = loops
        self.is_masked = is_masked
        self.outer = outer
        self._values: dict[ir.Value, Array] = {}

    def inner(
        self, loops: Sequence[Array] | None = None, *, is_masked: bool | None = None
    ) -> Frame:
        """A frame for a block inside of this one's, which sees the values of this one."""
        return Frame(
            self.parameters,
            self.module,
            self,
            self.loops if loops is None else loops,
            self.is_masked if is_masked is None else is_masked,
        )

    def __getitem__(self, value: ir.Value) -> Array:
        frame: Frame | None = self
        while frame is not None:
            if (found := frame._values.get(value)) is not None:
                return found
            frame = frame.outer
        raise KeyError(str(value))

    def __contains__(self, value: ir.Value) -> bool:
        return value in self._values

    def bind(self, values: Sequence[ir.Value], arrays: Sequence[Array]) -> None:
        """Lets ``values`` be ``arrays``, as many as both have."""
        self._values.update(zip(values, arrays, strict=False))

    def run(
        self,
        block: ir.Block,
        arguments: Sequence[Array],
        *,
        skipped: Collection[int] = (),
        frees: bool = False,
    ) -> list[Array]:
        """Runs a block; returns the operands of its terminator, unless that is skipped.

        Args:
            skipped: numbers of operations that are left out.
            frees: forget each value behind its last use: it is a whole tensor.
        """
        self.bind(block.arguments, arguments)
        operations = [op.operation for op in block.operations]
        last = _last_uses(operations) if frees else {}
        for number, op in enumerate(operations[:-1]):
            if number not in skipped:
                self.execute(op)
            for value in last.get(number, ()):
                self._values.pop(value, None)
        if len(operations) - 1 in skipped:
            return []
        return [self[value] for value in operations[-1].operands]

    def execute(self, op: ir.Operation) -> None:
        """Evaluates one operation.

        Raises:
            UnsupportedError: nothing evaluates it.
            InterpreterError: its result is not defined; names it and its location.
        """
        operands = [self[value] for value in op.operands]
        try:
            results = evaluator_of(op)(op, operands, self)
        except InterpreterError as error:
            raise error.at(op.name, op.location) from error
        self.bind(op.results, results)


def _last_uses(operations: Sequence[ir.Operation]) -> dict[int, list[ir.Value]]:
    """The values that nothing reads behind an operation, by its number."""
    last: dict[ir.Value, int] = {}
    for number, outer in enumerate(operations):
        last.update(dict.fromkeys(values_read_in(outer), number))
    found: dict[int, list[ir.Value]] = {}
    for value, number in last.items():
        found.setdefault(number, []).append(value)
    return found


def values_read_in(outer: ir.Operation) -> list[ir.Value]:
    """What an operation and all that is in it read."""
    if not outer.regions:
        return [*outer.operands]
    found: list[ir.Value] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        found.extend(op.operands)
        return ir.WalkResult.ADVANCE

    outer.walk(visit)
    return found
