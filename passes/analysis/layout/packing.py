"""How the weights of a linear layer lie best: in blocks as wide as a kernel's block.

A contraction that keeps a block of results in registers reads one row of weights of that
width per step of its reduction. Stored as [channels / width, reduction, width], the rows
that it reads follow each other in memory (ALT's packed layout; GEMM libraries pack alike,
but when the model runs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.parameters import Parameters
from smartmem.passes.analysis.ir.linear_layers import LinearLayer, linear_layer
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.layout.quantized_weights import QuantizedLayer, quantized_layer
from smartmem.passes.analysis.tiling.cpu_single_rows import block_width

# Widths of a block in vectors, best first: two vectors of results for each scalar read.
_VECTORS = (2, 1)

# The widest block, in vectors: longer rows of weights lie on too many pages of memory.
_WIDEST = 16

_FEWEST_ROWS = 4
"""Below, and but for a single row, weights stay in the order in which they lie."""

_NO_BLOCK = "no block of them is as wide as a vector"


@dataclass(frozen=True)
class Packing:
    """A linear layer and the width of the blocks of its weights, in channels."""

    layer: LinearLayer
    width: int

    def __str__(self) -> str:
        return f"blocks of {self.width} channels, as its kernel reads them"


def packing(op: ir.Operation, lanes: int) -> Packing | Refusal | None:
    """How the weights of ``op`` are to be packed for vectors of ``lanes`` elements.

    Returns:
        None if it contracts nothing, or what is known now.
    """
    layer = linear_layer(op)
    if not isinstance(layer, LinearLayer):
        return layer
    nest = layer.nest
    if not nest.is_plain:
        return Refusal("it reads an operand at sums of loops")
    if _has_unit_dims(layer):
        return Refusal("its weights have a dim of one element")
    if nest.loops_of(2)[-1] != layer.channel:
        return Refusal("its channels are not innermost in its result")
    rows = set(nest.loops_of(2)) & set(nest.loops_of(layer.data))
    count = math.prod(nest.domain[loop] for loop in rows)
    if 1 < count < _FEWEST_ROWS:
        return Refusal("it has few rows: each weight is read about once")
    if count == 1:
        width = block_width(layer.width, math.prod(nest.domain) // layer.width, lanes)
        return Packing(layer, width) if width else Refusal(_NO_BLOCK)
    width = _width(layer.width, lanes)
    if width < lanes:
        return Refusal(_NO_BLOCK)
    return Packing(layer, width)


@dataclass(frozen=True)
class QuantizedPacking:
    """A linear layer of quantized weights and the width of the blocks of words, in channels."""

    layer: QuantizedLayer
    width: int

    def __str__(self) -> str:
        layer = self.layer
        return (
            f"blocks of {self.width} channels of {layer.bits} bits, {layer.steps} steps at once"
        )


def quantized_packing(
    op: ir.Operation, lanes: int, parameters: Parameters
) -> QuantizedPacking | Refusal | None:
    """How the quantized weights of ``op`` are to be packed for vectors of ``lanes`` elements.

    Returns:
        None if it contracts nothing, or its weights are not quantized.
    """
    layer = quantized_layer(op, parameters)
    if not isinstance(layer, QuantizedLayer):
        return layer
    channels = layer.nest.domain[layer.channel]
    width = lanes if layer.has_few_rows and channels % lanes == 0 else _width(channels, lanes)
    if width < lanes or width % lanes:
        return Refusal("its channels are no whole vectors: its integers stay as they are")
    return QuantizedPacking(layer, width)


def column_packing(op: ir.Operation, lanes: int) -> Packing | Refusal | None:
    """How a GPU loads the weights of ``op`` as vectors of columns.

    A thread has some columns, of which vectors are loaded, or of steps that lie side by
    side in data and weights alike.

    Returns:
        None if the weights are loaded as vectors where they lie.
    """
    layer = linear_layer(op)
    if not isinstance(layer, LinearLayer) or not layer.nest.is_plain:
        return None
    loops = [layer.nest.loops_of(k) for k in (layer.data, 1 - layer.data)]
    if not all(loops):
        return None  # one number, which is read as such
    data, weights = (indexed[-1] for indexed in loops)
    if weights == layer.channel or (weights == data and weights in layer.nest.reductions):
        return None
    if _has_unit_dims(layer):
        return Refusal("its weights have a dim of one element")
    if layer.nest.loops_of(2)[-1] != layer.channel:
        return Refusal("its channels are not innermost in its result")
    if layer.width % lanes:
        return Refusal("its channels are no whole vectors")
    return Packing(layer, layer.width)


def _has_unit_dims(layer: LinearLayer) -> bool:
    """Whether no loop indexes a dim of the weights; such dims are dropped behind packing."""
    weights = layer.nest.accesses[1 - layer.data]
    return any(expr.is_constant for expr in weights.exprs)


def whole_vectors(channels: int, lanes: int) -> int | None:
    """The width of blocks of whole vectors that divide ``channels``, if there is one."""
    fitting = (lanes * vectors for vectors in _VECTORS)
    return next((width for width in fitting if channels % width == 0), None)


def _width(channels: int, lanes: int) -> int:
    if (width := whole_vectors(channels, lanes)) is not None:
        return width
    # No vector divides them. The end of each block is cut off, so that blocks are wide.
    return max(w for w in range(1, _WIDEST * lanes + 1) if channels % w == 0)
