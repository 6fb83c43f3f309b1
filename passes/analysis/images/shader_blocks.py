"""The operations of a kernel's block by number: what may stand elsewhere, and what each needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_bindings import nested

_ARITHMETIC = frozenset(
    f"spirv.{name}"
    for name in (
        *("IAdd", "ISub", "IMul", "UDiv", "SDiv", "UMod", "SMod", "SRem"),
        *("ShiftLeftLogical", "ShiftRightLogical", "ShiftRightArithmetic"),
        *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "Bitcast", "UConvert", "SConvert"),
        *("AccessChain", "CompositeConstruct", "CompositeExtract", "VectorShuffle"),
    )
)
"""What costs nothing, or little, and has no effect."""

_JOINS = frozenset(f"spirv.{name}" for name in ("FAdd", "FSub", "FMul", "GL.FMax", "GL.FMin"))
"""What makes one value of two."""

_LOAD, _FETCH, _STORE, _LOOP = (
    "spirv.Load",
    "spirv.ImageFetch",
    "spirv.Store",
    "spirv.mlir.loop",
)
_VARIABLE = "spirv.Variable"
_PRIVATE = (", Function>", ", Private>")
_WRITES = ("Barrier", "Atomic", "FunctionCall", "ImageWrite")


@dataclass(frozen=True)
class Block:
    """A block by the numbers of its operations.

    Attributes:
        operations: in their order.
        place: their numbers; an operation inside of another one has the number of that.
        results: the loads of what a loop computes, by the loop; loops that may move alone.
        last: for each operation the one before which it must stand at the latest; its own
            number where it is not moved.
        needs: the moved operations that must stand before each.
    """

    operations: Sequence[ir.Operation]
    place: Mapping[ir.Operation, int]
    results: Mapping[int, Sequence[int]]
    last: Sequence[int]
    needs: Sequence[Sequence[int]]

    def moves(self, number: int) -> bool:
        """Whether an operation may stand elsewhere."""
        return self.last[number] != number

    def users(self, number: int) -> list[int]:
        """What reads the results of an operation; what is outside counts as the end."""
        end = len(self.operations) - 1
        return [self.place.get(user, end) for user in _users(self.operations[number])]

    def makers(self, number: int) -> list[int]:
        """What makes the values that an operation joins; none where others read them, too."""
        op = self.operations[number]
        if op.name not in _JOINS:
            return []
        inside = [owner for owner in _makers(op) if owner in self.place]
        if any(len(_users(owner)) != 1 for owner in inside):
            return []
        return [self.place[owner] for owner in inside]


def _is_load(op: ir.Operation) -> bool:
    """Whether ``op`` loads from a buffer or an image."""
    if op.name == _LOAD:
        ordinary = "memory_access" not in op.attributes
        return ordinary and str(op.operands[0].type).endswith(", StorageBuffer>")
    return op.name == _FETCH


def read_block(operations: Sequence[ir.Operation]) -> Block:
    """The block of these operations; they are all of it."""
    place = {inner: n for n, op in enumerate(operations) for inner in (op, *nested(op))}
    results = dict(_loops(operations, place))
    followers = {load for loads in results.values() for load in loads}
    end = len(operations) - 1
    fence, last = end, list(range(len(operations)))
    for number in range(end - 1, -1, -1):
        op = operations[number]
        if number in results or number in followers or op.name in _ARITHMETIC or _is_load(op):
            users = [*(place.get(user, end) for user in _users(op)), *results.get(number, ())]
            last[number] = min((last[user] for user in users), default=number)
            if op.name == _LOOP or (op.name == _LOAD and number not in followers):
                last[number] = min(last[number], fence)
        elif _writes(op):
            fence = number
    return Block(operations, place, results, last, _needs(operations, place, results, last))


def _loops(
    operations: Sequence[ir.Operation], place: Mapping[ir.Operation, int]
) -> Iterator[tuple[int, list[int]]]:
    for number, op in enumerate(operations):
        loads = _results(op, number, place) if op.name == _LOOP else None
        if loads is not None:
            yield number, loads


def _results(
    loop: ir.Operation, number: int, place: Mapping[ir.Operation, int]
) -> list[int] | None:
    """The loads behind a loop of what it stores; None if it does more than compute them."""
    if _writes(loop):
        return None
    found: set[int] = set()
    for op in (inner for inner in nested(loop) if inner.name == _STORE):
        variable = op.operands[0].owner
        if isinstance(variable, ir.Block) or variable.operation.name != _VARIABLE:
            return None
        outside = [user for user in _users(variable.operation) if place.get(user) != number]
        if any(user.name != _LOAD or place.get(user, -1) < number for user in outside):
            return None
        found |= {place[user] for user in outside}
    return sorted(found) or None


def _needs(
    operations: Sequence[ir.Operation],
    place: Mapping[ir.Operation, int],
    results: Mapping[int, Sequence[int]],
    last: Sequence[int],
) -> list[list[int]]:
    needs: list[set[int]] = [set() for _ in operations]
    for number, before in enumerate(last):
        if before == number:
            continue
        for user in _users(operations[number]):
            needs[place.get(user, len(operations) - 1)].add(number)
        for load in results.get(number, ()):
            needs[load].add(number)
        # In front of what writes it is needed, though nothing reads it yet.
        needs[before].add(number)
    return [sorted(numbers) for numbers in needs]


def _users(op: ir.Operation) -> list[ir.Operation]:
    return [use.owner.operation for result in op.results for use in result.uses]


def _makers(op: ir.Operation) -> list[ir.Operation]:
    owners = (operand.owner for operand in op.operands)
    return [owner.operation for owner in owners if not isinstance(owner, ir.Block)]


def _writes(op: ir.Operation) -> bool:
    """Whether what is loaded behind ``op`` can be other than what is loaded before."""
    return any(_writes_itself(inner) for inner in (op, *nested(op)))


def _writes_itself(op: ir.Operation) -> bool:
    if op.name == _STORE:
        return not str(op.operands[0].type).endswith(_PRIVATE)
    return any(word in op.name for word in _WRITES)
