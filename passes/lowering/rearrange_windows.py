"""Rebuild a convolution or pooling over permuted operands; views permute them."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.dialect import ViewOp, view
from smartmem.index_map import dim, from_affine, transpose
from smartmem.index_map import expr as ex
from smartmem.index_map.affine import to_affine_map
from smartmem.passes.analysis.movement import shape_of, view_map
from smartmem.passes.analysis.windows import FORMS, IMAGE, RESULT, WEIGHTS, Windows, loops_of
from smartmem.passes.lowering import tensor_ops as build
from smartmem.passes.lowering.split_loops import clone_body, new_init, view_as


def rearrange_windows(found: Windows, form: str) -> None:
    """Replaces the operation by a generic in the layouts ``FORMS[form]``, between views."""
    orders = FORMS[form]
    op = found.op
    axes = [
        found.axes(IMAGE, orders.image),
        found.axes(WEIGHTS, orders.weights if _holds_weights(found) else ("window",)),
        found.axes(RESULT, orders.result),
    ]
    with ir.InsertionPoint(op), op.location:
        inputs = [_permuted(op.operands[k], axes[k]) for k in (IMAGE, WEIGHTS)]
        start = op.operands[RESULT]
        there = transpose(shape_of(start), axes[RESULT])
        init = new_init(start, there.shape, there)
        loops = found.loops((*orders.result, "window", "input"))
        generic = _generic(found, [*inputs, init], axes, loops)
        back = [axes[RESULT].index(d) for d in range(len(axes[RESULT]))]
        result = view_as(generic, transpose(shape_of(generic), back))
        op.results[0].replace_all_uses_with(result)
    op.erase()


def _permuted(value: ir.Value, axes: Sequence[int]) -> ir.Value:
    """``value`` with its dims in the order ``axes``; padding is added behind the view.

    So the producer of what is padded can write it in this order.
    """
    pad = _padding(value)
    if pad is None:
        return view_as(value, transpose(shape_of(value), axes))
    source = view_as(pad.source, transpose(shape_of(pad.source), axes))
    shape = tuple(shape_of(value)[d] for d in axes)
    renamed = [dim(list(axes).index(d)) for d in range(len(axes))]
    exprs = [ex.substitute(e, renamed, shape) for e in view_map(pad.operation).exprs]
    held = from_affine(ir.AffineMapAttr(pad.domain).value, shape_of(value))
    domain = [ex.substitute(e, renamed, shape) for e in held.exprs]
    return view(
        source,
        to_affine_map([exprs[d] for d in axes], len(axes), value.context),
        build.tensor_type(value, shape),
        to_affine_map(domain, len(axes), value.context),
        pad.fill,
    )


def _padding(value: ir.Value) -> ViewOp | None:
    """The view that makes ``value`` by padding each dim of its source in place."""
    owner = value.owner
    if isinstance(owner, ir.Block) or owner.name != ViewOp.OPERATION_NAME:
        return None
    pad = owner.opview
    if pad.fill is None or pad.domain is None:
        return None
    exprs = view_map(owner.operation).exprs
    in_place = all(
        e.is_constant or (loops_of(e) == [d] and e.terms[0][1] == 1)
        for d, e in enumerate(exprs)
    )
    return pad if in_place and len(exprs) == len(shape_of(value)) else None


def _holds_weights(found: Windows) -> bool:
    return len(found.accesses[WEIGHTS].exprs) > len(found.roles["window"])


def _generic(
    found: Windows,
    operands: Sequence[ir.Value],
    axes: Sequence[Sequence[int]],
    loops: Sequence[int],
) -> ir.Value:
    """The operation over ``loops``, with the dims of each operand in the order ``axes``."""
    context = found.op.context
    renamed = [dim(loops.index(loop)) for loop in range(len(loops))]
    domain = tuple(found.domain[loop] for loop in loops)
    maps = [
        to_affine_map(
            [ex.substitute(access.exprs[d], renamed, domain) for d in order],
            len(loops),
            context,
        )
        for access, order in zip(found.accesses, axes, strict=True)
    ]
    written = found.loops(("batch", "image", "group", "output"))
    kinds = ["parallel" if loop in written else "reduction" for loop in loops]
    generic = ir.Operation.create(
        "linalg.generic",
        [operands[RESULT].type],
        list(operands),
        {
            "indexing_maps": ir.ArrayAttr.get([ir.AffineMapAttr.get(m) for m in maps]),
            "iterator_types": ir.ArrayAttr.get(
                [ir.Attribute.parse(f"#linalg.iterator_type<{kind}>") for kind in kinds]
            ),
            "operandSegmentSizes": ir.DenseI32ArrayAttr.get([2, 1]),
        },
        regions=1,
    )
    clone_body(found.op, generic)
    return generic.results[0]
