"""Rebuild a kernel's sum in the form that has tile sizes."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.passes.analysis.fusion.row_scales import RowScale
from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.analysis.operators.product_sums import Product
from smartmem.passes.analysis.tiling.kernel_forms import Chain
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.fusion.scale_weights import scale_weights


def write_form(form: Chain | RowScale) -> None:
    """Replaces a sum of products by contractions, or scaled rows by scaled weights."""
    if isinstance(form, Chain):
        _chain_products(form.op, form.products)
    else:
        scale_weights(form)


def _chain_products(op: ir.Operation, products: Sequence[Product]) -> None:
    """Replaces ``op`` by one contraction for each of its products."""
    maps = indexing_maps(op)
    iterators = ir.ArrayAttr(op.attributes["iterator_types"])
    operands = list(op.operands)
    total = operands[-1]
    with ir.InsertionPoint(op), op.location:
        for numbers in products:
            values = [*(operands[k] for k in numbers), total]
            generic = build.generic(values, [*(maps[k] for k in numbers), maps[-1]], iterators)
            _multiply_and_add(generic)
            total = generic.results[0]
    op.results[0].replace_all_uses_with(total)
    op.erase()


def _multiply_and_add(generic: ir.Operation) -> None:
    block = build.new_body(generic)
    a, b, output = block.arguments
    kind = "f" if isinstance(output.type, ir.FloatType) else "i"
    with ir.InsertionPoint(block):
        product = ir.Operation.create(f"arith.mul{kind}", [output.type], [a, b]).results[0]
        total = ir.Operation.create(f"arith.add{kind}", [output.type], [output, product])
        ir.Operation.create("linalg.yield", [], [total.results[0]])
