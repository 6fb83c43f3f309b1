"""Load values of kernels where they are used.

Rewrites, in the kernels that iree-compile has made (phase ``executable-targets``):
  loads and their addresses, all at the beginning of a block  ->  each before its first use
  loops, and then the sum of what they compute  ->  each sum behind the second of its loops
  loops of a kernel that is long if they are unrolled  ->  loops that are marked as not to be

  %a = spirv.Load "StorageBuffer" %p       %a = spirv.Load "StorageBuffer" %p
  %b = spirv.Load "StorageBuffer" %q  ->   %s = spirv.FMul %a, %x
  %s = spirv.FMul %a, %x                   %b = spirv.Load "StorageBuffer" %q
  %t = spirv.FAdd %s, %b                   %t = spirv.FAdd %s, %b

Why: the code generator loads all operands of a sum, and then computes. A window of 7 x 7 that is
unrolled loads some hundred vectors at once, and a thread of a Mali has 64 registers: the driver's
compiler spills the rest one by one, which takes a minute for such a kernel. Drivers don't move
loads themselves across what may write the same memory. A driver that unrolls a loop moves the
addresses of all rounds to the beginning.

The order of what computes stays, but for what joins two values that nothing else reads. Addresses
stay outside of loops. For targets that are known to have few registers.

Keeps loads in front of what writes memory or waits for other threads.

It works on IREE's own operations, and so runs in IREE's build of MLIR, as
``--smartmem-bind-images`` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_bindings import children, nested, shaders_of
from smartmem.passes.analysis.images.shader_loops import loops_in, unrolled_size
from smartmem.passes.analysis.images.shader_order import order_by_use
from smartmem.passes.base import Pass, PassContext

_LONG = 1024
"""Instructions of a kernel, from which on its loops are not to be unrolled."""


@dataclass(frozen=True)
class SinkLoads(Pass):
    """Moves loads and their addresses to where they are used."""

    argument = "smartmem-sink-loads"
    summary = "Load values of kernels where they are used"
    works_on = "kernels"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Orders each block of each kernel; kernels in which anything moves get a remark."""
        for shader in shaders_of(module):
            moved = sum(_order(block) for block in _blocks(shader.module))
            _keep_loops(shader.module)
            if moved:
                reason = f"{moved} operations of {shader.entry} stand where they are needed"
                context.remark(self.argument, shader.module, True, reason)


def _order(block: ir.Block) -> int:
    """Moves what can be moved; how many operations stand elsewhere."""
    operations = [op.operation for op in block.operations]
    order = order_by_use(operations)
    for number in order[:-1]:
        operations[number].move_before(operations[-1])
    return sum(a != b for a, b in enumerate(order))


def _blocks(module: ir.Operation) -> Iterator[ir.Block]:
    """The blocks of a kernel's functions, with those in loops and selections."""
    functions = [op for op in children(module) if op.name == "spirv.func"]
    for op in [inner for f in functions for inner in (f, *nested(f))]:
        for region in op.regions:
            yield from region


def _keep_loops(module: ir.Operation) -> None:
    """Marks the loops of functions that are long if they are unrolled."""
    with module.context:
        keep = ir.Attribute.parse("#spirv.loop_control<DontUnroll>")
    for function in (op for op in children(module) if op.name == "spirv.func"):
        if unrolled_size(function) > _LONG:
            for loop in loops_in(function):
                loop.attributes["loop_control"] = keep
