"""Which sums of products are computed in f16, in parts of few products.

A sum in f16 loses digits with each product that it adds, and ends at 65504. So few products are
added up in f16, where a GPU computes twice as many at once, and their sum in f32.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import contracts, divisors, loop_nest
from smartmem.passes.analysis.ir.movement import Refusal


@dataclass(frozen=True)
class HalfProducts:
    """A contraction whose products are f16.

    Attributes:
        op: the contraction.
        loop: the reduction loop that is taken apart.
        part: the iterations of it that are added up in f16.
        parts: how many such parts there are.
    """

    op: ir.Operation
    loop: int
    part: int
    parts: int

    def __str__(self) -> str:
        return f"products in f16, {self.parts} sums of them in f32"


def half_products(op: ir.Operation, most: int, step: int) -> HalfProducts | Refusal | None:
    """How ``op`` is computed in f16; None: it is no sum of products in f32.

    Args:
        most: products that are added up in f16.
        step: products that a thread loads at once; a part has whole steps.
    """
    if not contracts(op) or not str(op.results[0].type).endswith("f32>"):
        return None
    nest = loop_nest(op)
    assert nest is not None
    if not nest.reductions:
        return Refusal("it sums nothing up")
    for operand in list(op.operands)[:-1]:
        if str(operand.type.element_type) != "f16":
            return Refusal("an operand is f32")
    loop = max(nest.reductions, key=lambda d: nest.domain[d])
    others = [nest.domain[d] for d in nest.reductions if d != loop]
    extent, room = nest.domain[loop], most
    for n in others:
        room //= n
    found = (n for n in divisors(extent) if n <= room and (n % step == 0 or n == extent))
    part = next(found, None)
    if part is None:
        return Refusal(f"no part of its {extent} products has up to {room}, in steps of {step}")
    return HalfProducts(op, loop, part, extent // part)
