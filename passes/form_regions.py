"""Make one kernel of each group of operations that the fusion plan names.

Rewrites:
  the operations of a group, the initial values, slices and reshapes that only they use
    ->  flow.dispatch.region with them, which IREE compiles to exactly one kernel

  linalg.fill %t; region { %r }; tensor.pad %r
    ->  linalg.fill; region { %r; tensor.insert_slice %r into the filled tensor }, in which
        other readers of %r read a slice

  insertions of %a and %b into %r; insertions of %r and %c into %s
    ->  each region that computes a part inserts it into %s; readers of %r read a slice of it

  f(contraction(a, b)[:, :n], contraction(a, b)[:, n:]), for CPUs
    ->  region { f(contraction(a, b[:, :n]), contraction(a, b[:, n:])) }

A block of a contraction's result lacks the other place that its reader takes; the reader can
take the same place of two contractions, whose sums its kernel computes one after the other.
Linear attention reads so: a column of ones gives the sums that it divides by.

For SPIR-V a group must be one tile space (``analysis/fusion/tile_space``), or it is split, with
a remark: no thread may read what another thread wrote. To make it one, an elementwise operation
with one reader becomes one operation with the reader, and loops are split where only a reshape
lies between:

  region { linalg.generic {exp}; tensor.expand_shape; linalg.transpose; linalg.generic {mul} }
    ->  region { linalg.generic {exp, mul} }

A slice is drawn into the region of its reader, where it is an offset; outside it would be a
copy. It stays outside where a reshape merges dims between which it leaves gaps: that is a copy
anyway, and a region has no place for its buffer. A gather is drawn into each region that reads
it. The number of a region is its attribute ``smartmem.kernel``; messages of iree-compile and
the report name the kernel by it.

Keeps, with a remark, contractions whose parts would not be one kernel with their reader, whose
parts overlap, or whose split dim both operands have; and pairs that the plan refuses.

Leaves a group that cannot be a region to IREE's own fusion, except on SPIR-V where it has a
reduction over several dims, which IREE would compile wrongly: the operations around it become
kernels of their own.

With ``reductions-alone`` the pass makes a kernel of each reduction and leaves the rest to IREE,
whose fusion of elementwise operations is right on SPIR-V.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion.contraction_splits import contraction_split
from smartmem.passes.analysis.fusion.insertions import insertions
from smartmem.passes.analysis.fusion.kernel_limits import (
    FusionLimits,
    must_stand_alone,
    reduces_alone,
    refuse_insertion,
    refuse_region,
    sums_several_dims,
)
from smartmem.passes.analysis.fusion.loop_order import loop_orders, result_order
from smartmem.passes.analysis.fusion.multi_reductions import share_results, share_threads
from smartmem.passes.analysis.fusion.padded_writes import PaddedWrite, padded_write
from smartmem.passes.analysis.fusion.plan import Group, Plan, RedException, fusion_plan
from smartmem.passes.analysis.fusion.tile_space import connected_parts, refuse_tile_space
from smartmem.passes.analysis.ir.loops import contracts
from smartmem.passes.analysis.ir.movement import Refusal
from smartmem.passes.analysis.operators.row_reductions import closed_parts
from smartmem.passes.analysis.tiling.cpu_multi_reductions import pooled_tiles
from smartmem.passes.base import (
    REGION,
    RETURN,
    Pass,
    PassContext,
    erase_unused,
    outer_operations,
)
from smartmem.passes.rewrites.fusion.copy_gathers import copy_lookups
from smartmem.passes.rewrites.fusion.inline_gathers import BITCAST, inline_lookups
from smartmem.passes.rewrites.fusion.merge_elementwise import generalized, merge_elementwise
from smartmem.passes.rewrites.fusion.order_insertions import (
    Beginning,
    order_insertions,
    separate_insertions,
)
from smartmem.passes.rewrites.fusion.split_contraction import split_contraction
from smartmem.passes.rewrites.fusion.wrap_region import wrap_region
from smartmem.passes.rewrites.fusion.write_padded import write_padded
from smartmem.passes.rewrites.loops.align_loops import align_loops
from smartmem.passes.rewrites.loops.interchange_loops import interchange_loops

REGION_OPERATIONS = (REGION, RETURN, BITCAST)
"""The operations of IREE that this pass makes."""

Kernel = tuple[Sequence[ir.Operation], ir.Operation]
"""Operations in program order, and what ends their region: the last, or its insertion."""


@dataclass(frozen=True)
class FormRegions(Pass):
    """Wraps each group of the fusion plan into a dispatch region."""

    argument = "smartmem-form-regions"
    summary = "Make one kernel of each group of the fusion plan"

    reductions_alone: bool = False
    """Make kernels of single reductions only, as the safety net does for SPIR-V."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Wraps the groups of each function; what is in a region already stays."""
        if context.gpu is None and not self.reductions_alone:
            self._split_contractions(module, context)
        # flow is IREE's dialect, which this build of MLIR does not have.
        module.context.allow_unregistered_dialects = True
        number = 0
        for function in module.regions[0].blocks[0].operations:
            if function.operation.name != "func.func" or not function.regions[0].blocks:
                continue
            form = _single_reductions if self.reductions_alone else self._kernels
            for kernel, end in form(function.operation, context):
                wrap_region(kernel, end, number, spirv=context.gpu is not None)
                number += 1

    def _split_contractions(self, module: ir.Operation, context: PassContext) -> None:
        """Splits contractions where one kernel can compute the parts and their reader."""
        # Only these: slices go with their contraction.
        for op in context.each([op for op in outer_operations(module) if contracts(op)]):
            found = contraction_split(op, context.vectors)
            if isinstance(found, Refusal):
                context.remark(self.argument, op, False, found.reason)
            elif found is not None:
                columns = " and ".join(str(part.columns) for part in found.parts)
                context.remark(self.argument, op, True, f"{columns} columns: one kernel")
                split_contraction(found)
        erase_unused(module)

    def _kernels(self, function: ir.Operation, context: PassContext) -> Iterator[Kernel]:
        separate_insertions(function.regions[0].blocks[0])
        begun: set[Beginning] = set()
        for found in insertions(function.regions[0].blocks[0]):
            order_insertions(found, begun)
        plan = self.plan(function, context)
        self._remark(plan, context)
        yield from self._kernels_of(plan.groups, context)

    def plan(self, function: ir.Operation, context: PassContext) -> Plan:
        """The plan for a function, in which each reader of a lookup gets its own one."""
        block = function.regions[0].blocks[0]
        copy_lookups(block)
        exception = _exception(context)
        times = None if context.tuning is None else context.tuning.fusions
        limits = FusionLimits(spirv=context.gpu is not None)
        return fusion_plan(block, limits, exception, times, context.pairs)

    def wrap(self, groups: Sequence[Group], context: PassContext) -> None:
        """Makes regions of the groups, in program order, of which one can be made."""
        for number, (kernel, end) in enumerate(self._kernels_of(groups, context)):
            wrap_region(kernel, end, number, spirv=context.gpu is not None)

    def _kernels_of(self, groups: Sequence[Group], context: PassContext) -> Iterator[Kernel]:
        spirv = context.gpu is not None
        for group in groups:
            _arrange_loops(group, spirv)
            refusal = refuse_region(group, context.gpu)
            if refusal is not None:
                context.remark(self.argument, group.operations[-1], False, refusal.reason)
                yield from _around_sums(group) if spirv else ()
                continue
            group.operations = inline_lookups(group.operations, spirv)
            if not spirv and isinstance(pooled_tiles(group.operations, context.vectors), dict):
                # Between two sums, iree-compile 3.13 finds no tiles for an operation.
                group.operations = merge_elementwise(group.operations, into_sums=True)
            for part in self._tile_spaces(group, context) if spirv else (group,):
                yield part.operations, self._end(part, context, spirv)

    def _tile_spaces(self, group: Group, context: PassContext) -> Iterator[Group]:
        """The group for SPIR-V, or parts of it, each of which is one tile space."""
        group.operations = merge_elementwise(group.operations)
        _arrange_loops(group, spirv=True)
        refusal = refuse_tile_space(group.operations, context.gpu)
        if refusal is None:
            yield group
            return
        context.remark(self.argument, group.operations[-1], False, refusal.reason)
        for connected in connected_parts(group.operations, context.gpu):
            for operations in closed_parts(connected):
                part = Group(operations, group.mapping)
                if refuse_region(part, context.gpu) is None:
                    yield part

    def _end(self, group: Group, context: PassContext, spirv: bool) -> ir.Operation:
        """The operation whose result the kernel writes: the last one, or its insertion."""
        root = group.operations[-1]
        write = refuse_insertion(group, spirv) or padded_write(group.result)
        if isinstance(write, Refusal):
            context.remark(self.argument, root, False, f"not padded in place: {write.reason}")
        if not isinstance(write, PaddedWrite):
            return root
        context.remark(self.argument, write.pad, True, "its producer writes the middle of it")
        return write_padded(group.result, write).owner.operation

    def _remark(self, plan: Plan, context: PassContext) -> None:
        for group in plan.groups:
            for op, reason in zip(group.operations[1:], group.reasons, strict=False):
                context.remark(self.argument, op, True, reason)
        for pair in plan.refused:
            context.remark(self.argument, pair.consumer, False, pair.reason)


