"""Compute a contraction's products in f16, and add up sums of few of them in f32.

%r[m, n] = %i[m, n] + sum over k < 512 of f32(%a[m, k]) * f32(%b[k, n])
  ->
%p[m, n] = sum over k < 256 of %a[m, k] * %b[k, n]            in f16
%s[m, n] = %i[m, n] + f32(%p[m, n])
%q[m, n] = sum over k < 256 of %a[m, 256 + k] * %b[256 + k, n]
%r[m, n] = %s[m, n] + f32(%q[m, n])
"""

from __future__ import annotations

from torch_mlir import ir
from torch_mlir.dialects import arith, linalg

from smartmem.passes.analysis.ir.loops import indexing_maps, loop_nest
from smartmem.passes.analysis.ir.movement import shape_of
from smartmem.passes.analysis.precision.half_products import HalfProducts
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.convert_elements import cast, with_element


def multiply_halves(found: HalfProducts) -> None:
    """Replaces ``found.op`` by contractions in f16 and additions in f32."""
    op = found.op
    with op.location, ir.InsertionPoint(op):
        total = op.operands[len(op.operands) - 1]
        for number in range(found.parts):
            total = _plus(total, _part(found, number))
    op.results[0].replace_all_uses_with(total)
    op.erase()


def _part(found: HalfProducts, number: int) -> ir.Value:
    """The sum of one part of the products, a tensor of f16."""
    op, f16 = found.op, ir.F16Type.get()
    *inputs, out = op.operands
    type_ = with_element(out.type, f16)
    operands = [_slice(found, n, value, number) for n, value in enumerate(inputs)]
    init = build.splat(build.zero(f16), type_)
    maps = indexing_maps(op)
    sums = [i in _reduced(maps) for i in range(maps[0].n_dims)]
    new = build.generic([*operands, init], maps, build.iterators(sums))
    block = build.new_body(new)
    with ir.InsertionPoint(block):
        a, b, total = block.arguments
        linalg.YieldOp([arith.addf(total, arith.mulf(a, b))])
    for name in _CONFIGURED:
        # A kernel has one configuration, that of its last sum.
        if name in op.attributes and number == found.parts - 1:
            new.attributes[name] = op.attributes[name]
    return new.results[0]


_CONFIGURED = ("compilation_info", "lowering_config", "smartmem.tiles")


def _reduced(maps: list[ir.AffineMap]) -> set[int]:
    written = {
        ir.AffineDimExpr(e).position
        for e in maps[-1].results
        if isinstance(e, ir.AffineDimExpr)
    }
    return set(range(maps[0].n_dims)) - written


def _slice(found: HalfProducts, operand: int, value: ir.Value, number: int) -> ir.Value:
    nest = loop_nest(found.op)
    assert nest is not None
    if found.loop not in nest.loops_of(operand):
        return value
    axis, sizes = nest.axis_of(operand, found.loop), list(shape_of(value))
    offsets = [0] * len(sizes)
    offsets[axis], sizes[axis] = number * found.part, found.part
    return build.extract_slice(value, offsets, sizes, [1] * len(sizes))


def _plus(total: ir.Value, part: ir.Value) -> ir.Value:
    rank = len(shape_of(part))
    identity, wide = ir.AffineMap.get_identity(rank), total.type.element_type
    init = build.empty(total.type)
    if _is_zero(total):
        return build.elementwise([part], [identity], init, lambda xs: cast(xs[0], wide))
    return build.elementwise(
        [total, part], [identity] * 2, init, lambda xs: arith.addf(xs[0], cast(xs[1], wide))
    )


def _is_zero(value: ir.Value) -> bool:
    if isinstance(value.owner, ir.Block) or value.owner.operation.name != "linalg.fill":
        return False
    number = value.owner.operation.operands[0].owner
    if isinstance(number, ir.Block) or number.operation.name != "arith.constant":
        return False
    attribute = number.operation.attributes["value"].maybe_downcast()
    return isinstance(attribute, ir.FloatAttr) and float(attribute.value) == 0.0
