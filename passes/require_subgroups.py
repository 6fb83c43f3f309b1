"""Require the subgroup size that a kernel was written for.

Rewrites, in the kernels that iree-compile has made (phase ``executable-targets``):
  functions with operations of subgroups  ->  the same with the size in ``spirv.entry_point_abi``

  spirv.func @k() attributes {spirv.entry_point_abi = #spirv.entry_point_abi<subgroup_size = 64>} {
    %s = spirv.GroupNonUniformFAdd <Subgroup> <Reduce> %x : f32 -> f32

Why: a sum over a subgroup of 64 threads is another one over 128. Where nothing is required, a
driver may choose: turnip compiles kernels for 128 lanes that were written for 64. IREE's runtime
requires what the attribute says, and refuses the module if the device has no such size.

Keeps kernels without such operations.

It works on IREE's own operations, and so runs in IREE's build of MLIR, as
``--smartmem-bind-images`` does.
"""

from __future__ import annotations

from dataclasses import dataclass

from iree.compiler import ir

from smartmem.passes.analysis.images.shader_bindings import children, nested, shaders_of
from smartmem.passes.base import Pass, PassContext

_SUBGROUP = "spirv.GroupNonUniform"
_ATTRIBUTE = "spirv.entry_point_abi"


@dataclass(frozen=True)
class RequireSubgroups(Pass):
    """Says which subgroup size kernels need."""

    argument = "smartmem-require-subgroups"
    summary = "Require the subgroup size that a kernel was written for"
    works_on = "kernels"

    size: int = 64
    """Threads of a subgroup."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Each kernel that needs a size gets it, and a remark."""
        for shader in shaders_of(module):
            for function in filter(_needs_size, children(shader.module)):
                abi = f"#spirv.entry_point_abi<subgroup_size = {self.size}>"
                function.attributes[_ATTRIBUTE] = ir.Attribute.parse(abi, module.context)
                reason = f"{shader.entry} needs subgroups of {self.size}"
                context.remark(self.argument, function, True, reason)


def _needs_size(op: ir.Operation) -> bool:
    if op.name != "spirv.func":
        return False
    return any(inner.name.startswith(_SUBGROUP) for inner in nested(op))
