"""How the weights of a convolution lie best: in blocks as wide as a kernel's block.

An unrolled window reads a row of weights for each of its taps per step of the reduction. In the
order [window, channels in, channels out] these lie on as many pages of memory as the window has
taps, and the next step is on other lines. Stored as [channels out / width, channels in, window,
width], all taps of all steps follow each other.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.linear_layers import stored_constant
from smartmem.passes.analysis.ir.movement import Piece, Refusal
from smartmem.passes.analysis.layout.packing import whole_vectors
from smartmem.passes.analysis.operators.sliding_windows import (
    IMAGE,
    RESULT,
    WEIGHTS,
    Windows,
    loops_of,
    windows_of,
)


@dataclass(frozen=True)
class WindowPacking:
    """A convolution and the width of the blocks of its weights, in channels.

    Attributes:
        windows: its loops.
        stored: the constant that holds the weights, and how it is read.
        channel: the loop over output channels.
        width: channels of a block.
    """

    windows: Windows
    stored: Piece
    channel: int
    width: int

    def __str__(self) -> str:
        return f"blocks of {self.width} channels, as its kernel reads them"


def window_packing(op: ir.Operation, lanes: int) -> WindowPacking | Refusal | None:
    """How the weights of ``op`` are to be packed for vectors of ``lanes`` elements.

    Returns:
        None if it slides no window over an image, or has no channels of its own to write.
    """
    windows = windows_of(op)
    if not isinstance(windows, Windows) or not windows.roles["output"]:
        return None
    stored = stored_constant(op.operands[WEIGHTS])
    if stored is None:
        return Refusal("its weights are not constant")
    if not isinstance(op.results[0].type.element_type, ir.FloatType):
        return Refusal("it computes in integers")
    channel = windows.roles["output"][-1]
    if loops_of(windows.accesses[RESULT].exprs[-1]) != [channel]:
        return Refusal("its channels are not innermost in its result")
    if loops_of(windows.accesses[IMAGE].exprs[-1])[0] not in windows.roles["input"]:
        return Refusal("its image has points innermost: blocks are wide there")
    channels = windows.domain[channel]
    width = whole_vectors(channels, lanes)
    if width in (None, channels):
        return Refusal("its channels are not several blocks of whole vectors")
    return WindowPacking(windows, stored, channel, width)
