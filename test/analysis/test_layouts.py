"""The layouts that the report tells, and the model of what kernels cost in them."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from torch_mlir import ir

from smartmem import dialect
from smartmem.backend.targets.vectors import AVX512, Vectors
from smartmem.frontend.mlir import read_resources
from smartmem.mlir.pipelines import run_pipeline
from smartmem.passes import PIPELINE, PassContext
from smartmem.passes.analysis.layout.kernel_costs import CPU, Einsum, cost_of
from smartmem.report.layouts import Layouts, layouts_of
from smartmem.tuning.table import Machine, Measured, Table

# x W, a GELU-like end, then V over its columns: both weights are known.
TWO_LAYERS = """\
func.func @main(%x: tensor<56x48xf32>) -> tensor<56x32xf32> {
  %w = arith.constant dense_resource<w> : tensor<48x64xf32>
  %v = arith.constant dense_resource<v> : tensor<64x32xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x64xf32>) -> tensor<56x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<56x48xf32>, tensor<48x64xf32>)
      outs(%z : tensor<56x64xf32>) -> tensor<56x64xf32>
  %1 = linalg.tanh ins(%0 : tensor<56x64xf32>) outs(%e : tensor<56x64xf32>)
      -> tensor<56x64xf32>
  %f = tensor.empty() : tensor<56x32xf32>
  %y = linalg.fill ins(%c : f32) outs(%f : tensor<56x32xf32>) -> tensor<56x32xf32>
  %2 = linalg.matmul ins(%1, %v : tensor<56x64xf32>, tensor<64x32xf32>)
      outs(%y : tensor<56x32xf32>) -> tensor<56x32xf32>
  return %2 : tensor<56x32xf32>
}
"""


def _resource(name: str, elements: int) -> str:
    return f'{name}: "0x04000000{"0000803F" * elements}"'


def layouts(tuning: Table | None = None) -> Layouts:
    """What is told of ``TWO_LAYERS``."""
    data = f"{_resource('w', 48 * 64)}, {_resource('v', 64 * 32)}"
    text = f"{TWO_LAYERS}\n{{-# dialect_resources: {{ builtin: {{ {data} }} }} #-}}"
    with ir.Context() as context:
        dialect.load(context)
        module = ir.Module.parse(text)
        shared = PassContext(read_resources(module), tuning=tuning)
        imported = set(shared.parameters)
        for _, passes in PIPELINE:
            elements = [p if isinstance(p, str) else p() for p in passes]
            run_pipeline(module, elements, shared)
        return layouts_of(module.operation, shared, imported)


def test_each_tensor_between_kernels_and_each_re_laid_weight_is_told() -> None:
    found = layouts().tensors
    weights = {t.shape: t for t in found if t.kind == "weight"}
    assert set(weights) == {(2, 48, 32), (64, 32)}
    assert all("blocks of channels" in t.reason for t in weights.values())
    assert weights[2, 48, 32].bytes == 4 * 48 * 64
    first, last = (t for t in found if t.kind == "intermediate")
    assert first.shape == (56, 2, 32)  # as the packed layer writes it
    assert first.reason == "its innermost dim is the reduction dim of a reader"
    assert [read.loads for read in first.reads] == ["scalars"]
    assert "the model's order" in last.reason


def test_kernels_have_a_predicted_cost_and_a_measured_one_where_it_is_known() -> None:
    first, _ = layouts().kernels
    assert first.key == "contraction 56x2x32x48 ad.f32,bdc.f32->abc.f32"
    assert first.flops == 2 * 56 * 64 * 48
    assert first.bytes == 4 * (56 * 48 + 48 * 64 + 56 * 64)
    assert first.predicted_s > CPU.launch and first.measured_s is None
    machine = Machine("cpu", "x86_64", AVX512, "3.13.0", "a test")
    table = Table(machine, {first.key: Measured(None, 3e-6, 3e-6)})
    again, other = layouts(table).kernels
    assert (again.measured_s, other.measured_s) == (3e-6, None)


def matmul(x: str, w: str, y: str, sizes: dict[str, int]) -> Einsum:
    """Y = X W with each tensor's dims in the order of its letters; nothing is known."""
    loops = {name: number for number, name in enumerate("mnk")}
    operands = tuple(tuple(loops[d] for d in text) for text in (x, w))
    written = tuple(loops[d] for d in y)
    domain = tuple(sizes[d] for d in "mnk")
    return Einsum(domain, operands, written, frozenset({2}), frozenset(), "contraction")


SIZES = {"m": 56, "n": 64, "k": 48}


def test_loads_of_a_contraction() -> None:
    rows = matmul("mk", "kn", "mn", SIZES)
    assert [rows.loads(k) for k in (0, 1)] == ["scalars", "vectors"]
    dots = matmul("mk", "nk", "mn", SIZES)
    assert [dots.loads(k) for k in (0, 1)] == ["scalars", "strided"]
    known = dataclasses.replace(dots, known=frozenset({1}))
    assert known.loads(1) == "vectors"  # it is stored as it is read


def test_a_stride_costs_more_than_vectors() -> None:
    good, bad = (matmul("mk", w, "mn", SIZES) for w in ("kn", "nk"))
    assert cost_of(good, CPU, AVX512).seconds < cost_of(bad, CPU, AVX512).seconds
    assert cost_of(good, CPU, AVX512).bytes == cost_of(bad, CPU, AVX512).bytes


@pytest.mark.parametrize(
    "orders", list(itertools.product(("mk", "km"), ("kn", "nk"), ("mn", "nm")))
)
def test_the_best_order_of_all_reads_vectors(orders: tuple[str, str, str]) -> None:
    best = cost_of(matmul("mk", "kn", "mn", SIZES), CPU, AVX512).seconds
    assert cost_of(matmul(*orders, SIZES), CPU, AVX512).seconds >= best


def test_narrower_vectors_multiply_slower() -> None:
    wide, narrow = (
        cost_of(matmul("mk", "kn", "mn", {"m": 560, "n": 640, "k": 480}), CPU, v).seconds
        for v in (AVX512, Vectors(8, 16))
    )
    assert wide < narrow
