"""Pad dims to lengths that vectors and blocks of registers divide.

Rewrites, for all tensors that must be equally long along a dim:
  %a = end(contraction(%x, W))        1512 columns on a CPU: the last vector of a block is cut off
  %b = contraction(%a, V)             that sums them up
    ->
  %a = end(contraction(%x, W'))       1536 columns: 48 blocks of 32
  %b = contraction(%a[.., 0:1512], V)

  contraction(normalization(%t), W)   %t = smartmem.concat(%class, %patches) of 197 rows
    ->
  contraction(normalization(%t'), W)  %t' = smartmem.concat(%zeros, %class, %patches) of 208 rows

  %a = end(contraction(%x, W))        rows of 1024 columns on a CPU: all in one set of its cache
  %b = contraction(%a, V)             that reads many rows at once
    ->
  %a = end(contraction(%x, W'))       rows of 1056 columns
  %b = contraction(%a[.., 0:1024], V)

  softmax(Q K^T + bias) V             over 49 keys, on a GPU
    ->
  softmax(Q K'^T + bias') V'          over 52 keys

Constants get their padding when compiling; a concat, and a view that is padded anyway, are made
longer. What sums along the dim, or reads single elements, reads the first ones in place.

The bias is minus infinity behind the last key, of which softmax makes zero: each row of scores
then begins where a vector can. Without a constant that is added, a mask is. Zeros of softmax meet
zeros, which a projection writes behind the rows of keys and values, or where all rows are padded,
the last row again: that is as finite as it was. Of zeros an operation could make an infinity, and
zero times infinity is no number.

The target says which lengths are best (``backend/targets/processor.py``).

Keeps, with a remark, dims of arguments, dims that only a copy could make longer or cut off, dims
whose padding would be much more work, and scores between whose contractions something is not
recognized.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import contracts, reduces
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.classification import tensor_operations
from smartmem.passes.analysis.padding.granularities import Padding, paddings
from smartmem.passes.analysis.padding.row_pitch import wider_pitch
from smartmem.passes.base import Pass, PassContext, erase_unused
from smartmem.passes.rewrites.padding.pad_dims import pad_dims


@dataclass(frozen=True)
class PadDims(Pass):
    """Gives contractions numbers of rows and columns that are whole blocks and vectors."""

    argument = "smartmem-pad-dims"
    summary = "Pad dims to lengths that vectors and blocks of registers divide"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the dims of each contraction; what it keeps gets a remark.

        An operation is asked again where a padding has changed it: that makes a dim longer,
        and a dim of whole vectors is whole blocks of rows, too.
        """
        found = [op for op in tensor_operations(module) if contracts(op)]
        waiting = {op.results[0]: op for op in found}
        kept: dict[ir.Value, tuple[ir.Operation, list[Refusal]]] = {}
        for op in context.each(_next(waiting)):
            padding, refusals = _decide(op, context)
            if padding is None:
                kept[op.results[0]] = op, refusals
                continue
            context.remark(self.argument, op, True, str(padding))
            for value in {value for value, _ in padding.found.places}:
                waiting.pop(value, None)
                kept.pop(value, None)
            changed = pad_dims(padding.found, context.parameters)
            waiting |= {other.results[0]: other for other in changed if contracts(other)}
        for op, refusals in kept.values():
            for refusal in refusals:
                context.remark(self.argument, op, False, refusal.reason)
        erase_unused(module)
        self._move_rows_apart(module, context)

    def _move_rows_apart(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the rows that contractions and convolutions read from one set of the cache."""
        waiting = {op.results[0]: op for op in tensor_operations(module) if reduces(op)}
        for op in context.each(_next(waiting)):
            found = wider_pitch(op, context.processor, context.parameters)
            if found is None:
                continue
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
                continue
            context.remark(self.argument, op, True, str(found))
            for value in {value for value, _ in found.found.places}:
                waiting.pop(value, None)
            changed = pad_dims(found.found, context.parameters)
            waiting |= {other.results[0]: other for other in changed if reduces(other)}
        erase_unused(module)


def _decide(op: ir.Operation, context: PassContext) -> tuple[Padding | None, list[Refusal]]:
    """The first padding that a contraction can have, and why not those before."""
    refusals: list[Refusal] = []
    for padding in paddings(op, context.processor, context.parameters):
        if isinstance(padding, Padding):
            return padding, refusals
        refusals.append(padding)
    return None, refusals


def _next(waiting: dict[ir.Value, ir.Operation]) -> Iterator[ir.Operation]:
    """Takes what is waiting, also what comes to wait on the way."""
    while waiting:
        yield waiting.pop(next(iter(waiting)))
