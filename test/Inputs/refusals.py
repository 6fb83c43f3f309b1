"""A command that refuses what it is given, and a model that can be wrong."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def fails(done: subprocess.CompletedProcess[str], *parts: str) -> None:
    """Checks that a command failed with one message that holds every one of ``parts``."""
    assert done.returncode == 1, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    for part in parts:
        assert part in lines[0], (part, lines[0])


def relu(dtype: int = TensorProto.FLOAT, op: str = "Relu") -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(op, ["x"], ["y"], name="the_node")],
        "one",
        [helper.make_tensor_value_info("x", dtype, [2, 3])],
        [helper.make_tensor_value_info("y", dtype, [2, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
