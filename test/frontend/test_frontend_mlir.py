"""MLIR text and bytecode, StableHLO and TOSA."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from torch_mlir import ir

from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.frontend import import_model
from smartmem.frontend.mlir import read_resources

ADD = """
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = arith.constant dense_resource<bias> : tensor<4xf32>
  %r = arith.addf %x, %c : tensor<4xf32>
  return %r : tensor<4xf32>
}
{-# dialect_resources: { builtin: {
  bias: "0x040000000000803F000000400000404000008040"
} } #-}
"""


def test_text_and_bytecode_give_the_same(tmp_path: Path) -> None:
    text = tmp_path / "add.mlir"
    text.write_text(ADD)
    model = import_model(text)
    bytecode = tmp_path / "add.mlirbc"
    with bytecode.open("wb") as file:
        model.module.operation.write_bytecode(file)
    again = import_model(bytecode)
    assert str(again.module) == str(model.module)
    for imported in (model, again):
        assert imported.reference is None
        np.testing.assert_array_equal(imported.parameters["bias"], [1, 2, 3, 4])


@pytest.mark.parametrize(
    ("element", "dtype"),
    [
        ("f32", np.float32),
        ("f64", np.float64),
        ("f16", np.float16),
        ("bf16", ml_dtypes.bfloat16),
        ("i1", np.bool_),
        ("i8", np.int8),
        ("i32", np.int32),
        ("i64", np.int64),
    ],
)
def test_reads_resources_of_every_type(element: str, dtype: Any) -> None:
    array = (np.arange(6) % 3).reshape(2, 3).astype(dtype)
    with ir.Context(), ir.Location.unknown():
        module = ir.Module.parse(
            "func.func @main() { %c = arith.constant dense<0> : tensor<2x3xi8> return }"
        )
        type = ir.RankedTensorType.get([2, 3], ir.Type.parse(element))
        attribute = ir.DenseResourceElementsAttr.get_from_buffer(array, "odd name.0", type)
        constant = module.body.operations[0].regions[0].blocks[0].operations[0]
        constant.operation.attributes["value"] = attribute
        values = read_resources(module)
    assert list(values) == ["odd name.0"]
    assert values["odd name.0"].dtype == dtype
    np.testing.assert_array_equal(values["odd name.0"], array)


def test_boolean_resources_become_dense(run: Callable[..., Any]) -> None:
    text = """
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %c = arith.constant dense_resource<mask> : tensor<4xi1>
      %z = arith.constant dense<0.0> : tensor<4xf32>
      %r = arith.select %c, %x, %z : tensor<4xi1>, tensor<4xf32>
      return %r : tensor<4xf32>
    }
    {-# dialect_resources: { builtin: { mask: "0x0100000001000101" } } #-}"""
    model = import_model(text.encode())
    assert not model.parameters
    assert "dense<[true, false, true, true]>" in str(model.module)
    x = np.array([1, 2, 3, 4], dtype=np.float32)
    np.testing.assert_array_equal(run(model, [x])[0], [1, 0, 3, 4])


def test_elided_constants_are_named() -> None:
    text = ADD.split("{-#", maxsplit=1)[0]
    with pytest.raises(
        InvalidInputError, match="does not hold the data of the constant 'bias'"
    ):
        import_model(text.encode())


def test_resource_of_the_wrong_size() -> None:
    with pytest.raises(InvalidInputError, match="'bias' has 12 bytes, but tensor<4xf32> needs"):
        import_model(ADD.replace("00008040", "").encode())


def test_syntax_error_has_a_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.mlir"
    path.write_text("func.func @main() {\n  oops\n}")
    with pytest.raises(InvalidInputError, match=r"cannot parse .*bad\.mlir:2:3: .*oops"):
        import_model(path)


def test_truncated_bytecode(tmp_path: Path) -> None:
    content = io.BytesIO()
    import_model(ADD.encode()).module.operation.write_bytecode(content)
    path = tmp_path / "short.mlirbc"
    path.write_bytes(content.getvalue()[:-20])
    with pytest.raises(InvalidInputError, match=r"cannot parse .*short\.mlirbc"):
        import_model(path)


def test_dynamic_shape_names_the_value() -> None:
    text = "func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> { return %x : tensor<?x4xf32> }"
    with pytest.raises(UnsupportedError, match=r"%arg0 .*dynamic type tensor<\?x4xf32>"):
        import_model(text.encode())


def test_private_functions_are_inlined(op_names: Callable[..., list[str]]) -> None:
    text = """
    func.func private @double(%x: tensor<4xf32>) -> tensor<4xf32> {
      %r = arith.addf %x, %x : tensor<4xf32>
      return %r : tensor<4xf32>
    }
    func.func @forward(%x: tensor<4xf32>) -> tensor<4xf32> attributes {torch.foo} {
      %r = call @double(%x) : (tensor<4xf32>) -> tensor<4xf32>
      return %r : tensor<4xf32>
    }"""
    model = import_model(text.encode())
    assert op_names(model) == ["func.func", "arith.addf", "func.return"]
    assert "func.func @main(%arg0: tensor<4xf32>) -> tensor<4xf32> {" in str(model.module)


def test_two_entries_are_refused() -> None:
    text = "func.func @a() { return } func.func @b() { return }"
    with pytest.raises(InvalidInputError, match=r"@a, @b.*name one of them main"):
        import_model(text.encode())


def test_foreign_operation_is_named() -> None:
    text = """
    func.func @main(%x: tensor<4xf32>, %v: tensor<f32>) -> tensor<4xf32> {
      %i = arith.constant 1 : index
      %f = tensor.extract %v[] : tensor<f32>
      %m = bufferization.to_buffer %x : tensor<4xf32> to memref<4xf32>
      memref.store %f, %m[%i] : memref<4xf32>
      return %x : tensor<4xf32>
    }"""
    with pytest.raises(
        UnsupportedError, match=r"operation bufferization\.to_buffer at .* no lowering"
    ):
        import_model(text.encode())


def test_entry_of_buffers_is_refused() -> None:
    text = "func.func @main(%x: memref<4xf32>) { return }"
    with pytest.raises(UnsupportedError, match=r"arg0 .* is a memref<4xf32>"):
        import_model(text.encode())


def test_torch_dialect_is_refused() -> None:
    text = "func.func @main() { %n = torch.constant.none return }"
    with pytest.raises(UnsupportedError, match="in the torch dialect"):
        import_model(text.encode())


def test_unused_results_are_dropped() -> None:
    text = """
    #in = affine_map<(i, j) -> (i, j)>
    #out = affine_map<(i, j) -> (i)>
    func.func @main(%x: tensor<3x5xf32>, %m: tensor<3xf32>, %n: tensor<3xi64>) -> tensor<3xf32> {
      %r:2 = linalg.generic {indexing_maps = [#in, #out, #out],
                             iterator_types = ["parallel", "reduction"]}
          ins(%x : tensor<3x5xf32>) outs(%m, %n : tensor<3xf32>, tensor<3xi64>) {
      ^bb0(%a: f32, %max: f32, %where: i64):
        %j = linalg.index 1 : index
        %k = arith.index_cast %j : index to i64
        %new = arith.maximumf %a, %max : f32
        %more = arith.cmpf ogt, %a, %max : f32
        %at = arith.select %more, %k, %where : i64
        linalg.yield %new, %at : f32, i64
      } -> (tensor<3xf32>, tensor<3xi64>)
      return %r#RESULT : tensor<3xRTYPE>
    }"""
    kept = str(
        import_model(text.replace("RESULT", "0").replace("RTYPE", "f32").encode()).module
    )
    assert "arith.maximumf" in kept
    assert "linalg.index" not in kept and "i64" not in kept.split("linalg.generic")[1]
    # The index needs the maximum: both results stay.
    both = text.replace("RESULT", "1").replace("RTYPE", "i64")
    both = both.replace("-> tensor<3xf32> {", "-> tensor<3xi64> {")
    assert "arith.maximumf" in str(import_model(both.encode()).module)


def test_stablehlo(run: Callable[..., Any]) -> None:
    text = """
    module @jit_f attributes {mhlo.num_partitions = 1 : i32} {
      func.func public @main(%x: tensor<2x3xf32>) -> (tensor<3x2xf32> {jax.result_info = ""}) {
        %t = stablehlo.transpose %x, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
        %e = chlo.erf %t : tensor<3x2xf32> -> tensor<3x2xf32>
        %r = stablehlo.add %e, %e : tensor<3x2xf32>
        return %r : tensor<3x2xf32>
      }
    }"""
    model = import_model(text.encode())
    assert model.source == "stablehlo"
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    erf = np.vectorize(__import__("math").erf)
    np.testing.assert_allclose(run(model, [x])[0], 2 * erf(x.T), atol=1e-5)


def test_stablehlo_without_a_lowering_is_named() -> None:
    text = """
    func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
      %r = stablehlo.custom_call @mystery(%x) : (tensor<4xf32>) -> tensor<4xf32>
      return %r : tensor<4xf32>
    }"""
    with pytest.raises(UnsupportedError, match=r"stablehlo\.custom_call"):
        import_model(text.encode())


def test_tosa(run: Callable[..., Any]) -> None:
    text = """
    func.func @main(%x: tensor<1x2x3xf32>) -> tensor<3x1x2xf32> {
      %r = tosa.reverse %x {axis = 2 : i32} : (tensor<1x2x3xf32>) -> tensor<1x2x3xf32>
      %t = tosa.transpose %r {perms = array<i32: 2, 0, 1>}
           : (tensor<1x2x3xf32>) -> tensor<3x1x2xf32>
      return %t : tensor<3x1x2xf32>
    }"""
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    model = import_model(text.encode())
    np.testing.assert_array_equal(run(model, [x])[0], x[..., ::-1].transpose(2, 0, 1))
