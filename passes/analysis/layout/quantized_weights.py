"""Linear layers of one operand by weights that are stored as few bits: what is stored.

The weights of such a layer are computed from constants, element by element:

  weights[n, k] = (integers[n, k] - zeros[n, k]) * scales[n, k]

Scales and zero points are the same for groups of steps of the reduction. How many bits an
integer takes, and how long groups are, is read off their values: import need not say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch_mlir import ir

from smartmem.index_map.taking import take
from smartmem.parameters import Numbers, Parameters
from smartmem.passes.analysis.ir.chains import defining_op
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Piece, Refusal, before_views
from smartmem.passes.analysis.scalars.bodies import Body, body_of
from smartmem.passes.analysis.scalars.constant_values import as_written, known_value
from smartmem.passes.analysis.scalars.expressions import Node

WORD = 32
"""Bits that are loaded as one integer."""

_BITS = (2, 4, 8)

_STEPS = (32, 16, 8, 4)
"""Steps of the reduction that share a scale, as a kernel takes them up at once."""

_FEW_ROWS = 16
"""Up to as many, words are unpacked in registers for each row."""

_TO_FLOAT = ("arith.sitofp", "arith.uitofp")


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """A contraction by weights that are computed of integers.

    Attributes:
        op: the contraction.
        nest: its loops.
        data: number of the operand known at run time only; the other is the weights.
        channel: the loop over output channels; ``step`` is the one of the reduction.
        bits: of an integer, as it is to be stored.
        steps: of the reduction that have the same scale, and are stored together.
        integers: [channels, reduction], each in the range of signed integers of ``bits``.
        scales: [channels, groups] in f32; one group where the steps do not differ.
        zeros: the same, of the integers as they are here; None: all are 0.
    """

    op: ir.Operation
    nest: LoopNest
    data: int
    channel: int
    step: int
    bits: int
    steps: int
    integers: Numbers
    scales: Numbers
    zeros: Numbers | None

    @property
    def rows(self) -> int:
        """Rows that are multiplied by the weights."""
        shape = [self.nest.domain[d] for d in self.nest.written if d != self.channel]
        return int(np.prod(shape, dtype=np.int64))

    @property
    def has_few_rows(self) -> bool:
        """Whether it takes less to unpack the weights for each row than to store them."""
        in_order = self.nest.loops_of(self.data) == [*self.nest.written[:-1], self.step]
        return self.rows <= _FEW_ROWS and in_order


def quantized_layer(
    op: ir.Operation, parameters: Parameters
) -> QuantizedLayer | Refusal | None:
    """``op`` as a layer of quantized weights; None if its weights are no computed constants."""
    nest = loop_nest(op)
    if nest is None or not nest.is_contraction or len(op.operands) != 3 or not nest.is_plain:
        return None
    found = [dequantized(value, parameters) for value in list(op.operands)[:2]]
    weights = next((k for k, f in enumerate(found) if f is not None), None)
    if weights is None:
        return None
    stored = found[weights]
    assert stored is not None, "it was looked for"
    if {str(value.type.element_type) for value in op.operands} != {"f32"}:
        return Refusal("it computes in other types than f32")
    own, data = nest.loops_of(weights), nest.loops_of(1 - weights)
    channels = [d for d in own if d in nest.written and d not in data]
    steps = [d for d in own if d in nest.reductions]
    if len(own) != 2 or len(channels) != 1 or len(steps) != 1:
        return Refusal("its quantized weights have other dims than channels and steps")
    if nest.written[-1] != channels[0]:
        return Refusal("its channels are not innermost in its result")
    parts = [_ordered(part, own, channels[0]) for part in stored]
    return _layer(op, nest, 1 - weights, channels[0], steps[0], parts)


def _ordered(part: Numbers | None, own: list[int], channel: int) -> Numbers | None:
    return part if part is None or own[0] == channel else part.T


def _layer(
    op: ir.Operation,
    nest: LoopNest,
    data: int,
    channel: int,
    step: int,
    parts: list[Numbers | None],
) -> QuantizedLayer | Refusal:
    integers, scales, zeros = parts
    assert integers is not None and scales is not None, "they make up the weights"
    stored = _narrowed(integers)
    if stored is None:
        return Refusal("its quantized weights take more than 8 bits")
    bits, middle = stored
    moved = (np.zeros(1, np.float32) if zeros is None else zeros) - np.float32(middle)
    zeros = np.broadcast_to(moved, scales.shape) if moved.any() else None
    steps = _common_steps(bits, scales, zeros)
    if steps is None:
        return Refusal("its scales change within a word of weights")
    integers = (integers.astype(np.int16) - middle).astype(np.int8)
    return QuantizedLayer(
        *(op, nest, data, channel, step, bits, steps, integers),
        _grouped(scales, steps),
        None if zeros is None else _grouped(zeros, steps),
    )


def _narrowed(integers: Numbers) -> tuple[int, int] | None:
    """The bits that hold the integers, and what is subtracted from them before."""
    low, high = int(integers.min()), int(integers.max())
    for bits in _BITS:
        half = 1 << (bits - 1)
        for middle in (0, half):
            if -half <= low - middle and high - middle < half:
                return bits, middle
    return None


def _common_steps(bits: int, *parts: Numbers | None) -> int | None:
    """How many steps are stored together: whole words, all with the same scale."""
    arrays = [part for part in parts if part is not None]
    reduction = arrays[0].shape[1]
    for steps in _STEPS:
        whole = reduction % steps == 0 and steps * bits % WORD == 0
        if whole and all(_is_common(array, steps) for array in arrays):
            return steps
    return None


def _is_common(array: Numbers, steps: int) -> bool:
    grouped = array.reshape(array.shape[0], -1, steps)
    return bool((grouped == grouped[..., :1]).all())


def _grouped(array: Numbers, steps: int) -> Numbers:
    """One column for each group of steps; one where all are the same."""
    groups = np.ascontiguousarray(array[:, ::steps], np.float32)
    return groups[:, :1] if (groups == groups[:, :1]).all() else groups


def dequantized(
    value: ir.Value, parameters: Parameters
) -> tuple[Numbers, Numbers, Numbers | None] | None:
    """Integers, scales and zero points of what ``value`` reads, each in its shape.

    None if it is not computed of constant integers in this way.
    """
    maker = defining_op(before_views(value))
    if maker is None or maker.name != "linalg.generic":
        return None
    piece = reading(value).single
    if piece is None or piece.source != maker.results[0]:
        return None
    body = body_of(maker, parameters)
    if isinstance(body, Refusal) or not body.is_known(body.root):
        return None
    if body.nest.reductions:
        return None
    parts = _parts(body)
    if parts is None:
        return None
    arrays = [None if part is None else _read(piece, body, part) for part in parts]
    integers, scales, zeros = arrays
    if integers is None or scales is None or (zeros is None and parts[2] is not None):
        return None
    return integers, scales, zeros


def _parts(body: Body) -> tuple[Node, Node, Node | None] | None:
    """The parts of ``(integers - zeros) * scales``, or of integers alone."""
    root = body.root
    if _integers(body, root) is not None:
        return root, body.pool.constant(1.0, root.type), None
    if root.kind != "arith.mulf":
        return None
    for moved, scales in (root.args, reversed(root.args)):
        integers = _integers(body, moved)
        if integers is not None:
            return integers, scales, None
        if moved.kind == "arith.subf" and (found := _integers(body, moved.args[0])) is not None:
            return found, scales, moved.args[1]
    return None


def _integers(body: Body, node: Node) -> Node | None:
    """The integers that ``node`` converts, as many as there are iterations."""
    iterations = int(np.prod(body.nest.domain, dtype=np.int64))
    return node if node.kind in _TO_FLOAT and body.extent(node) == iterations else None


def _read(piece: Piece, body: Body, node: Node) -> Any:
    array = known_value(body, node)
    written = None if array is None else as_written(array, body.nest)
    return None if written is None else take(piece.index_map, written)
