"""One order of loops for all operations of a kernel.

IREE 3.13 distributes the loops of a kernel by their numbers. Where a reduction's loops
are (h, w, c) and those of an elementwise operation in its kernel (c, h, w), the SPIR-V
is wrong, in whatever order memory lies. So the elementwise operations take the order of
the reduction: its parallel loops, then its reduction loops. Where nothing is reduced,
all take that of the first operation. The initial value is such an operation, too, in the
order of the result's dims: where a contraction's parallel loops run in another, it is wrong
SPIR-V alone (seen for sizes that are no multiple of four).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch_mlir import ir

from smartmem.index_map import Dim
from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, loop_nest
from smartmem.passes.analysis.ir.movement import long_dims, shape_of

Order = tuple[int, ...]
"""Number of the old loop at each place of the new nest."""


def result_order(op: ir.Operation) -> Order | None:
    """The order in which the parallel loops of ``op`` run as its result lies in memory.

    Returns:
        None if they do, or ``op`` is no generic reduction.
    """
    nest = generic_nest(op)
    if nest is None or not nest.reductions:
        return None
    written = nest.written
    order = [*written, *(d for d in range(len(nest.domain)) if d not in written)]
    return None if order == sorted(order) or len(set(order)) < len(order) else tuple(order)


def loop_orders(operations: Sequence[ir.Operation]) -> dict[ir.Operation, Order]:
    """The elementwise operations of a kernel that need another order, each with it.

    Args:
        operations: of one kernel, in program order. Those that share no tensor with the
            reduction, seen through reshapes that add or drop dims of size 1, are left.
    """
    nests = {op: nest for op in operations if (nest := loop_nest(op)) is not None}
    root = next((op for op, nest in nests.items() if nest.reductions), next(iter(nests), None))
    if root is None:
        return {}
    numbers = _Numbers(root, nests[root])
    waiting = [op for op, nest in nests.items() if nest.is_elementwise and op != root]
    found: dict[ir.Operation, Order] = {}
    while ready := [op for op in waiting if numbers.add(op, nests[op])]:
        found |= {op: numbers.order(op, nests[op]) for op in ready}
        waiting = [op for op in waiting if op not in ready]
    return {op: order for op, order in found.items() if list(order) != sorted(order)}


class _Numbers:
    """Which loop of the root runs along each dim larger than 1 of each tensor."""

    def __init__(self, root: ir.Operation, nest: LoopNest) -> None:
        parallel = [d for d in range(len(nest.domain)) if d not in nest.reductions]
        order = [*parallel, *sorted(nest.reductions)]
        self._of: dict[ir.Value, list[int]] = {}
        self._name(root, nest, {loop: number for number, loop in enumerate(order)})

    def add(self, op: ir.Operation, nest: LoopNest) -> bool:
        """Names the tensors of ``op``; false while some loop of it has no number."""
        numbers = self._loops(op, nest)
        if numbers is None:
            return False
        self._name(op, nest, numbers)
        return True

    def order(self, op: ir.Operation, nest: LoopNest) -> Order:
        """The loops of ``op`` in the root's order, then those of size 1."""
        numbers = self._loops(op, nest) or {}
        last = len(numbers) + max(numbers.values(), default=0)
        return tuple(sorted(range(len(nest.domain)), key=lambda d: numbers.get(d, last)))

    def _loops(self, op: ir.Operation, nest: LoopNest) -> dict[int, int] | None:
        numbers: dict[int, int] = {}
        for operand, value in enumerate(_tensors(op)):
            known = self._of.get(_behind_reshapes(value))
            if known is not None and len(known) == len(loops := _long_loops(nest, operand)):
                numbers |= zip(loops, known, strict=True)
        complete = all(d in numbers for d, extent in enumerate(nest.domain) if extent > 1)
        return numbers if complete else None

    def _name(self, op: ir.Operation, nest: LoopNest, numbers: dict[int, int]) -> None:
        for operand, value in enumerate(_tensors(op)):
            loops = _long_loops(nest, operand)
            if len(loops) == sum(extent > 1 for extent in shape_of(value)):
                known = [numbers[loop] for loop in loops]
                self._of.setdefault(_behind_reshapes(value), known)


def _tensors(op: ir.Operation) -> Iterator[ir.Value]:
    yield from list(op.operands)[:-1]
    yield op.results[0]


def _long_loops(nest: LoopNest, operand: int) -> list[int]:
    """The loops of more than one step that index ``operand``, in the order of its dims."""
    atoms = (a for expr in nest.accesses[operand].exprs for a, _ in expr.terms)
    return [a.index for a in atoms if isinstance(a, Dim) and nest.domain[a.index] > 1]


def _behind_reshapes(value: ir.Value) -> ir.Value:
    """The tensor that ``value`` is, but for dims of size 1."""
    while not isinstance(value.owner, ir.Block) and value.owner.name in RESHAPES:
        source = value.owner.operands[0]
        if long_dims(shape_of(source)) != long_dims(shape_of(value)):
            break
        value = source
    return value
