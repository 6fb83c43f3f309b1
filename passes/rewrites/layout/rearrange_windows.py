"""Rebuild a convolution or pooling over permuted operands; views permute them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch_mlir import ir

from smartmem.index_map import dim, transpose
from smartmem.index_map import expr as ex
from smartmem.index_map.affine import to_affine_map
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import before_views, shape_of
from smartmem.passes.analysis.operators.sliding_windows import (
    FORMS,
    IMAGE,
    RESULT,
    WEIGHTS,
    Windows,
)
from smartmem.passes.analysis.padding.channel_padding import ChannelPadding
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body
from smartmem.passes.rewrites.loops.split_loops import new_init, view_as
from smartmem.passes.rewrites.padding.pad_channels import (
    padded_domain,
    padded_picture,
    padded_weights,
)

_FEW_CHANNELS = 4
"""Fewer channels, as a picture has them, are no vector."""


def rearrange_windows(
    found: Windows, form: str, padding: ChannelPadding | None, parameters: Parameters
) -> None:
    """Replaces the operation by a generic in the layouts ``FORMS[form]``, between views.

    With ``padding``, it runs over that many input channels.
    """
    orders = FORMS[form]
    op = found.op
    rank = len(found.accesses[IMAGE].exprs)
    in_order = padding is None and _is_scalar(found)
    axes = [
        list(range(rank)) if in_order else found.axes(IMAGE, orders.image),
        found.axes(WEIGHTS, orders.weights if _holds_weights(found) else ("window",)),
        found.axes(RESULT, orders.result),
    ]
    with ir.InsertionPoint(op), op.location:
        inputs = _inputs(found, axes, padding, parameters)
        there = transpose(shape_of(op.operands[RESULT]), axes[RESULT])
        init = new_init(op.operands[RESULT], there.shape, there)
        loops = found.loops((*orders.result, "window", "input"))
        if padding is not None:
            found = replace(found, domain=padded_domain(found, padding))
        generic = _generic(found, [*inputs, init], axes, loops)
        back = [axes[RESULT].index(d) for d in range(len(axes[RESULT]))]
        result = view_as(generic, transpose(shape_of(generic), back))
        op.results[0].replace_all_uses_with(result)
    op.erase()


def _inputs(
    found: Windows,
    axes: Sequence[Sequence[int]],
    padding: ChannelPadding | None,
    parameters: Parameters,
) -> list[ir.Value]:
    """Image and weights with their dims in the orders ``axes``."""
    if padding is not None:
        return [
            padded_picture(found, padding, axes[IMAGE]),
            padded_weights(found, padding, axes[WEIGHTS], parameters),
        ]
    values = [(found.op.operands[k], axes[k]) for k in (IMAGE, WEIGHTS)]
    return [view_as(v, transpose(shape_of(v), order)) for v, order in values]


def _is_scalar(found: Windows) -> bool:
    """Whether vectors are loaded of the weights alone, and the image is an argument.

    Scalars are read in any order; to permute an argument would be a kernel.
    """
    if not found.roles["output"] or found.extent("input") >= _FEW_CHANNELS:
        return False
    return isinstance(before_views(found.op.operands[IMAGE]).owner, ir.Block)


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
    iterators = build.iterators([loop not in written for loop in loops])
    generic = build.generic(operands, maps, iterators)
    clone_body(found.op, generic)
    return generic.results[0]
