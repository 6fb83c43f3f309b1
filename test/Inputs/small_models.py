"""Small models and the command line, for tests of the compiler and its tools."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from row_sums import SUM, SUM_INPUTS, SUM_OUTPUTS, build
from tool_process import run_tool
from torch_mlir import ir

import smartmem
from smartmem import dialect
from smartmem.compiler.compile import CompiledModel
from smartmem.options import CompileOptions
from smartmem.parameters import Array

TRANSPOSE_ADD = """\
func.func @main(%a: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%a : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>)
       permutation = [1, 0]
  %r = arith.addf %t, %t : tensor<8x4xf32>
  return %r : tensor<8x4xf32>
}
"""

FALLBACK_LOGS = (
    "smartmem.compiler.attempts",
    "smartmem.compiler.faults",
    "smartmem.compiler.lowered",
)

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def no_silent_fallback(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fails a test in which something was given up that should have compiled.

    The model still runs then, and its numbers are right. Tests of that carry the mark.
    """
    yield
    if request.node.get_closest_marker("fallback"):
        return
    messages = [r.getMessage() for r in caplog.get_records("call") if r.name in FALLBACK_LOGS]
    assert not messages


@pytest.fixture
def mlir_context() -> Iterator[ir.Context]:
    """A context with the dialect, current while the test runs; other dialects may be unknown."""
    with ir.Context() as context, ir.Location.unknown():
        dialect.load(context)
        context.allow_unregistered_dialects = True
        yield context


@pytest.fixture
def mlir_file(tmp_path: Path) -> Path:
    """A module without parameters: the transpose of its 4x8 input, added to itself."""
    path = tmp_path / "model.mlir"
    path.write_text(TRANSPOSE_ADD)
    return path


def attention_model() -> onnx.ModelProto:
    """softmax(x W) x' with a reshape and a transpose; W is 16x16, x is 2x8x16."""
    weight = np.random.default_rng(7).standard_normal((16, 16)).astype(np.float32)
    shape = np.array([2, 8, 4, 4], dtype=np.int64)
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["projected"]),
        helper.make_node("Reshape", ["projected", "shape"], ["split"]),
        helper.make_node("Transpose", ["split"], ["heads"], perm=[0, 2, 1, 3]),
        helper.make_node("Softmax", ["heads"], ["y"], axis=-1),
        helper.make_node("ReduceMean", ["y"], ["mean"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8, 16])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 4, 8, 4]),
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, []),
        ],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(shape, "shape")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    """The file of ``attention_model``."""
    path = tmp_path / "attention.onnx"
    onnx.save(attention_model(), path)
    return path


@pytest.fixture(scope="session")
def compiled_attention(tmp_path_factory: pytest.TempPathFactory) -> CompiledModel:
    """``attention_model`` compiled for the CPU, for tests that change nothing of it."""
    path = tmp_path_factory.mktemp("attention") / "attention.onnx"
    onnx.save(attention_model(), path)
    options = CompileOptions(inspect_kernels=True)
    return smartmem.compile(path, target="cpu", options=options)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Runs ``smartmem`` in ``tmp_path`` and returns the finished process."""

    def run(
        *arguments: str | Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return run_tool([*map(str, arguments)], tmp_path, {**os.environ, **(env or {})})

    return run


@pytest.fixture(scope="session")
def rows() -> Array:
    """16 rows of 256 numbers."""
    return np.random.default_rng(0).standard_normal((16, 256), dtype=np.float32)


@pytest.fixture(scope="session")
def sum_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module for the CPU that sums the rows."""
    return build(tmp_path_factory.mktemp("sum"), SUM, "cpu", SUM_INPUTS, SUM_OUTPUTS)


@pytest.fixture(scope="session")
def adreno_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for an Adreno."""
    return build(tmp_path_factory.mktemp("adreno"), SUM, "adreno", SUM_INPUTS, SUM_OUTPUTS)
