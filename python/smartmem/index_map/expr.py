"""Quasi-affine index expressions, simplified with the ranges of their dimensions.

An expression is a constant plus a sum of atoms with integer coefficients; an atom is
a dimension, ``e floordiv k`` or ``e mod k`` with k > 0. Division rounds down and
``mod`` is never negative, as in MLIR and Python. The constructors ``floordiv``,
``mod`` and ``add`` simplify as they build; with n_d the size of dimension d, each d
is known to lie in [0, n_d). With 0 <= r < a they know, among others:

    (a*i + r) floordiv a        ->  i
    (a*i + r) mod a             ->  r
    (a*i + r) floordiv a*b      ->  i floordiv b
    (a*i + r) mod a*b           ->  a*(i mod b) + r
    (i mod a*b) mod b           ->  i mod b           (SmartMem, section 3.2.1)
    (i floordiv a) floordiv b   ->  i floordiv a*b
    (i mod a*b) floordiv b      ->  (i floordiv b) mod a
    a*(i floordiv a) + i mod a  ->  i

MLIR's own AffineExpr simplification knows no ranges, hence this module; conversion
from and to ``ir.AffineExpr`` is in ``affine.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Union

import numpy as np
import numpy.typing as npt

Shape = tuple[int, ...]


@dataclass(frozen=True, order=True)
class Dim:
    """Dimension ``index`` of the iteration domain."""

    index: int


@dataclass(frozen=True)
class FloorDiv:
    """``operand floordiv divisor``, divisor > 1."""

    operand: Expr
    divisor: int


@dataclass(frozen=True)
class Mod:
    """``operand mod modulus``, modulus > 1."""

    operand: Expr
    modulus: int


Atom = Union["Dim", "FloorDiv", "Mod"]


@dataclass(frozen=True)
class Expr:
    """``const + sum(coefficient * atom)``; terms are sorted, coefficients not 0."""

    terms: tuple[tuple[Atom, int], ...]
    const: int = 0

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.terms, self.const))

    def __str__(self) -> str:
        parts = [_format_term(atom, c) for atom, c in self.terms]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)

    @property
    def is_constant(self) -> bool:
        """Whether no dimension occurs."""
        return not self.terms


def _format_term(atom: Atom, coefficient: int) -> str:
    if isinstance(atom, Dim):
        text = f"d{atom.index}"
    elif isinstance(atom, FloorDiv):
        text = f"(({atom.operand}) floordiv {atom.divisor})"
    else:
        text = f"(({atom.operand}) mod {atom.modulus})"
    return text if coefficient == 1 else f"{text} * {coefficient}"


@lru_cache(maxsize=1 << 10)
def constant(value: int) -> Expr:
    """The expression ``value``."""
    return Expr((), value)


@lru_cache(maxsize=1 << 10)
def dim(index: int) -> Expr:
    """The expression ``d<index>``."""
    return Expr(((Dim(index), 1),))


def _atom_expr(atom: Atom) -> Expr:
    return Expr(((atom, 1),))


@lru_cache(maxsize=1 << 16)
def _sort_key(atom: Atom) -> tuple[int, int, str]:
    if isinstance(atom, Dim):
        return (0, atom.index, "")
    if isinstance(atom, FloorDiv):
        return (1, atom.divisor, str(atom.operand))
    return (2, atom.modulus, str(atom.operand))


def _linear(terms: Iterable[tuple[Atom, int]], const: int) -> Expr:
    """Collects equal atoms; no rule that needs ranges is applied."""
    total: dict[Atom, int] = {}
    for atom, coefficient in terms:
        total[atom] = total.get(atom, 0) + coefficient
    kept = [(atom, c) for atom, c in total.items() if c]
    if len(kept) > 1:
        kept.sort(key=lambda term: _sort_key(term[0]))
    return Expr(tuple(kept), const)


def scale(expr: Expr, factor: int) -> Expr:
    """``expr * factor``."""
    if factor == 1:
        return expr
    if factor == 0:
        return constant(0)
    return Expr(tuple((a, c * factor) for a, c in expr.terms), expr.const * factor)


@lru_cache(maxsize=1 << 16)
def bounds(expr: Expr, shape: Shape) -> tuple[int, int]:
    """Least and greatest value ``expr`` can take, by interval arithmetic.

    The interval holds every value; it can be wider than the values taken.
    """
    low = high = expr.const
    for atom, c in expr.terms:
        a, b = _atom_bounds(atom, shape)
        low += min(c * a, c * b)
        high += max(c * a, c * b)
    return low, high


def _atom_bounds(atom: Atom, shape: Shape) -> tuple[int, int]:
    if isinstance(atom, Dim):
        return 0, max(shape[atom.index] - 1, 0)
    low, high = bounds(atom.operand, shape)
    if isinstance(atom, FloorDiv):
        return low // atom.divisor, high // atom.divisor
    if low // atom.modulus == high // atom.modulus:
        return low % atom.modulus, high % atom.modulus
    return 0, atom.modulus - 1


def add(exprs: Iterable[Expr], shape: Shape) -> Expr:
    """Sum of ``exprs``; digits of one value that stand side by side are joined."""
    exprs = list(exprs)
    total = _linear((t for e in exprs for t in e.terms), sum(e.const for e in exprs))
    while (joined := _join_digits(total, shape)) is not None:
        total = joined
    return total


def _join_digits(expr: Expr, shape: Shape) -> Expr | None:
    """Applies ``b*(x floordiv b) + x mod b -> x`` once, or its form below a mod.

    The second form is ``b*((x floordiv b) mod m) + x mod b -> x mod b*m``.
    """
    if len(expr.terms) < 2:
        return None
    coefficients = dict(expr.terms)
    for low, c in expr.terms:
        if not isinstance(low, Mod):
            continue
        quotient = floordiv(low.operand, low.modulus, shape)
        for high, high_c in expr.terms:
            if high_c != c * low.modulus or high is low:
                continue
            if quotient == _atom_expr(high):
                whole = low.operand
            elif isinstance(high, Mod) and high.operand == quotient:
                whole = mod(low.operand, low.modulus * high.modulus, shape)
            else:
                continue
            del coefficients[low], coefficients[high]
            rest = Expr(tuple(coefficients.items()), expr.const)
            return _linear((*rest.terms, *scale(whole, c).terms), rest.const + c * whole.const)
    return None


def _split_multiples(expr: Expr, k: int) -> tuple[Expr, Expr]:
    """``(q, r)`` with expr = k*q + r; r holds the terms that k does not divide."""
    multiples = tuple((a, c // k) for a, c in expr.terms if c % k == 0)
    rest = tuple((a, c) for a, c in expr.terms if c % k)
    return Expr(multiples, expr.const // k), Expr(rest, expr.const % k)


def _low_part(expr: Expr, k: int, shape: Shape) -> tuple[int, Expr, Expr] | None:
    """``(g, u, v)`` with expr = g*u + v, 0 <= v < g, g a divisor of k, 1 < g < k."""
    candidates = {abs(c) for _, c in expr.terms}
    for g in sorted((c for c in candidates if 1 < c < k and k % c == 0), reverse=True):
        high, low = _split_multiples(expr, g)
        least, greatest = bounds(low, shape)
        if least >= 0 and greatest < g:
            return g, high, low
    return None


@lru_cache(maxsize=1 << 16)
def floordiv(expr: Expr, k: int, shape: Shape) -> Expr:
    """``expr floordiv k``.

    Raises:
        ValueError: k is not positive.
    """
    if k <= 0:
        raise ValueError(f"floordiv by {k}: the divisor must be positive")
    if k == 1:
        return expr
    quotient, rest = _split_multiples(expr, k)
    low, high = bounds(rest, shape)
    if low // k == high // k:
        return add([quotient, constant(low // k)], shape)
    return add([quotient, _floordiv_rest(rest, k, shape)], shape)


def _floordiv_rest(rest: Expr, k: int, shape: Shape) -> Expr:
    if (parts := _low_part(rest, k, shape)) is not None:
        g, high, _ = parts
        return floordiv(high, k // g, shape)
    if len(rest.terms) == 1 and rest.terms[0][1] == 1 and rest.const == 0:
        atom = rest.terms[0][0]
        if isinstance(atom, FloorDiv):
            return floordiv(atom.operand, atom.divisor * k, shape)
        if isinstance(atom, Mod) and atom.modulus % k == 0:
            return mod(floordiv(atom.operand, k, shape), atom.modulus // k, shape)
    return _atom_expr(FloorDiv(rest, k))


@lru_cache(maxsize=1 << 16)
def mod(expr: Expr, k: int, shape: Shape) -> Expr:
    """``expr mod k``.

    Raises:
        ValueError: k is not positive.
    """
    if k <= 0:
        raise ValueError(f"mod {k}: the modulus must be positive")
    if k == 1:
        return constant(0)
    _, rest = _split_multiples(_drop_inner_mods(expr, k, shape), k)
    low, high = bounds(rest, shape)
    if low // k == high // k:
        return add([rest, constant(-(low // k) * k)], shape)
    if (parts := _low_part(rest, k, shape)) is not None:
        g, upper, lower = parts
        return add([scale(mod(upper, k // g, shape), g), lower], shape)
    return _atom_expr(Mod(rest, k))


def _drop_inner_mods(expr: Expr, k: int, shape: Shape) -> Expr:
    """Replaces ``c*(x mod m)`` by ``c*x`` where k divides c*m: equal modulo k."""
    parts = []
    for atom, c in expr.terms:
        inner = isinstance(atom, Mod) and (c * atom.modulus) % k == 0
        parts.append(scale(atom.operand if inner else _atom_expr(atom), c))  # type: ignore[union-attr]
    changed = add([*parts, constant(expr.const)], shape)
    return changed


def substitute(expr: Expr, values: Sequence[Expr], shape: Shape) -> Expr:
    """``expr`` with ``values[i]`` for ``d<i>``, simplified over the box ``shape``."""
    parts = [constant(expr.const)]
    for atom, c in expr.terms:
        if isinstance(atom, Dim):
            value = values[atom.index]
        elif isinstance(atom, FloorDiv):
            value = floordiv(substitute(atom.operand, values, shape), atom.divisor, shape)
        else:
            value = mod(substitute(atom.operand, values, shape), atom.modulus, shape)
        parts.append(scale(value, c))
    return add(parts, shape)


def simplify(expr: Expr, shape: Shape) -> Expr:
    """``expr`` rebuilt with every rule that the box ``shape`` allows."""
    return substitute(expr, [dim(i) for i in range(len(shape))], shape)


def evaluate(expr: Expr, indices: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Values of ``expr`` at ``indices``, one array per dimension, broadcast together."""
    total = np.asarray(expr.const, dtype=np.int64)
    for atom, c in expr.terms:
        if isinstance(atom, Dim):
            value = indices[atom.index]
        elif isinstance(atom, FloorDiv):
            value = evaluate(atom.operand, indices) // atom.divisor
        else:
            value = evaluate(atom.operand, indices) % atom.modulus
        total = total + c * value
    return total


def indexes(expr: Expr, d: int) -> bool:
    """Whether ``expr`` depends on a dim, in whatever part of it."""
    return any(isinstance(atom, Dim) and atom.index == d for atom in atoms(expr))


def atoms(expr: Expr) -> Iterable[Atom]:
    """Every atom of ``expr``, nested ones after the one that holds them."""
    for atom, _ in expr.terms:
        yield atom
        if not isinstance(atom, Dim):
            yield from atoms(atom.operand)
