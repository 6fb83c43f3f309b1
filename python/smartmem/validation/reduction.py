"""Cuts a module that a pass breaks down to a part that it still breaks.

A part is a run of operations of the entry function: what they read from before it becomes
arguments, what is read behind it becomes results. The end of the shortest part from the
start is found by bisection, then its beginning, and then one of its results is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.interpreter import trace
from smartmem.interpreter.boundary import in_memory
from smartmem.interpreter.frame import values_read_in
from smartmem.parameters import Array, Parameters

TIME_LIMIT_S = 60.0
"""After this time the smallest part so far is taken."""

_KEPT = ("arith.constant", "tensor.empty")
"""What is no argument of a part, but stands in it."""

_FUNCTION_ATTRIBUTES = frozenset(("sym_name", "sym_visibility", "function_type"))

Place = tuple[int, int]
"""A value: the number of its operation and that of the result; -1 for an argument."""


@dataclass(frozen=True)
class Part:
    """A module that holds a part of another one's function, and the arrays it runs on."""

    module: ir.Operation
    inputs: list[Array]


Test = Callable[[Part], bool]


def reduced(
    module: ir.Operation, inputs: Sequence[Array], parameters: Parameters, breaks: Test
) -> Part:
    """The smallest part that was found to break; the whole if none does.

    Args:
        breaks: whether a part still shows the fault; it leaves the part as it is.
    """
    whole = Part(module, list(inputs))
    operations = _body(module).operations
    cutter = _Cutter(module, trace(module, inputs, parameters), breaks)
    count = len(operations) - 1
    # Everything to `stop` breaks; as far as is known, nothing to `low` does.
    stop = cutter.bisect(0, count, lambda n: (0, n))
    start = count - cutter.bisect(0, count, lambda n: (count - n, stop))
    for result in range(cutter.results(start, stop)):
        cutter.try_part(start, stop, [result])
    return cutter.best or whole


class _Cutter:
    """Tries parts, and keeps the last one that breaks."""

    def __init__(self, module: ir.Operation, values: dict[Place, Array], breaks: Test) -> None:
        self.best: Part | None = None
        self._module, self._values, self._breaks = module, values, breaks
        self._end = time.monotonic() + TIME_LIMIT_S

    def bisect(self, low: int, high: int, span: Callable[[int], tuple[int, int]]) -> int:
        """The least number found for which the part ``span`` of it breaks."""
        while high - low > 1:
            middle = (low + high) // 2
            if self.try_part(*span(middle)):
                high = middle
            else:
                low = middle
        return high

    def results(self, start: int, stop: int) -> int:
        """How many results the part has."""
        return len(_live(_body(self._module), start, stop))

    def try_part(self, start: int, stop: int, kept: Sequence[int] | None = None) -> bool:
        """Whether a part breaks; ``kept`` numbers the results that it keeps."""
        if time.monotonic() > self._end or start >= stop:
            return False
        part = _cut(self._module, self._values, start, stop, kept)
        if part is None or not self._breaks(part):
            return False
        self.best = part
        return True


def _body(module: ir.Operation) -> ir.Block:
    from smartmem.frontend.finish import entry_function

    return entry_function(module.opview).regions[0].blocks[0]


def _place(value: ir.Value, numbers: dict[ir.Value, Place]) -> Place | None:
    return numbers.get(value)


def _places(block: ir.Block) -> dict[ir.Value, Place]:
    numbers: dict[ir.Value, Place] = {a: (-1, n) for n, a in enumerate(block.arguments)}
    for number, op in enumerate(block.operations):
        numbers.update({r: (number, n) for n, r in enumerate(op.operation.results)})
    return numbers


def _live(block: ir.Block, start: int, stop: int) -> list[ir.Value]:
    """What is computed in a part and read behind it."""
    numbers = _places(block)
    found: dict[ir.Value, None] = {}
    for op in list(block.operations)[stop:]:
        for value in values_read_in(op.operation):
            number = numbers.get(value, (-1, 0))[0]
            if start <= number < stop and block.operations[number].operation.name not in _KEPT:
                found[value] = None
    return list(found)


def _cut(
    module: ir.Operation,
    values: dict[Place, Array],
    start: int,
    stop: int,
    kept: Sequence[int] | None,
) -> Part | None:
    """The part from one operation to another; None if it has no result."""
    copy = module.clone()
    block = _body(copy)
    results = _live(block, start, stop)
    if kept is not None:
        results = [results[n] for n in kept]
    if not results:
        return None
    taken = _replace_operands(block, start, stop)
    inputs = [in_memory(values[place], type_) for place, type_ in taken]
    _return(block, results, stop)
    _drop_unused(block)
    _drop_arguments(block, inputs, len(inputs))
    _retype(block)
    return Part(copy, inputs)


def _replace_operands(block: ir.Block, start: int, stop: int) -> list[tuple[Place, ir.Type]]:
    """Makes arguments of what a part reads from before it; tells which values these are."""
    numbers, taken = _places(block), {}
    operations = [op.operation for op in block.operations]
    for op in operations[start:stop]:
        for value in values_read_in(op):
            place = numbers.get(value)
            if place is None or start <= place[0]:
                continue
            if place[0] < 0 or operations[place[0]].name not in _KEPT:
                taken[value] = place
    found = []
    for value, place in taken.items():
        argument = block.add_argument(value.type, operations[start].location)
        value.replace_all_uses_with(argument)
        found.append((place, value.type))
    return found


def _return(block: ir.Block, results: Sequence[ir.Value], stop: int) -> None:
    operations = [op.operation for op in block.operations]
    terminator = operations[-1]
    with ir.InsertionPoint(terminator), terminator.location:
        ir.Operation.create(terminator.name, [], list(results))
    for op in reversed(operations[stop:]):
        op.erase()


def _drop_unused(block: ir.Block) -> None:
    for op in reversed([op.operation for op in block.operations][:-1]):
        if not any(True for result in op.results for _ in result.uses):
            op.erase()


def _drop_arguments(block: ir.Block, inputs: list[Array], new: int) -> None:
    """Erases the arguments that nothing reads; ``inputs`` are those of the last ``new``."""
    first = len(block.arguments) - new
    for number in reversed(range(len(block.arguments))):
        if any(True for _ in block.arguments[number].uses):
            continue
        block.erase_argument(number)
        if number >= first:
            del inputs[number - first]


def _retype(block: ir.Block) -> None:
    function = block.owner.operation
    results = block.operations[len(block.operations) - 1].operation.operands
    with function.context:
        type_ = ir.FunctionType.get(
            [a.type for a in block.arguments], [r.type for r in results]
        )
        function.attributes["function_type"] = ir.TypeAttr.get(type_)
    for attribute in list(function.attributes):
        name = attribute if isinstance(attribute, str) else attribute.name
        if name not in _FUNCTION_ATTRIBUTES:
            del function.attributes[name]
