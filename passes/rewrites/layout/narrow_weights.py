"""Let a linear operation multiply by the integers of its weights, and scale its result.

  linear(%x, q * s[channel])  ->  linear'(%x, q) * s,  linear' { %x * float(%q) }

Integers are converted in the kernel's registers, for all rows of a block, and packed as weights in
f32 are.
"""

from __future__ import annotations

import numpy as np
from torch_mlir import ir
from torch_mlir.dialects import arith

from smartmem.index_map.affine import projection
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.loops import generic_nest, indexing_maps
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.layout.scaled_integers import ScaledIntegers
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_op
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.fusion.inline_producer import inline_producer


def narrow_weights(found: ScaledIntegers, parameters: Parameters) -> None:
    """Replaces the operation by one of integers, and a product by scales.

    An operation that alone reads the result and does not multiply it with others scales it.
    """
    op = found.op
    with ir.InsertionPoint(op), op.location:
        i8 = ir.IntegerType.get_signless(8)
        type_ = ir.RankedTensorType.get(list(found.integers.shape), i8)
        integers = constant_tensor("integers", found.integers, type_, parameters)
        operands = list(op.operands)
        operands[found.number] = integers
        maps = [ir.AffineMapAttr(a).value for a in op.attributes["indexing_maps"]]
        new = build.generic(operands, maps, op.attributes["iterator_types"])
        _convert(op, new, found.number)
        scales = np.ascontiguousarray(found.scales, np.float32)
        type_ = ir.RankedTensorType.get(list(scales.shape), ir.F32Type.get())
        factors = constant_tensor("scales", scales, type_, parameters)
        result = new.results[0]
        rank = len(shape_of(result))
        access = [ir.AffineMap.get_identity(rank), projection(rank, list(found.axes))]
        scaled = build.elementwise(
            [result, factors], access, build.empty(result.type), lambda e: arith.mulf(*e)
        )
        op.results[0].replace_all_uses_with(scaled)
    op.erase()
    _scale_where_read(scaled.owner.operation)


def _scale_where_read(scale: ir.Operation) -> None:
    """Has the only reader scale: a kernel of a sum behind it has no place for more operations."""
    uses = list(scale.results[0].uses)
    reader = uses[0].owner.operation if len(uses) == 1 else None
    nest = None if reader is None else generic_nest(reader)
    if reader is None or nest is None or nest.is_contraction:
        return
    if uses[0].operand_number == nest.output or not nest.is_plain:
        return
    looked = list(zip(scale.operands, indexing_maps(scale)[:-1], strict=False))
    inline_producer(reader, scale, looked)
    scale.erase()


def _convert(old: ir.Operation, new: ir.Operation, number: int) -> None:
    """Gives ``new`` the body of ``old``, with the elements of one operand as integers."""
    source, block = old.regions[0].blocks[0], build.new_body(new)
    values = dict(zip(source.arguments, block.arguments, strict=True))
    with ir.InsertionPoint(block):
        argument = source.arguments[number]
        values[argument] = arith.sitofp(argument.type, block.arguments[number])
        for op in source.operations:
            clone_op(op.operation, values)
