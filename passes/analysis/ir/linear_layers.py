"""Linear layers: contractions of one operand by weights that are known now."""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ConcatOp
from smartmem.passes.analysis.ir.chains import defining_op
from smartmem.passes.analysis.ir.def_use import reading
from smartmem.passes.analysis.ir.loops import LoopNest, loop_nest
from smartmem.passes.analysis.ir.movement import Piece, Refusal, before_views


@dataclass(frozen=True, eq=False)
class LinearLayer:
    """A contraction of one operand by constant weights.

    Attributes:
        op: the operation.
        nest: its loops.
        data: number of the operand known at run time only; the other is the weights.
        stored: the constant that holds the weights, and how it is read.
        channel: the loop over output channels: weights and result have it, data not.
    """

    op: ir.Operation
    nest: LoopNest
    data: int
    stored: Piece
    channel: int

    @property
    def reads(self) -> ir.Value:
        """The operand known at run time only."""
        return self.op.operands[self.data]

    @property
    def width(self) -> int:
        """Number of output channels."""
        return self.nest.domain[self.channel]

    @property
    def axis(self) -> int:
        """The dim of the result that runs over the output channels."""
        return self.nest.axis_of(2, self.channel)


def linear_layer(op: ir.Operation) -> LinearLayer | Refusal | None:
    """``op`` as a linear layer, why it is none, or None if it contracts nothing."""
    nest = loop_nest(op)
    if nest is None or not nest.is_contraction or len(op.operands) != 3:
        return None
    stored = [stored_constant(value) for value in list(op.operands)[:2]]
    if all(stored):
        return None  # folded at compile time
    if not any(stored):
        return Refusal("its weights are not constant")
    data = stored.index(None)
    weights = stored[1 - data]
    channel = _channel(nest, data)
    if weights is None or channel is None:
        return Refusal("it has no output channels of its own")
    if not isinstance(op.results[0].type.element_type, ir.FloatType):
        return Refusal("it computes in integers")
    return LinearLayer(op, nest, data, weights, channel)


def difference(a: LinearLayer, b: LinearLayer) -> str | None:
    """In what two layers of one operand differ that layers to be joined must share.

    Floating-point contractions of the same element types compute the same.
    """
    types = [[v.type.element_type for v in layer.op.operands] for layer in (a, b)]
    stored = [(x.stored.index_map, x.stored.source.type) for x in (a, b)]
    aspects = {
        "their block": a.op.block == b.op.block,
        "element types": types[0] == types[1],
        "loop extents": a.nest.domain == b.nest.domain,
        "how they index": a.data == b.data and a.nest.accesses == b.nest.accesses,
        "how their weights are stored": stored[0] == stored[1],
    }
    return next((name for name, same in aspects.items() if not same), None)


_MAY_BE_CONSTANT = ("arith.constant", ConcatOp.OPERATION_NAME)


def stored_constant(value: ir.Value) -> Piece | None:
    """The constant that ``value`` reads, through views or none, and how."""
    maker = defining_op(before_views(value))
    if maker is None or maker.name not in _MAY_BE_CONSTANT:
        return None  # early: most values are computed
    piece = reading(value).single
    if piece is None or isinstance(piece.source.owner, ir.Block):
        return None
    return piece if piece.source.owner.name == "arith.constant" else None


def _channel(nest: LoopNest, data: int) -> int | None:
    """The innermost loop that weights and result run over and the data does not."""
    if not nest.is_plain:
        return None
    own = set(nest.loops_of(1 - data)) - set(nest.loops_of(data))
    written = [loop for loop in nest.loops_of(2) if loop in own]
    return written[-1] if written else None
