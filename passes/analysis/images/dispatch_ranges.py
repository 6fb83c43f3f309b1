"""Which bytes of which resource each dispatch of a compiled module binds.

Read from the host code of iree-compile's phase ``executable-targets``::

    stream.cmd.dispatch @main_dispatch_3::@vulkan_spirv_fb::@main_dispatch_3 {
      ro %arg4[%c0 for %c32768] : !stream.resource<transient>{%c196608},
      wo %arg4[%c65536 for %c98304] : !stream.resource<transient>{%c196608}
    }

A resource that comes out of an allocation shares no memory with another one, with a
constant, or with what a caller hands in; of anything else, nothing is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_bindings import constant_of, nested

_ALLOCATIONS = ("stream.resource.alloc", "stream.resource.alloca")
_READ, _WRITTEN = 1, 2  # bits of IREE's resource_accesses


@dataclass(frozen=True)
class Range:
    """What one dispatch binds to one binding.

    Attributes:
        resource: the resource, where it comes from.
        offset: of the first byte; None if only the run tells.
        length: in bytes; likewise.
        is_read: the dispatch reads it.
        is_written: the dispatch writes it.
    """

    resource: ir.Value
    offset: int | None
    length: int | None
    is_read: bool
    is_written: bool

    def may_overlap(self, other: Range) -> bool:
        """Whether the two can share a byte."""
        if self.resource != other.resource:
            return not _are_apart(_kind(self.resource), _kind(other.resource))
        if None in (self.offset, self.length, other.offset, other.length):
            return True
        assert self.offset is not None and other.offset is not None
        ends = self.offset + (self.length or 0), other.offset + (other.length or 0)
        return self.offset < ends[1] and other.offset < ends[0]


Dispatch = tuple[Range, ...]
"""The ranges of one dispatch, by number of the binding."""


def dispatches_of(module: ir.Operation) -> dict[str, list[Dispatch]]:
    """All dispatches of each kernel, by the kernel's symbol."""
    found: dict[str, list[Dispatch]] = {}
    for op in nested(module):
        if op.name == "stream.cmd.dispatch":
            for symbol in ir.ArrayAttr(op.attributes["entry_points"]):
                entry = str(symbol).rpartition("@")[2].strip('"')
                found.setdefault(entry, []).append(_ranges(op))
    return found


def _ranges(dispatch: ir.Operation) -> Dispatch:
    # Operands: workload, push constants, resources, their sizes, offsets, lengths.
    segments = list(ir.DenseI32ArrayAttr(dispatch.attributes["operandSegmentSizes"]))
    operands = list(dispatch.operands)
    start = segments[0] + segments[1]
    count = segments[2]
    resources = operands[start : start + count]
    offsets = operands[start + 2 * count : start + 3 * count]
    lengths = operands[start + 3 * count : start + 4 * count]
    accesses = [
        ir.IntegerAttr(access).value
        for access in ir.ArrayAttr(dispatch.attributes["resource_accesses"])
    ]
    return tuple(
        Range(
            _origin(resource),
            constant_of(offset),
            constant_of(length),
            is_read=bool(access & _READ),
            is_written=bool(access & _WRITTEN),
        )
        for resource, offset, length, access in zip(
            resources, offsets, lengths, accesses, strict=True
        )
    )


def _origin(resource: ir.Value) -> ir.Value:
    """Where a resource comes from: an execution captures it, a wait hands it on."""
    while True:
        if isinstance(resource, ir.BlockArgument):
            execution = resource.owner.owner.operation
            if execution.name != "stream.cmd.execute":
                return resource
            resource = execution.operands[resource.arg_number]
        elif resource.owner.name == "stream.timepoint.await":
            resource = resource.owner.operands[ir.OpResult(resource).result_number]
        else:
            return resource


def _kind(resource: ir.Value) -> str:
    if isinstance(resource, ir.BlockArgument):
        function = resource.owner.owner.operation.name == "util.func"
        return "given" if function else "unknown"
    if resource.owner.name in _ALLOCATIONS:
        return "allocated"
    if resource.owner.name == "stream.tensor.import":
        return "given"
    return "given" if str(resource.type) == "!stream.resource<constant>" else "unknown"


def _are_apart(one: str, other: str) -> bool:
    return "unknown" not in (one, other) and "allocated" in (one, other)


def overlaps(dispatch: Sequence[Range], number: int) -> bool:
    """Whether another binding of the dispatch can show bytes of binding ``number``, and one
    of the two is written."""
    own = dispatch[number]
    return any(
        own.may_overlap(other)
        for index, other in enumerate(dispatch)
        if index != number and (own.is_written or other.is_written)
    )
