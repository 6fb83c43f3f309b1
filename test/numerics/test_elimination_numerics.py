"""Elimination keeps the values of operations that accumulate onto a given tensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch_mlir import ir

import smartmem.dialect
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.targets.targets import resolve_target
from smartmem.compiler.lowered import embed_metadata
from smartmem.compiler.recorder import save_bytecode
from smartmem.frontend.finish import function_specs
from smartmem.frontend.imported_model import ImportedModel
from smartmem.mlir.pipelines import run_pipeline
from smartmem.parameters import Parameters
from smartmem.passes import PASSES, PassContext
from smartmem.passes.form_regions import FormRegions

X = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((8, 6)).astype(np.float32)
INIT = np.random.default_rng(2).standard_normal((4, 6)).astype(np.float32)

MATMUL = """
func.func @main(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>, %init: tensor<4x6xf32>)
    -> tensor<{shape}xf32> {{
  %0 = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>)
                     outs(%init : tensor<4x6xf32>) -> tensor<4x6xf32>
  %1 = "smartmem.view"(%0) {{map = {map}}} : (tensor<4x6xf32>) -> tensor<{shape}xf32>
  return %1 : tensor<{shape}xf32>
}}
"""

# An elementwise operation between a view and a contraction keeps the order of its source.
BETWEEN = """
#id = affine_map<(d0, d1) -> (d0, d1)>
func.func @main(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>, %init: tensor<4x6xf32>)
    -> tensor<4x8xf32> {
  %c = arith.constant 0.0 : f32
  %0 = "smartmem.view"(%w) {map = affine_map<(d0, d1) -> (d1, d0)>}
    : (tensor<8x6xf32>) -> tensor<6x8xf32>
  %r = "smartmem.view"(%init) {map = affine_map<(d0, d1) -> (d1 mod 4, d0)>}
    : (tensor<4x6xf32>) -> tensor<6x8xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
    ins(%0 : tensor<6x8xf32>) outs(%r : tensor<6x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<6x8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %2 = linalg.matmul ins(%init, %1 : tensor<4x6xf32>, tensor<6x8xf32>)
                     outs(%f : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %2 : tensor<4x8xf32>
}
"""


def run(text: str, folder: Path) -> np.ndarray:
    """The result for ``X``, ``W`` and ``INIT`` after all passes but the regions."""
    context = ir.Context()
    smartmem.dialect.load(context)
    module = ir.Module.parse(text, context)
    with context:
        run_pipeline(module, [p() for p in PASSES if p is not FormRegions], PassContext())
    model = ImportedModel(module, Parameters(), *function_specs(module), "mlir", None)
    target = resolve_target("cpu")
    embed_metadata(model, target)
    source, output = folder / "m.mlirbc", folder / "m.vmfb"
    save_bytecode(module, source)
    compile_bytecode(source, target, output=output)
    return LoadedModule(output, "cpu")(X, W, INIT)[0]


@pytest.mark.parametrize(
    ("shape", "map_", "expected"),
    [
        ("6x4", "affine_map<(d0, d1) -> (d1, d0)>", lambda y: y.T),
        ("4x6", "affine_map<(d0, d1) -> ((d0 + 1) mod 4, d1)>", lambda y: np.roll(y, -1, 0)),
        (
            "2x6x2",
            "affine_map<(d0, d1, d2) -> (d0 * 2 + d2, d1)>",
            lambda y: y.reshape(2, 2, 6).transpose(0, 2, 1),
        ),
    ],
)
def test_a_matmul_onto_a_given_tensor(
    shape: str, map_: str, expected: object, tmp_path: Path
) -> None:
    result = run(MATMUL.format(shape=shape, map=map_), tmp_path)
    np.testing.assert_allclose(result, expected(X @ W + INIT), rtol=1e-5, atol=1e-5)


def test_an_elementwise_operation_onto_a_given_tensor(tmp_path: Path) -> None:
    given = np.tile(INIT.T, 2)
    np.testing.assert_allclose(
        run(BETWEEN, tmp_path), INIT @ (W.T + given), rtol=1e-5, atol=1e-5
    )
