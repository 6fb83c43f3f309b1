"""Races between the threads of a kernel, found in its SPIR-V."""

import numpy as np
import onnx
import pytest
from exchanging_kernel import COLUMNS, ROWS, kernel

import smartmem
from smartmem.backend.iree import compile_bytecode
from smartmem.backend.shader_races import shader_races
from smartmem.backend.targets import resolve_target


def races_of(text, tmp_path):
    output = tmp_path / "model.vmfb"
    compile_bytecode(text.encode(), resolve_target("adreno"), output=output)
    return shader_races(output.read_bytes())


@pytest.mark.parametrize("written", [ROWS, COLUMNS])
def test_what_a_thread_wrote_itself_is_no_race(written, tmp_path):
    assert races_of(kernel(written), tmp_path) == []


def test_a_value_that_changes_threads_without_a_barrier_is_a_race(tmp_path):
    found = races_of(kernel(COLUMNS, reshape=True), tmp_path)
    assert [(r.memory, r.kind) for r in found] == [("workgroup memory", "read after write")]
    assert "dispatch" in found[0].kernel


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
