"""Write products of ONNX models as matrix products that torch-mlir has lowerings for.

    MatMul(v[k], w[b, k, n])           ->  Squeeze(MatMul(Unsqueeze(v), w))
    Einsum(x, y, "...ij,...jk")        ->  Einsum(x, y, "...ij,...jk->...ik")
    Einsum(x, y, "bii,bij->bj")        ->  diagonals, sums, and MatMul of the dims laid out for it

torch-mlir takes the product of a vector with a matrix alone, and equations with an arrow,
different letters for the dims of an operand, and no dots.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from smartmem.frontend.onnx_expansion import Expansion, Rewrite

Nodes = list[onnx.NodeProto]

_DOTS = "..."


def _matmul(to: Expansion) -> Nodes | None:
    names = list(to.node.input)
    ranks = [len(to.shape(name)) for name in names]
    if 1 not in ranks or max(ranks) < 3:
        return None
    axis = 0 if ranks[0] == 1 else 1
    vector = ranks.index(1)
    names[vector] = to.op("Unsqueeze", names[vector], to.constant([axis]))
    product = to.op("MatMul", *names)
    return to.finish(to.op("Squeeze", product, to.constant([-2 if vector == 0 else -1])))


@dataclass(frozen=True)
class _Term:
    """A value whose dims have letters."""

    name: str
    letters: str


def _einsum(to: Expansion) -> Nodes | None:
    equation = str(to.attribute("equation")).replace(" ", "")
    left, _, right = equation.partition("->")
    sides = left.split(",")
    if len(sides) != len(to.node.input):
        raise to.invalid(f"the equation {equation!r} has {len(sides)} operands")
    if "->" not in equation:
        right = _implied(sides)
    ranks = [len(to.shape(name)) for name in to.node.input]
    if _is_plain(to, sides, right):
        if "->" in equation:
            return None
        value = to.op("Einsum", *to.node.input, equation=f"{left}->{right}")
        return to.finish(value)
    dots = [_dots(side, rank) for side, rank in zip(sides, ranks, strict=True)]
    longest = max(dots, key=len)
    terms = [
        _Term(name, side.replace(_DOTS, inner))
        for name, side, inner in zip(to.node.input, sides, dots, strict=True)
    ]
    return to.finish(_contracted(to, terms, right.replace(_DOTS, longest)))


def _implied(sides: Sequence[str]) -> str:
    """What stands behind no arrow: letters that occur once, in the order of the alphabet."""
    counts = Counter("".join(sides).replace(".", ""))
    once = "".join(sorted(letter for letter, count in counts.items() if count == 1))
    return (_DOTS if any(_DOTS in side for side in sides) else "") + once


def _is_plain(to: Expansion, sides: Sequence[str], right: str) -> bool:
    """Whether torch-mlir takes it: letters of one size each, no dots, something left."""
    sizes: dict[str, int] = {}
    for name, side in zip(to.node.input, sides, strict=True):
        if _DOTS in side or len(set(side)) < len(side) or len(side) != len(to.shape(name)):
            return False
        for letter, size in zip(side, to.shape(name), strict=True):
            if sizes.setdefault(letter, size) != size:
                return False
    return bool(right) and len(sides) > 1


def _dots(side: str, rank: int) -> str:
    """Letters, no equation has them, for the dims that dots stand for: the last ones alike."""
    count = rank - len(side.replace(_DOTS, "")) if _DOTS in side else 0
    return "".join(chr(0x3B1 + count - 1 - k) for k in range(count))


def _contracted(to: Expansion, terms: Sequence[_Term], right: str) -> str:
    sizes: dict[str, int] = {}
    for term in terms:
        for letter, size in zip(term.letters, to.shape(term.name), strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    left = [_without_ones(to, _diagonal(to, term), sizes, right) for term in terms]
    result = _summed(to, left[0], right + "".join(term.letters for term in left[1:]))
    for number, term in enumerate(left[1:], 2):
        later = right + "".join(other.letters for other in left[number:])
        result = _product(to, result, _summed(to, term, later + result.letters), later)
    return _arranged(to, result, right, sizes)


def _diagonal(to: Expansion, term: _Term) -> _Term:
    """One dim for each letter."""
    twice = next((c for c, count in Counter(term.letters).items() if count > 1), None)
    if twice is None:
        return term
    first, second = [k for k, letter in enumerate(term.letters) if letter == twice][:2]
    order = [k for k in range(len(term.letters)) if k not in (first, second)]
    shape = to.shape(term.name)
    moved = to.op("Transpose", term.name, perm=[*order, first, second])
    size = shape[first]
    flat = to.op("Reshape", moved, to.constant([*(shape[k] for k in order), size * size]))
    taken = to.op("Gather", flat, to.constant(np.arange(size) * (size + 1)), axis=len(order))
    letters = "".join(term.letters[k] for k in order) + twice
    return _diagonal(to, _Term(taken, letters))


def _without_ones(to: Expansion, term: _Term, sizes: Mapping[str, int], right: str) -> _Term:
    """Without the dims of size 1 that another operand has more of."""
    shape = to.shape(term.name)
    ones = [k for k, c in enumerate(term.letters) if shape[k] == 1 and sizes[c] > 1]
    if not ones:
        return term
    kept = "".join(c for k, c in enumerate(term.letters) if k not in ones)
    return _Term(to.op("Squeeze", term.name, to.constant(ones)), kept)


def _summed(to: Expansion, term: _Term, needed: str) -> _Term:
    axes = [k for k, letter in enumerate(term.letters) if letter not in needed]
    if not axes:
        return term
    kept = "".join(c for c in term.letters if c in needed)
    return _Term(to.reduce("ReduceSum", term.name, axes), kept)


def _product(to: Expansion, a: _Term, b: _Term, later: str) -> _Term:
    """Contracts what both have and nothing later needs, as a batch of matrix products."""
    both = [c for c in a.letters if c in b.letters]
    batch = "".join(c for c in both if c in later)
    inner = "".join(c for c in both if c not in later)
    rows = "".join(c for c in a.letters if c not in both)
    columns = "".join(c for c in b.letters if c not in both)
    sizes = dict(zip(a.letters + b.letters, to.shape(a.name) + to.shape(b.name), strict=True))
    left = _laid_out(to, a, [batch, rows, inner], sizes)
    right = _laid_out(to, b, [batch, inner, columns], sizes)
    letters = batch + rows + columns
    shape = to.constant([sizes[c] for c in letters])
    return _Term(to.op("Reshape", to.op("MatMul", left, right), shape), letters)


def _laid_out(
    to: Expansion, term: _Term, groups: Sequence[str], sizes: Mapping[str, int]
) -> str:
    order = [term.letters.index(c) for c in "".join(groups)]
    moved = term.name
    if order != sorted(order):
        moved = to.op("Transpose", moved, perm=order)
    shape = [math.prod(sizes[c] for c in group) for group in groups]
    return to.op("Reshape", moved, to.constant(shape if groups[0] else shape[1:]))


def _arranged(to: Expansion, term: _Term, right: str, sizes: Mapping[str, int]) -> str:
    order = [term.letters.index(c) for c in right if c in term.letters]
    moved = term.name
    if order != sorted(order):
        moved = to.op("Transpose", moved, perm=order)
    return to.op("Reshape", moved, to.constant([sizes[c] for c in right]))


PRODUCT_REWRITES: Mapping[str, Rewrite] = {"Einsum": _einsum, "MatMul": _matmul}
