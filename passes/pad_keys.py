"""Pad the keys of attention to whole vectors, for GPUs.

Rewrites:
  softmax(Q K^T + bias) V   over 49 keys
    ->
  softmax(Q K'^T + mask + bias') V'   over 52 keys

  %k = "smartmem.view"(%qkv) ...   49 of the 64 x 49 rows of a projection
    ->
  %p = "smartmem.view"(%qkv, 0.0)  64 x 52 rows, which the projection writes

K' and V' have zeros behind the last key. The mask lowers the scores of these keys so far that
softmax makes zeros of them. Why: each row of bias and scores is then aligned to a vector.

Keeps, with a remark, keys that are all rows of a tensor, which ``smartmem-pad-rows`` pads, and
attention whose operations between the two contractions are not recognized.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.backend.targets.processor import Gpu
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.padding.key_padding import key_padding
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations
from smartmem.passes.rewrites.padding.pad_keys import pad_keys


@dataclass(frozen=True)
class PadKeys(Pass):
    """Gives attention a number of keys that is whole vectors."""

    argument = "smartmem-pad-keys"
    summary = "Pad the keys of attention to whole vectors, for GPUs"
    runs_on = (Gpu,)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Pads the keys of each attention; what it keeps gets a remark."""
        contractions = [op for op in outer_operations(module) if op.name.startswith("linalg.")]
        for op in context.each(reversed(contractions)):  # what is behind is replaced
            found = key_padding(op, context.lanes, context.parameters)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                keys = found.padding
                reason = f"{keys.new} keys instead of {keys.old}: whole vectors"
                context.remark(self.argument, op, True, reason)
                pad_keys(found, context.parameters)
        erase_unused(module)
