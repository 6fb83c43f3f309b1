"""Eliminate views: compose them into the reads and writes of the computations beside.

Rewrites, until nothing changes (SmartMem, table 5):
  view(op(x), f)   ->  op writes its result through f       (the view was behind op)
  op(view(x, f))   ->  op reads x through f                 (the view was before op)
  contraction(view(x, f), w)  ->  contraction(view(x, g), w permuted now)
  view(op(x), f)   ->  op(view(x, f))                       (moved up)
  sum over h and w of x[h, w, c]  ->  sum over p of a reshape of x, for GPUs

  %t = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, ...]} ins(%t)
    ->
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, ...]} ins(%x)

  elementwise(view(contraction, reshape))  ->  view(elementwise(contraction), reshape)

The loops of ``op`` are split where f splits or merges dims, so that every access stays a
projected permutation. A contraction, and an elementwise operation that ends one, keep their
loops whole except for batch loops: code generators tile whole loops well. A view that no split
expresses, such as a roll, moves up to the nearest elementwise operation or reduction, which
reads it element by element.

For GPUs, reduction loops along neighbouring dims of all operands become one at the end. A
reduction over one loop has tile sizes and can be a kernel, while IREE 3.13 makes wrong SPIR-V of
one over several loops without tile sizes. It then has the loops of the contraction behind it, as
in a normalization, and fuses with it. Sums stay, with a remark, whose dims lie apart, that read
what is also padded, or that have the loops of the elementwise operations on the same rows.

Keeps views that only reshape or slice: they name a part of memory and move nothing. Every other
view that stays gets a remark with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import ViewOp
from smartmem.parameters import Parameters
from smartmem.passes.analysis.elimination.loop_coalescing import merged_loops, merged_sum
from smartmem.passes.analysis.elimination.padded_reshape import padded_reshape
from smartmem.passes.analysis.elimination.placement import (
    EARLY,
    LATE,
    InReads,
    InWrite,
    Placement,
    is_address,
    placement,
)
from smartmem.passes.analysis.elimination.producer_consumer import PairTable
from smartmem.passes.analysis.elimination.reduction_order import InWeights
from smartmem.passes.analysis.elimination.split_placement import split_end
from smartmem.passes.analysis.ir.accesses import is_contracted
from smartmem.passes.analysis.ir.movement import Refusal, is_free
from smartmem.passes.analysis.operators.classification import pair_of
from smartmem.passes.base import Pass, PassContext, erase_unused, outer_operations
from smartmem.passes.compose_views import ComposeViews
from smartmem.passes.rewrites.loops.coalesce_loops import merge_loops, merge_sum
from smartmem.passes.rewrites.loops.permute_reduction import permute_reduction
from smartmem.passes.rewrites.loops.split_loops import move_up, read_through, write_through
from smartmem.passes.rewrites.padding.split_padding import split_padding

FREE = "only names a part of memory: nothing moves"


@dataclass(frozen=True)
class EliminateViews(Pass):
    """Composes views into the reads and writes of the computations beside them."""

    argument = "smartmem-eliminate-views"
    summary = "Compose views into the reads and writes of computations"

    max_rounds: int = 64
    """Upper bound on sweeps; a view moves by one operation in each."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Eliminates until nothing changes, then remarks on what is left."""
        for _ in range(self.max_rounds):
            ComposeViews().run(module, context)
            erase_unused(module)
            refusals = _sweep(module, context)
            if refusals is not None:
                break
        else:
            # Every sweep leaves a right program, so that this costs only speed.
            reason = f"the views still moved after {self.max_rounds} sweeps"
            refusals = [(view, Refusal(reason)) for view in _views(module)]
        for view, refusal in refusals:
            context.remark(self.argument, view, False, refusal.reason)
        for view in filter(is_address, _views(module)):
            context.remark(self.argument, view, False, FREE)
        for padding in context.each(_paddings(module)):
            _split_padding(padding, merging=True)
        if context.gpu is not None:
            self._merge_sums(module, context)

    def _merge_sums(self, module: ir.Operation, context: PassContext) -> None:
        generics = [op for op in outer_operations(module) if op.name == "linalg.generic"]
        for op in context.each(generics):
            found = merged_sum(op)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                context.remark(self.argument, op, True, "one loop along neighbouring dims")
                merge_sum(found)
        erase_unused(module)


def _views(module: ir.Operation) -> list[ir.Operation]:
    return [op for op in outer_operations(module) if op.name == ViewOp.OPERATION_NAME]


def _paddings(module: ir.Operation) -> list[ir.Operation]:
    return [view for view in _views(module) if "domain" in view.attributes]


def _sweep(
    module: ir.Operation, context: PassContext
) -> list[tuple[ir.Operation, Refusal]] | None:
    """Places each view once; if none could be placed, the reasons."""
    if sum(map(_split_padding, context.each(_paddings(module)))):
        return None
    views = [view for view in _views(module) if list(view.results[0].uses)]
    addresses = [view for view in views if is_address(view)]
    names = {view.results[0] for view in addresses}
    moving = [view for view in views if view.results[0] not in names]
    placed = False
    for view in context.each(addresses):
        placed |= _merge(view)
    for rules in (EARLY, LATE):
        refusals: list[tuple[ir.Operation, Refusal]] = []
        for view in context.each(
            reversed(moving)
        ):  # consumers first: they say what a producer is to write
            found = placement(view, rules, context)
            if isinstance(found, Refusal):
                refusals.append((view, found))
                continue
            place, why = found
            for reason in _reasons(place, view, context.pairs):
                context.remark(EliminateViews.argument, view, True, f"{reason}: {why}")
            _apply(place, view, context.parameters)
            placed = True
        if placed:
            return None
    return refusals


def _merge(view: ir.Operation) -> bool:
    """Gives a reshaped contraction and its elementwise reader one iteration domain.

    The reader is collapsed to the contraction's loops, or the contraction's loops are
    split, where a part of a larger tensor is to be written.
    """
    if not is_free(view) or not is_contracted(view.operands[0]):
        return False
    split = split_end(view)
    if isinstance(split, InWrite):
        write_through(split.access, view)
        return True
    found = merged_loops(view)
    if isinstance(found, Refusal):
        return False
    merge_loops(found)
    return True


def _split_padding(view: ir.Operation, *, merging: bool = False) -> bool:
    """Lets the contraction behind a padding run over the dims of what is padded.

    Args:
        merging: instead, only name the dims of what is padded, where they are merged ones.
            The next composition would undo that: it is for the end.
    """
    found = padded_reshape(view)
    if isinstance(found, Refusal) or found.splits == merging:
        return False
    split_padding(view, found)
    return True


def _reasons(found: Placement, view: ir.Operation, pairs: PairTable) -> list[str]:
    """The row of table 5 behind each elimination; none where the view only moves on."""
    if isinstance(found, InWrite):
        return [f"{pair_of(view.operands[0].owner.operation, view, pairs)}, in its writes"]
    if isinstance(found, InWeights):
        return [f"{pair_of(view, found.op, pairs)}, in its weights"]
    if isinstance(found, InReads):
        ends = [access for access in found.accesses if not access.keeps_order]
        return [f"{pair_of(view, access.op, pairs)}, in its reads" for access in ends]
    return []


def _apply(found: Placement, view: ir.Operation, parameters: Parameters) -> None:
    if isinstance(found, InWeights):
        permute_reduction(found, parameters)
    elif isinstance(found, InWrite):
        write_through(found.access, view)
    elif isinstance(found, InReads):
        for access in found.accesses:
            read_through(access, view.operands[0])
    else:
        move_up(found.op, found.nest, view)
