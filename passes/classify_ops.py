"""Give every operation its group (SmartMem) and its mapping type (DNNFusion).

Sets two attributes on each operation that makes a tensor from tensors:
  smartmem.group    ild_variable | ili_variable | ild_fixed | ili_fixed
                    (SmartMem, table 3: is the input's layout important to it, and is
                    its output's layout free to choose?)
  smartmem.mapping  one_to_one | reorganize | shuffle | one_to_many | many_to_many
                    (DNNFusion, table 2: how result elements relate to input elements)

  %r = linalg.matmul ...
    ->
  %r = linalg.matmul {smartmem.group = #smartmem.group<"ild_variable">,
                      smartmem.mapping = #smartmem.mapping<"many_to_many">} ...

Indexing maps decide; the table ``BY_NAME`` only where an operation has none. An
operation in neither is taken as ild_variable and many_to_many, which forbids the most,
and gets a remark.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch_mlir import ir

from smartmem.dialect import group, mapping
from smartmem.passes.analysis.operators.classification import (
    UNKNOWN,
    classify,
    tensor_operations,
)
from smartmem.passes.base import Pass, PassContext

GROUP = "smartmem.group"
MAPPING = "smartmem.mapping"


@dataclass(frozen=True)
class ClassifyOps(Pass):
    """Sets smartmem.group and smartmem.mapping on every tensor operation."""

    argument = "smartmem-classify-ops"
    summary = "Classify every operation by group and mapping type"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        """Sets both attributes; an operation it does not know gets a remark."""
        for op in context.each(tensor_operations(module)):
            found = classify(op)
            op.attributes[GROUP] = group(found.group)
            op.attributes[MAPPING] = mapping(found.mapping)
            if found is UNKNOWN:
                context.remark(self.argument, op, False, found.reason)
