"""Contractions whose rows are scaled along the sum before they are read: squeeze-excite.

    sum over k of (x[m, k] * s[k]) * w[k, n]  =  sum over k of x[m, k] * (s[k] * w[k, n])

The weights of a block of columns are scaled while they are loaded, as vectors. The rows are
not: a scalar of them is used at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal, shape_of

# Each block of rows scales the weights again: with fewer rows, a good part of the work.
_FEWEST_ROWS = 32


@dataclass(frozen=True)
class RowScale:
    """A contraction and the scale that its kernel can take in.

    Attributes:
        contraction: the operation.
        operand: number of its operand that is the scaled rows.
        weights: number of the other one.
        product: the multiplication by the scale.
        rows: what it multiplies, of the shape of the product.
        scale: the factor of each element along the innermost dim.
        reshapes: what lies between product and contraction, in program order.
    """

    contraction: ir.Operation
    operand: int
    weights: int
    product: ir.Operation
    rows: ir.Value
    scale: ir.Value
    reshapes: tuple[ir.Operation, ...]

    def __str__(self) -> str:
        return "its kernel scales the weights instead of reading scaled rows"


def row_scale(contraction: ir.Operation) -> RowScale | Refusal | None:
    """The scale of the rows of a contraction; None if its rows are not scaled."""
    nest = loop_nest(contraction)
    if nest is None or not nest.is_contraction:
        return None
    for operand in (0, 1):
        found = _product(contraction.operands[operand])
        if found is None:
            continue
        product, reshapes = found
        return _refuse(contraction, nest, operand, reshapes) or RowScale(
            *(contraction, operand, 1 - operand, product),
            *_factors(product),
            reshapes,
        )
    return None


def _product(value: ir.Value) -> tuple[ir.Operation, tuple[ir.Operation, ...]] | None:
    """The multiplication of rows by a scale that ``value`` is, and the reshapes behind it."""
    reshapes: list[ir.Operation] = []
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        if op.name not in RESHAPES:
            return (op, tuple(reversed(reshapes))) if _scales(op) else None
        reshapes.append(op)
        value = op.operands[0]
    return None


def _scales(op: ir.Operation) -> bool:
    """Whether ``op`` multiplies a tensor by a factor for each place of the innermost dim."""
    nest = generic_nest(op)
    if nest is None or nest.reductions or nest.uses_index or len(nest.accesses) != 3:
        return False
    written = nest.accesses[-1].exprs
    scale, rows = sorted((nest.accesses[k].exprs for k in (0, 1)), key=len)
    scaled = len(written) > 1 and rows == written and scale == written[-1:]
    return scaled and nest.is_plain and _multiplies(op)


def _multiplies(op: ir.Operation) -> bool:
    body = [inner.operation for inner in op.regions[0].blocks[0].operations]
    if [inner.name for inner in body] != ["arith.mulf", "linalg.yield"]:
        return False
    product, end = body
    arguments = list(op.regions[0].blocks[0].arguments)[:2]
    return set(product.operands) == set(arguments) and end.operands[0] == product.results[0]


def _factors(product: ir.Operation) -> tuple[ir.Value, ir.Value]:
    """Rows and scale of a multiplication."""
    first, second = list(product.operands)[:2]
    return (first, second) if len(shape_of(first)) > len(shape_of(second)) else (second, first)


def _refuse(
    contraction: ir.Operation,
    nest: LoopNest,
    operand: int,
    reshapes: tuple[ir.Operation, ...],
) -> Refusal | None:
    """Why the kernel cannot scale its weights instead."""
    value = contraction.operands[operand]
    sources = [value, *(op.operands[0] for op in reshapes)]
    if any(len(list(source.uses)) != 1 for source in sources):
        return Refusal("the scaled rows are read by others, too")
    innermost = shape_of(value)[-1]
    if any(shape_of(source)[-1] != innermost for source in sources):
        return Refusal("a reshape splits or joins what the scale is for")
    loop = nest.loops_of(operand)[-1] if nest.is_plain else None
    if loop not in nest.reductions or nest.domain[loop] != innermost:
        return Refusal("the scale is not for what the contraction sums over")
    if loop not in nest.loops_of(1 - operand):
        return Refusal("the other operand does not vary along the sum")
    if math.prod(nest.domain) // math.prod(shape_of(contraction.operands[1 - operand])) < (
        _FEWEST_ROWS
    ):
        return Refusal(f"fewer than {_FEWEST_ROWS} rows use each weight")
    return None
