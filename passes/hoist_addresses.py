"""Compute what is the same in each round of a kernel's loop in front of it.

Rewrites, in the kernels that iree-compile has made (phase ``executable-targets``):
  whole numbers that are computed in a loop of what is outside of it  ->  in front of the loop

  spirv.mlir.loop {                          %a = spirv.IMul %thread, %c480
    ...                                      spirv.mlir.loop {
    %a = spirv.IMul %thread, %c480     ->      ...
    %i = spirv.IAdd %a, %round                 %i = spirv.IAdd %a, %round

Why: the code generator computes each address anew for each load. A multiplication of 32 bits is
three to five instructions on an Adreno, and drivers' compilers leave it in the loop.

Keeps divisions by what is not constant: a loop that has no round would not divide.

It works on IREE's own operations, and so runs in IREE's build of MLIR, as
``--smartmem-bind-images`` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_bindings import shaders_of
from smartmem.passes.analysis.images.shader_loops import invariants_of, loops_in
from smartmem.passes.base import Pass, PassContext


@dataclass(frozen=True)
class HoistAddresses(Pass):
    """Moves arithmetic of whole numbers out of loops."""

    argument = "smartmem-hoist-addresses"
    summary = "Compute what is the same in each round of a kernel's loop in front of it"
    works_on = "kernels"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Inner loops first; kernels in which anything moves get a remark."""
        for shader in shaders_of(module):
            moved = {op for loop in loops_in(shader.module) for op in _hoist(loop)}
            if moved:
                reason = f"{len(moved)} operations of {shader.entry} are computed once"
                context.remark(self.argument, shader.module, True, reason)


def _hoist(loop: ir.Operation) -> list[ir.Operation]:
    """What it has moved."""
    found = invariants_of(loop)
    for op in found:
        op.move_before(loop)
    return found
