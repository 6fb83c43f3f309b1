"""Which pictures get channels of zeros, so that their channels are vectors.

Three channels are no vector: a convolution of a picture loads each element alone. With a
fourth channel of zeros, in the picture and in the weights, it loads four at once. A picture
that is padded anyway gets it for nothing: the same kernel writes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.parameters import Array, Parameters
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.movement import Piece
from smartmem.passes.analysis.operators.sliding_windows import IMAGE, WEIGHTS, Windows
from smartmem.passes.analysis.operators.window_parts import is_zero
from smartmem.passes.analysis.scalars.constant_values import constant_value

# More zeros than this part of all channels would be more work than the loads take.
_MOST_ZEROS = 0.25


@dataclass(frozen=True)
class ChannelPadding:
    """A convolution whose input channels are to be more.

    Attributes:
        loop: the one over the input channels.
        channels: how many there are to be.
        picture: the argument that the convolution reads, and how.
        fill: zero, with which it is padded.
        weights: their elements.
    """

    loop: int
    channels: int
    picture: Piece
    fill: ir.Value
    weights: Array


def channel_padding(
    found: Windows, lanes: int, parameters: Parameters
) -> ChannelPadding | None:
    """How the input channels fill vectors of ``lanes`` elements; None: they stay."""
    if len(found.roles["input"]) != 1 or not found.roles["output"]:
        return None
    (loop,) = found.roles["input"]
    old = found.domain[loop]
    new = -(-old // lanes) * lanes
    if new == old or new - old > _MOST_ZEROS * new:
        return None
    read = reading(found.op.operands[IMAGE])
    if len(read.pieces) != 1 or read.fill is None or not is_zero(read.fill):
        return None
    weights = constant_value(found.op.operands[WEIGHTS], parameters)
    # Behind anything that computes the picture, the padding may be written by that.
    if weights is None or not isinstance(read.pieces[0].source.owner, ir.Block):
        return None
    return ChannelPadding(loop, new, read.pieces[0], read.fill, weights)
