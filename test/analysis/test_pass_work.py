"""What the passes do grows with the number of operations, and no faster."""

from __future__ import annotations

import cProfile
import functools
import pstats

from torch_mlir import ir

from smartmem import dialect
from smartmem.backend.targets.targets import resolve_target
from smartmem.compiler.stages import pass_context
from smartmem.mlir.pipelines import run_pipeline
from smartmem.parameters import Parameters
from smartmem.passes import PIPELINE, Pass, PassContext

_BLOCK = """
  %w{n} = arith.constant dense<{n}.5> : tensor<16x16xf32>
  %m{n} = linalg.matmul ins(%x{n}, %w{n} : tensor<16x16xf32>, tensor<16x16xf32>)
    outs(%zero : tensor<16x16xf32>) -> tensor<16x16xf32>
  %t{n} = linalg.transpose ins(%m{n} : tensor<16x16xf32>) outs(%e : tensor<16x16xf32>)
    permutation = [1, 0]
  %f{n} = linalg.exp ins(%t{n} : tensor<16x16xf32>) outs(%e : tensor<16x16xf32>)
    -> tensor<16x16xf32>
  %x{next} = linalg.add ins(%f{n}, %x{n} : tensor<16x16xf32>, tensor<16x16xf32>)
    outs(%e : tensor<16x16xf32>) -> tensor<16x16xf32>"""


def chain(blocks: int) -> str:
    """A linear layer, a transpose, a function and a residual, so many times."""
    body = "".join(_BLOCK.format(n=n, next=n + 1) for n in range(blocks))
    return f"""
func.func @main(%x0: tensor<16x16xf32>) -> tensor<16x16xf32> {{
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x16xf32>
  %zero = linalg.fill ins(%c : f32) outs(%e : tensor<16x16xf32>) -> tensor<16x16xf32>{body}
  return %x{blocks} : tensor<16x16xf32>
}}"""


def calls(blocks: int) -> int:
    """Python's calls in the passes of SmartMem; what is remembered for good is forgotten."""
    profile = cProfile.Profile()
    with ir.Context() as mlir:
        dialect.load(mlir)
        module = ir.Module.parse(chain(blocks))
        context = pass_context(Parameters(), resolve_target("cpu"))
        for _, passes in PIPELINE:
            for element in passes:
                if isinstance(element, str):
                    run_pipeline(module, [element], context)
                elif (pass_ := element()).is_for(context.processor):
                    run_pipeline(module, [_Profiled(pass_, profile)], context)
    return sum(count for _, count, *_ in pstats.Stats(profile).stats.values())


class _Profiled(Pass):
    def __init__(self, pass_: Pass, profile: cProfile.Profile) -> None:
        self.argument, self.summary = pass_.argument, pass_.summary
        self._run = functools.partial(profile.runcall, pass_.run)

    def run(self, module: ir.Operation, context: PassContext) -> None:
        self._run(module, context)


def test_calls_grow_with_the_operations() -> None:
    calls(1)  # fills what is remembered for good
    few, more = calls(8), calls(32)
    assert more < 4.4 * few