def _exception(context: PassContext) -> RedException:
    """Which many-to-many operators may share a kernel: that depends on the target's tiles."""
    if context.gpu is None:
        return functools.partial(share_results, vectors=context.vectors)
    return functools.partial(share_threads, gpu=context.gpu)


def _arrange_loops(group: Group, spirv: bool) -> None:
    """Splits and orders the group's loops; an operation of it can become another."""
    if spirv and len(group.operations) > 1:
        group.operations = align_loops(generalized(group.operations))
    _order_loops(group, spirv)


def _order_loops(group: Group, spirv: bool) -> None:
    """Gives the group's loops one order."""
    for op in group.operations if spirv else ():
        if (order := result_order(op)) is not None:
            interchange_loops(op, order)
    for op, order in loop_orders(group.operations).items():
        place = group.operations.index(op)
        group.operations[place] = interchange_loops(op, order)


def _around_sums(group: Group) -> Iterator[Kernel]:
    """The kernels that keep IREE from fusing the group's sums over several dims."""
    for is_sum, found in itertools.groupby(group.operations, sums_several_dims):
        run = list(found)
        if is_sum or not any(map(must_stand_alone, run)):
            continue
        if all(use.owner.operation in run for op in run[:-1] for use in op.results[0].uses):
            part = Group(run, group.mapping)
            _arrange_loops(part, spirv=True)
            part.operations = inline_lookups(part.operations, spirv=True)
            yield part.operations, part.result.owner.operation
        else:
            yield from (([op], op) for op in run if must_stand_alone(op))


def _single_reductions(function: ir.Operation, _: PassContext) -> Iterator[Kernel]:
    for view in list(function.regions[0].blocks[0].operations):
        op = view.operation
        if reduces_alone(op) or must_stand_alone(op):
            yield [op], op
