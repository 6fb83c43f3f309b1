"""Move a kernel's operations into a region, with what names or initializes memory for them.

  %a = linalg.fill %e; %s = tensor.extract_slice %x; %r = linalg.generic ins(%s) outs(%a)
    ->
  %r = flow.dispatch.region { fill; extract_slice; linalg.generic }

Initial values, slices and reshapes between are cloned, also where others use them: they cost
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch_mlir import ir

from smartmem.passes.analysis.ir.chains import RESHAPES
from smartmem.passes.analysis.ir.movement import long_dims, shape_of
from smartmem.passes.analysis.operators.strided_slices import SLICE, has_strides, merged_slice
from smartmem.passes.base import REGION, RETURN, erase_if_unused, number_kernel
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import Values, clone_op

"""The end of a region."""

_INITIAL = ("linalg.fill", "tensor.empty")


def wrap_region(
    kernel: Sequence[ir.Operation], root: ir.Operation, number: int, *, spirv: bool
) -> None:
    """Moves the kernel's operations, up to ``root``, into a region in place of ``root``.

    Args:
        number: of the kernel's group, an attribute of the region.
    """
    inside = _Inside(spirv)
    for op in kernel:
        inside.add(op)
    if root not in inside.operations:
        inside.operations.append(root)
    with ir.InsertionPoint(root), root.location:
        region = ir.Operation.create(
            REGION,
            [root.results[0].type],
            [],
            {"operandSegmentSizes": ir.DenseI32ArrayAttr.get([0, 0])},
            regions=2,
        )
        number_kernel(region, number)
        root.results[0].replace_all_uses_with(region.results[0])
        block = region.regions[0].blocks.append()
        with ir.InsertionPoint(block):
            end = ir.Operation.create(RETURN, [], [root.results[0]])
    for op in inside.operations:
        op.move_before(end)


class _Inside:
    """What goes into a region.

    Attributes:
        operations: in program order.
    """

    def __init__(self, spirv: bool) -> None:
        self.operations: list[ir.Operation] = []
        self._spirv = spirv

    def add(self, op: ir.Operation) -> None:
        """Adds an operation, and before it the initial values, slices and reshapes it reads."""
        for value in op.operands:
            self._bring(value, op)
        self.operations.append(op)

    def _bring(self, value: ir.Value, reader: ir.Operation) -> None:
        chain = self._chain(value)
        if chain and _changes_slice(chain) and not self._holds(chain[0].operands[0]):
            chain = _merged(chain, reader) or ([] if self._spirv else chain)
        if not chain:
            return
        clones: Values = {}
        with ir.InsertionPoint(reader):
            self.operations += [clone_op(op, clones) for op in chain]
        result = chain[-1].results[0]
        _replace(chain, result, clones[result], reader)

    def _holds(self, value: ir.Value) -> bool:
        return value.owner in self.operations

    def _chain(self, value: ir.Value) -> list[ir.Operation]:
        """The operations from the first that must be in the region up to ``value``."""
        chain: list[ir.Operation] = []
        keep = 0
        while not isinstance(value.owner, ir.Block):
            op = value.owner.operation
            if op in self.operations:
                return chain  # reshapes of a result of the group
            if op.name in _INITIAL:
                chain.insert(0, op)
                keep = len(chain)
                if op.name == "linalg.fill":
                    value = op.operands[1]
                    continue
                return chain
            if op.name != SLICE and op.name not in RESHAPES:
                break
            chain.insert(0, op)
            if op.name == SLICE:
                if not has_strides(chain):
                    break
                keep = len(chain)
            value = op.operands[0]
        return chain[len(chain) - keep :]


def _merged(chain: list[ir.Operation], reader: ir.Operation) -> list[ir.Operation]:
    """The chain as one slice, whose source is reshaped before the region; none if it is none.

    Of a slice that is reshaped or sliced again iree-compile 3.13 makes scalar code for CPUs. In
    SPIR-V all threads copy it to workgroup memory, without a barrier before it is read.
    """
    found = merged_slice(chain)
    if found is None:
        return []
    old, source = chain[-1].results[0], chain[0].operands[0]
    with ir.InsertionPoint(reader), reader.location:
        seen = build.reshape(source, found.shape)
        part = build.long_slice(seen, found.offsets, found.sizes, found.strides)
        value = build.reshape(part, shape_of(old))
    _replace(chain, old, value, reader)
    merged = [part.owner.operation]
    return merged if value == part else [*merged, value.owner.operation]


def _replace(
    chain: Sequence[ir.Operation], old: ir.Value, new: ir.Value, reader: ir.Operation
) -> None:
    """Makes ``reader`` read ``new``, and erases what of the chain nothing reads any more."""
    for number, operand in enumerate(reader.operands):
        if operand == old:
            reader.operands[number] = new
    for op in reversed(chain):
        erase_if_unused(op)


def _changes_slice(chain: Sequence[ir.Operation]) -> bool:
    """Whether a slice is sliced again, or its dims are split or merged."""
    if any(op.name in _INITIAL for op in chain):
        return False
    places = [k for k, op in enumerate(chain) if op.name == SLICE]
    if len(places) != 1:
        return len(places) > 1
    behind = chain[places[0] + 1 :]
    shapes = [shape_of(v) for op in behind for v in (op.operands[0], op.results[0])]
    return len({long_dims(shape) for shape in shapes}) > 1
