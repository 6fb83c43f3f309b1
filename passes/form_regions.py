"""Make one kernel of a contraction and the slices it reads.

A slice beside a contraction becomes a copy of its own in the code generator; inside one
dispatch region it is an offset.

Rewrites:
  linalg.generic, a contraction, of tensor.extract_slice and reshapes of it
    ->  flow.dispatch.region with the slices, the reshapes and the contraction

Keeps slices that others read too. Runs on linalg, after the dialect is lowered; the
region is an operation of IREE, in generic form.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.passes.analysis.loops import loop_nest
from smartmem.passes.base import Pass, PassContext, operations

_ADDRESSING = ("tensor.extract_slice", "tensor.expand_shape", "tensor.collapse_shape")


@dataclass(frozen=True)
class FormRegions(Pass):
    """Wraps contractions with the slices they read into dispatch regions."""

    argument = "smartmem-form-regions"
    summary = "Make one kernel of a contraction and the slices it reads"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Wraps each contraction that reads a slice."""
        # flow is IREE's dialect, which this build of MLIR does not have.
        module.context.allow_unregistered_dialects = True
        for op in operations(module):
            if op.parent is None or op.parent.name != "func.func":
                continue  # what lies in a region already has its kernel
            if _is_contraction(op) and (inside := _slices(op)):
                _wrap([*inside, op])


def _is_contraction(op: ir.Operation) -> bool:
    nest = loop_nest(op)
    return nest is not None and nest.is_contraction


def _slices(op: ir.Operation) -> list[ir.Operation]:
    """Slices and reshapes that only ``op`` reads, in order; empty without a slice."""
    found: list[ir.Operation] = []
    for value in op.operands:
        chain: list[ir.Operation] = []
        while not isinstance(value.owner, ir.Block) and value.owner.name in _ADDRESSING:
            if len(list(value.uses)) > 1:
                break
            chain.insert(0, value.owner.operation)
            value = value.owner.operands[0]
        if any(link.name == "tensor.extract_slice" for link in chain):
            found += chain
    init = op.operands[len(op.operands) - 1]
    is_fill = not isinstance(init.owner, ir.Block) and init.owner.name == "linalg.fill"
    if found and is_fill and len(list(init.uses)) == 1:
        found.append(init.owner.operation)
    return found


def _wrap(inside: list[ir.Operation]) -> None:
    """Moves ``inside`` into a region in place of the last of them, whose result it has."""
    root = inside[-1]
    with ir.InsertionPoint(root), root.location:
        region = ir.Operation.create(
            "flow.dispatch.region",
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
