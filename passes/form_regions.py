"""Make one kernel of each group of operations that the fusion plan names.

Rewrites:
  the operations of a group, the initial values, slices and reshapes that only they use
    ->  flow.dispatch.region with them, which IREE compiles to exactly one kernel

  linalg.fill %t; region { %r }; tensor.pad %r
    ->  linalg.fill; region { %r; tensor.insert_slice %r into the filled tensor }, in which
        other readers of %r read a slice

A slice beside a contraction would be a copy in the code generator; in the region it is
an offset. Each operation of a region looks elements of a table up itself; the same lookup
can be in several regions. The region is an operation of IREE, in generic form; its location is
``smartmem.group.<number>``, by which messages of iree-compile and the report name it.

Keeps pairs apart that the plan refuses; each has a remark with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.fusion_plan import Group, Plan, fusion_plan
from smartmem.passes.analysis.kernel_limits import (
    refuse_fusion,
    refuse_insertion,
    refuse_region,
)
from smartmem.passes.analysis.loop_order import loop_orders
from smartmem.passes.analysis.movement import Refusal
from smartmem.passes.analysis.padding import PaddedWrite, padded_write
from smartmem.passes.analysis.rows import RESHAPES
from smartmem.passes.base import REGION, Pass, PassContext
from smartmem.passes.lowering.copy_lookups import copy_lookups
from smartmem.passes.lowering.inline_lookups import BITCAST, inline_lookups
from smartmem.passes.lowering.interchange_loops import interchange_loops
from smartmem.passes.lowering.write_padded import write_padded

REGION_OPERATIONS = (REGION, "flow.return", BITCAST)
"""The operations of IREE that this pass makes."""

_INITIAL = ("linalg.fill", "tensor.empty")


@dataclass(frozen=True)
class FormRegions(Pass):
    """Wraps each group of the fusion plan into a dispatch region."""

    argument = "smartmem-form-regions"
    summary = "Make one kernel of each group of the fusion plan"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Wraps the groups of each function; what is in a region already stays."""
        # flow is IREE's dialect, which this build of MLIR does not have.
        module.context.allow_unregistered_dialects = True
        number = 0
        for function in module.regions[0].blocks[0].operations:
            if function.operation.name != "func.func" or not function.regions[0].blocks:
                continue
            block = function.regions[0].blocks[0]
            copy_lookups(block)
            plan = fusion_plan(block, refuse_fusion)
            self._remark(plan, context)
            for group in plan.groups:
                refusal = refuse_region(group)
                if refusal is not None:
                    root = group.operations[-1]
                    context.remark(self.argument, root, False, refusal.reason)
                    continue
                for op, order in loop_orders(group.operations).items():
                    place = group.operations.index(op)
                    group.operations[place] = interchange_loops(op, order)
                group.operations = inline_lookups(group.operations)
                _wrap(group, self._end(group, context), number)
                number += 1

    def _end(self, group: Group, context: PassContext) -> ir.Operation:
        """The operation whose result the kernel writes: the last one, or its insertion."""
        root = group.operations[-1]
        write = refuse_insertion(group) or padded_write(group.result)
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


def _wrap(group: Group, root: ir.Operation, number: int) -> None:
    """Moves the group, up to ``root``, into a region in place of ``root``."""
    inside = _with_addresses(group)
    if root not in inside:
        inside.append(root)
    location = ir.Location.name(f"smartmem.group.{number}", root.location)
    with ir.InsertionPoint(root), location:
        region = ir.Operation.create(
            REGION,
            [root.results[0].type],
            [],
            {"operandSegmentSizes": ir.DenseI32ArrayAttr.get([0, 0])},
            regions=2,
        )
        root.results[0].replace_all_uses_with(region.results[0])
        block = region.regions[0].blocks.append()
        with ir.InsertionPoint(block):
            end = ir.Operation.create("flow.return", [], [root.results[0]])
    for op in inside:
        op.move_before(end)


def _with_addresses(group: Group) -> list[ir.Operation]:
    """The group's operations with what only names or initializes memory for them."""
    inside: list[ir.Operation] = []
    for op in group.operations:
        for value in op.operands:
            _bring(value, op, inside)
        inside.append(op)
    return inside


def _bring(value: ir.Value, reader: ir.Operation, inside: list[ir.Operation]) -> None:
    """Puts the initial values, slices and inner reshapes behind ``value`` into the group.

    Those that others use, too, are cloned: they cost nothing.
    """
    chain = _chain(value, inside)
    if not chain:
        return
    clones: dict[ir.Value, ir.Value] = {}
    with ir.InsertionPoint(reader):
        for op in chain:
            clone = op.clone()
            for number, operand in enumerate(clone.operands):
                clone.operands[number] = clones.get(operand, operand)
            clones[op.results[0]] = clone.results[0]
            inside.append(clone)
    for number, operand in enumerate(reader.operands):
        if operand == value:
            reader.operands[number] = clones[value]
    for op in reversed(chain):
        if not list(op.results[0].uses):
            op.erase()


def _chain(value: ir.Value, inside: list[ir.Operation]) -> list[ir.Operation]:
    """The operations from the first that must be in the region up to ``value``."""
    chain: list[ir.Operation] = []
    keep = 0
    while not isinstance(value.owner, ir.Block):
        op = value.owner.operation
        if op in inside:
            return chain  # reshapes of a result of the group
        if op.name in _INITIAL:
            chain.insert(0, op)
            keep = len(chain)
            if op.name == "linalg.fill":
                value = op.operands[1]
                continue
            return chain
        if op.name != "tensor.extract_slice" and op.name not in RESHAPES:
            break
        chain.insert(0, op)
        if op.name == "tensor.extract_slice":
            keep = len(chain)
        value = op.operands[0]
    return chain[len(chain) - keep :]
