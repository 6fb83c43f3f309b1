"""What the body of a ``linalg`` operation adds to its output, as an expression.

A body reduces if it yields a combiner of the output's element and other values. Those are
then computed for all iterations at once, and reduced by a NumPy function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.interpreter.values import Array, ElementType, signed, unsigned, wide

_UFUNCS: Mapping[str, Any] = {
    "arith.addf": np.add,
    "arith.mulf": np.multiply,
    "arith.maximumf": np.maximum,
    "arith.minimumf": np.minimum,
    "arith.maxnumf": np.fmax,
    "arith.minnumf": np.fmin,
    "arith.addi": np.add,
    "arith.muli": np.multiply,
    "arith.maxsi": np.maximum,
    "arith.minsi": np.minimum,
    "arith.maxui": np.maximum,
    "arith.minui": np.minimum,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
}
_UNSIGNED = frozenset(("arith.maxui", "arith.minui"))
_PRODUCTS = {"arith.addf": "arith.mulf", "arith.addi": "arith.muli"}


@dataclass(frozen=True)
class Term:
    """Something that a reduction takes in.

    Attributes:
        factors: the values whose product it is; one value is the term itself.
    """

    factors: tuple[ir.Value, ...]


@dataclass(frozen=True)
class Reduction:
    """How a body changes one element of its output.

    Attributes:
        combiner: name of the operation, associative and commutative.
        terms: what it combines the output with.
        operations: numbers, in the body, of the operations that this stands for.
    """

    combiner: str
    terms: tuple[Term, ...]
    operations: frozenset[int]

    @property
    def is_product(self) -> bool:
        """Whether all terms are products of two values or more."""
        return all(len(term.factors) > 1 for term in self.terms)


def reduction_of(block: ir.Block, yielded: ir.Value, output: ir.Value) -> Reduction | None:
    """The reduction that the block makes of ``output``, if it is one.

    Args:
        yielded: the new element of the output.
        output: the block's argument for the old one.
    """
    combiner = _operation(yielded, block)
    if combiner is None or combiner.name not in _UFUNCS or not _is_used_once(output):
        return None
    numbers = {r: n for n, op in enumerate(block.operations) for r in op.operation.results}
    found = _Chain(block, combiner.name, numbers)
    found.split(yielded)
    if output not in found.leaves:
        return None
    found.leaves.remove(output)
    terms = [*found.products, *(Term(found.factors(leaf)) for leaf in found.leaves)]
    return Reduction(combiner.name, tuple(terms), frozenset(found.operations))


class _Chain:
    """A tree of one combiner, taken apart."""

    def __init__(self, block: ir.Block, combiner: str, numbers: dict[ir.Value, int]) -> None:
        self._block, self._combiner, self._numbers = block, combiner, numbers
        self.leaves: list[ir.Value] = []
        self.products: list[Term] = []
        self.operations: set[int] = set()

    def split(self, root: ir.Value) -> None:
        pending = [root]
        while pending:
            value = pending.pop()
            op = _operation(value, self._block)
            if op is None or not _is_used_once(value):
                self.leaves.append(value)
            elif op.name == self._combiner:
                self._take(op)
                pending += [*op.operands]
            elif op.name == "math.fma" and self._combiner == "arith.addf":
                self._take(op)
                a, b, c = op.operands
                self.products.append(Term((*self.factors(a), *self.factors(b))))
                pending.append(c)
            else:
                self.leaves.append(value)

    def factors(self, root: ir.Value) -> tuple[ir.Value, ...]:
        """The values whose product ``root`` is, where the combiner is a sum."""
        product, found, pending = _PRODUCTS.get(self._combiner), [], [root]
        while pending:
            value = pending.pop()
            op = _operation(value, self._block)
            if op is not None and op.name == product and _is_used_once(value):
                self._take(op)
                pending += [*op.operands]
            else:
                found.append(value)
        return tuple(found)

    def _take(self, op: ir.Operation) -> None:
        self.operations.add(self._numbers[op.results[0]])


def _operation(value: ir.Value, block: ir.Block) -> ir.Operation | None:
    """What computes ``value`` in the block, if anything does."""
    if isinstance(value.owner, ir.Block):
        return None
    op = value.owner.operation
    return op if op.block == block else None


def _is_used_once(value: ir.Value) -> bool:
    uses = iter(value.uses)
    return next(uses, None) is not None and next(uses, None) is None


def reduce_terms(
    reduction: Reduction,
    terms: Sequence[Array],
    init: Array,
    dims: Sequence[int],
    kind: ElementType,
) -> Array:
    """``init`` combined with all elements of ``terms`` along ``dims``.

    Args:
        terms: the reduced or whole arrays, with as many dims as there are loops.
        dims: the loops to reduce over; a term that was reduced already has extent 1 there.
        kind: the output's elements.
    """
    ufunc = _UFUNCS[reduction.combiner]
    total = _numbers(init, reduction.combiner, kind)
    for term in terms:
        numbers = _numbers(term, reduction.combiner, kind)
        reduced = ufunc.reduce(numbers, axis=tuple(dims), keepdims=True, dtype=numbers.dtype)
        total = ufunc(total, reduced)
    return np.asarray(total)


def _numbers(array: Array, combiner: str, kind: ElementType) -> Array:
    """The elements as NumPy's function takes them."""
    if not kind.bits:
        return wide(array)
    return unsigned(array, kind) if combiner in _UNSIGNED else signed(array)
