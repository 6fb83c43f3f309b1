"""Reductions that sum several products: what unrolled windows of convolutions are."""

from __future__ import annotations

from dataclasses import replace

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import LoopNest, generic_nest, loop_nest

_SUMS = {"arith.addf": "arith.mulf", "arith.addi": "arith.muli"}

Product = tuple[int, int]
"""The numbers of two operands that are multiplied."""


def products_of(op: ir.Operation) -> list[Product]:
    """The products that ``op`` adds to its output, each of two operands; else none."""
    if generic_nest(op) is None or not _reduces(op):
        return []
    block = op.regions[0].blocks[0]
    yielded = block.operations[-1].operands[0]
    if isinstance(yielded.owner, ir.Block) or yielded.owner.name not in _SUMS:
        return []
    terms = _terms(yielded, yielded.owner.name)
    output = block.arguments[-1]
    products = [
        found
        for term in terms
        if term != output
        and (found := _product(term, block, _SUMS[yielded.owner.name])) is not None
    ]
    return products if len(products) == len(terms) - 1 else []


def contraction_of(op: ir.Operation, product: Product) -> LoopNest:
    """The loops of ``op`` as those of a contraction of one product alone."""
    nest = loop_nest(op)
    assert nest is not None, "a generic has loops"
    accesses = (*(nest.accesses[k] for k in product), nest.accesses[-1])
    return replace(nest, accesses=accesses, is_contraction=True)


def _reduces(op: ir.Operation) -> bool:
    kinds = ir.ArrayAttr(op.attributes["iterator_types"])
    return any("reduction" in str(kind) for kind in kinds)


def _terms(total: ir.Value, adds: str) -> list[ir.Value]:
    """What ``total`` is the sum of."""
    found, waiting = [], [total]
    while waiting:
        value = waiting.pop()
        if isinstance(value.owner, ir.Block) or value.owner.name != adds:
            found.append(value)
        else:
            waiting += reversed(list(value.owner.operands))
    return found


def _product(value: ir.Value, block: ir.Block, multiplies: str) -> Product | None:
    if isinstance(value.owner, ir.Block) or value.owner.name != multiplies:
        return None
    arguments = list(block.arguments)[:-1]
    a, b = value.owner.operands
    if a not in arguments or b not in arguments:
        return None
    return arguments.index(a), arguments.index(b)
