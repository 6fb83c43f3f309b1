"""Read a picture with channels of zeros, and give its weights the same."""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.index_map import Domain, IndexMap, Shape, compose, compose_domain, constant, dim
from smartmem.index_map import expr as ex
from smartmem.index_map.physical_layout import lay_out
from smartmem.index_map.primitives import Pad, Reorder
from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.movement import Piece
from smartmem.passes.analysis.operators.sliding_windows import IMAGE, WEIGHTS, Windows
from smartmem.passes.analysis.padding.channel_padding import ChannelPadding
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.constants import constant_tensor
from smartmem.passes.rewrites.builders.movement_ops import build_movement


def padded_picture(found: Windows, padding: ChannelPadding, order: Sequence[int]) -> ir.Value:
    """The picture with its dims in ``order`` and zeros in its new channels: one movement."""
    piece, channels = padding.picture, found.accesses[IMAGE].exprs.index(dim(padding.loop))
    old = piece.index_map.shape
    shape = tuple(padding.channels if d == channels else old[d] for d in order)
    there = IndexMap(tuple(dim(order.index(d)) for d in range(len(old))), shape)
    inside = ex.add(
        [ex.scale(dim(order.index(channels)), -1), constant(old[channels] - 1)], shape
    )
    held = compose_domain(there, piece.domain).constraints
    whole = Piece(piece.source, compose(there, piece.index_map), Domain((*held, inside)))
    type_ = build.tensor_type(piece.source, shape)
    return build_movement([whole], padding.fill, type_)


def padded_weights(
    found: Windows, padding: ChannelPadding, order: Sequence[int], parameters: Parameters
) -> ir.Value:
    """The weights with their dims in ``order`` and zeros for the new channels."""
    channels = found.accesses[WEIGHTS].exprs.index(dim(padding.loop))
    more = padding.channels - found.domain[padding.loop]
    array = lay_out(padding.weights, (Pad(channels, 0, more), Reorder(tuple(order))))
    type_ = build.tensor_type(found.op.operands[WEIGHTS], array.shape)
    return constant_tensor("channels", array, type_, parameters)


def padded_domain(found: Windows, padding: ChannelPadding) -> Shape:
    """The extents of the loops."""
    extents = enumerate(found.domain)
    return tuple(padding.channels if d == padding.loop else n for d, n in extents)
