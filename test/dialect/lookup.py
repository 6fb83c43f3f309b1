# RUN: %PYTHON %s | FileCheck %s
"""The bindings look for the module of a dialect once, not for each operation they wrap."""

import sys
from collections import Counter
from collections.abc import Sequence
from importlib.machinery import ModuleSpec

from torch_mlir import ir

import smartmem.dialect

TEXT = """
func.func @f(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %0 = "flow.dispatch.region"() ({
    %1 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>}
      : (tensor<4x8xf32>) -> tensor<8x4xf32>
    "flow.return"(%1) : (tensor<8x4xf32>) -> ()
  }) : () -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}
"""


class Searches(Counter[str]):
    """Counts the modules that are looked for, and finds none."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: object = None
    ) -> ModuleSpec | None:
        self[name] += 1
        return None


def touch(module: ir.Module) -> None:
    region = module.body.operations[0].regions[0].blocks[0].operations[0]
    view = region.regions[0].blocks[0].operations[0]
    assert isinstance(view, smartmem.dialect.ViewOp)
    assert view.result.owner.name == "smartmem.view"


context = ir.Context()
context.allow_unregistered_dialects = True
smartmem.dialect.load(context)
module = ir.Module.parse(TEXT, context)
searches = Searches()
sys.meta_path.insert(0, searches)
for _ in range(9):
    touch(module)
for dialect in ("flow", "smartmem"):
    name = f"torch_mlir.dialects.{dialect}"
    # CHECK: flow: at most once: True
    # CHECK: smartmem: at most once: True
    print(f"{dialect}: at most once:", searches[name] <= 1)
