"""Kernels to tune for GPUs, tiles and rates for them, and a bench that runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch_mlir import ir

from smartmem import dialect
from smartmem.backend.iree_compile.regions import read_module
from smartmem.backend.targets.processor import Gpu
from smartmem.backend.targets.targets import resolve_target
from smartmem.backend.targets.vectors import SPIRV
from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes import PASSES, PassContext
from smartmem.passes.analysis.layout.kernel_costs import Rates
from smartmem.passes.analysis.tiling.gpu_tiles import GpuTiles
from smartmem.passes.configure_kernels import ConfigureKernels
from smartmem.passes.form_regions import FormRegions
from smartmem.tuning.kernels import KernelCase, kernel_cases
from smartmem.tuning.measure import Bench
from smartmem.tuning.shipped import machine_of
from smartmem.tuning.table import Machine, Measured, Table

# y = tanh(x W) V: two matrix multiplications.
LAYERS = """\
func.func @main(%x: tensor<64x48xf32>) -> tensor<64x32xf32> {
  %w = arith.constant dense<0.25> : tensor<48x64xf32>
  %v = arith.constant dense<0.125> : tensor<64x32xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<64x48xf32>, tensor<48x64xf32>)
      outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>,
      affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}
      ins(%0 : tensor<64x64xf32>) outs(%e : tensor<64x64xf32>) {
  ^bb0(%i: f32, %o: f32):
    %t = math.tanh %i : f32
    linalg.yield %t : f32
  } -> tensor<64x64xf32>
  %f = tensor.empty() : tensor<64x32xf32>
  %y = linalg.fill ins(%c : f32) outs(%f : tensor<64x32xf32>) -> tensor<64x32xf32>
  %2 = linalg.matmul ins(%1, %v : tensor<64x64xf32>, tensor<64x32xf32>)
      outs(%y : tensor<64x32xf32>) -> tensor<64x32xf32>
  return %2 : tensor<64x32xf32>
}
"""

# A batch of products, which has tiles, and a window of two slices.
BATCH = """\
func.func @main(%x: tensor<4x64x16xf32>, %w: tensor<4x16x32xf32>) -> tensor<4x64x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x64x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x64x32xf32>) -> tensor<4x64x32xf32>
  %0 = linalg.batch_matmul ins(%x, %w : tensor<4x64x16xf32>, tensor<4x16x32xf32>)
      outs(%z : tensor<4x64x32xf32>) -> tensor<4x64x32xf32>
  return %0 : tensor<4x64x32xf32>
}
"""

WINDOW = """\
func.func @main(%x: tensor<1x8x9x16xf32>, %k: tensor<1x2x16x32xf32>) -> tensor<1x8x8x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  %0 = linalg.conv_2d_nhwc_hwcf
      ins(%x, %k : tensor<1x8x9x16xf32>, tensor<1x2x16x32xf32>)
      outs(%z : tensor<1x8x8x32xf32>) -> tensor<1x8x8x32xf32>
  return %0 : tensor<1x8x8x32xf32>
}
"""

BATCH_KEY = "contraction 4x64x32x16 abd.f32,adc.f32->abc.f32"

LAYER_KEY = "contraction 64x64x48 ac.f32,cb.f32->ab.f32"

PHONE = Gpu(8, 1024, (1024, 1024, 64), shared_memory=32768)

TILES = GpuTiles((8, 32, 0), (4, 4, 0), (0, 0, 4), (8, 2, 1))

HERE = Machine("vulkan", "a phone", SPIRV, "3.13.0", "a phone")

RATES = Rates(flops=1e10, bytes=2e9, launch=3e-5, strided=7.0)


def lowered(text: str, tuning: Table | None = None) -> tuple[ir.Module, PassContext]:
    """The model with its kernels configured for a GPU."""
    context = ir.Context()
    dialect.load(context)
    with context:
        module = ir.Module.parse(text)
        shared = PassContext(processor=PHONE, tuning=tuning)
        before = PASSES[: PASSES.index(FormRegions)]
        chosen = [*before, FormRegions, ConfigureKernels]
        run_pipeline(module, [pass_() for pass_ in chosen], shared)
        return module, shared


def cases(text: str) -> list[KernelCase]:
    return kernel_cases(lowered(text)[0], PHONE)


class FakeBench(Bench):
    """Says how fast kernels are without running them."""

    def __init__(self, speed: Any, again: float = 0.0) -> None:
        super().__init__(resolve_target("valhall4"), "vulkan")
        object.__setattr__(self, "speed", speed)
        object.__setattr__(self, "again", again)
        object.__setattr__(self, "compiled", [])

    def reading(self, weights: tuple[int, ...]) -> Bench:
        return self

    def compile(self, sources: Sequence[Path]) -> list[Path | None]:
        return list(sources)

    def compile_storage(self, source: Path, storage: str) -> Path | None:
        self.compiled.append(storage)  # type: ignore[attr-defined]
        return source.with_suffix(f".{storage}")

    def seconds(self, module: Path) -> float | None:
        return 1.0

    def ratios(
        self, first: Path, others: Sequence[Path | None], *, exact: bool = False
    ) -> list[float | None]:
        found = [self._speed(path, exact) for path in others if path]
        return [None if r is None else r + (len(found) == 1) * self.again for r in found]  # type: ignore[attr-defined]

    def _speed(self, path: Path, exact: bool) -> float | None:
        if exact:
            return self.speed(path.suffix[1:])  # type: ignore[attr-defined, no-any-return]
        (case,) = kernel_cases(read_module(path), PHONE)
        return self.speed(case.tiles)  # type: ignore[attr-defined, no-any-return]


def layers_file(tmp_path: Path) -> Path:
    path = tmp_path / "layers.mlir"
    path.write_text(LAYERS)
    return path


def saved(tmp_path: Path, target: str, kernels: dict[str, Measured], **values: Any) -> Path:
    path = tmp_path / "tuning.json"
    Table(machine_of(resolve_target(target)), kernels, **values).save(path)
    return path


# A multiplication with few neighbours: it is quick to measure.
SMALL = """\
func.func @main(%x: tensor<13x8xf32>, %w: tensor<8x8xf32>) -> tensor<13x8xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<13x8xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<13x8xf32>) -> tensor<13x8xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<13x8xf32>, tensor<8x8xf32>)
      outs(%z : tensor<13x8xf32>) -> tensor<13x8xf32>
  return %0 : tensor<13x8xf32>
}
"""
