"""Races between the threads of a kernel, found in its SPIR-V."""

import numpy as np
import onnx
import pytest
from exchanging_kernel import COLUMNS, ROWS, kernel

import smartmem
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.module.shader_races import shader_races
from smartmem.backend.targets.targets import resolve_target


def races_of(text, tmp_path, target="adreno"):
    output = tmp_path / "model.vmfb"
    compile_bytecode(text.encode(), resolve_target(target), output=output)
    return shader_races(output.read_bytes())


@pytest.mark.parametrize("written", [ROWS, COLUMNS])
def test_what_a_thread_wrote_itself_is_no_race(written, tmp_path):
    assert races_of(kernel(written), tmp_path) == []


def test_a_value_that_changes_threads_without_a_barrier_is_a_race(tmp_path):
    found = races_of(kernel(COLUMNS, reshape=True), tmp_path)
    assert [(r.memory, r.kind) for r in found] == [("workgroup memory", "read after write")]
    assert "dispatch" in found[0].kernel


def contraction(order: str) -> str:
    """Scores of two heads, whose initial values are written in the given order of the dims."""
    sizes = {"h": "2", "q": "5", "d": "5"}
    shape = "x".join(sizes[dim] for dim in order)
    return f"""
    func.func @main(%x: tensor<2x5x7xf32>) -> tensor<{shape}xf32> {{
      %r = "flow.dispatch.region"() ({{
        %z = arith.constant 0.0 : f32
        %e = tensor.empty() : tensor<{shape}xf32>
        %f = linalg.fill ins(%z : f32) outs(%e : tensor<{shape}xf32>) -> tensor<{shape}xf32>
        %s = linalg.generic {{
          indexing_maps = [affine_map<(h, q, d, k) -> (h, q, k)>,
                           affine_map<(h, q, d, k) -> (h, d, k)>,
                           affine_map<(h, q, d, k) -> ({", ".join(order)})>],
          iterator_types = ["parallel", "parallel", "parallel", "reduction"]}}
          ins(%x, %x : tensor<2x5x7xf32>, tensor<2x5x7xf32>)
          outs(%f : tensor<{shape}xf32>) {{
        ^bb0(%a: f32, %b: f32, %o: f32):
          %p = arith.mulf %a, %b : f32
          %y = arith.addf %o, %p : f32
          linalg.yield %y : f32
        }} -> tensor<{shape}xf32>
        "flow.return"(%s) : (tensor<{shape}xf32>) -> ()
      }}, {{}}) {{operandSegmentSizes = array<i32: 0, 0>}} : () -> tensor<{shape}xf32>
      return %r : tensor<{shape}xf32>
    }}
    """


def test_a_sum_begins_with_what_its_own_thread_has_written(tmp_path):
    """In its loop it stores where it loads, but not before the first step."""
    assert races_of(contraction("hqd"), tmp_path, "valhall4") == []
    found = races_of(contraction("qhd"), tmp_path, "valhall4")
    assert [(r.memory, r.kind) for r in found] == [("binding 1", "read after write")]


def test_a_scan_reads_what_its_own_thread_has_written(tmp_path):
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("CumSum", ["x", "axis"], ["y"])],
            "scan",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 6, 9])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [4, 6, 9])],
            [onnx.numpy_helper.from_array(np.array(1), "axis")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 17)],
    )
    compiled = smartmem.compile(model, target="adreno")
    assert shader_races(compiled.path.read_bytes()) == []
