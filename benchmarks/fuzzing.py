"""What ``fuzz_inputs`` gives to the tools: files of each kind, and how they are damaged."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import random
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch_mlir import ir

import smartmem
from smartmem.tools import cli, opt
from smartmem.tools.process import run_tool

MLIR = """\
func.func @main(%x: tensor<4x8xf32>, %i: tensor<4xi64>) -> (tensor<8x4xf32>, tensor<4x4xf32>) {
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%x : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>)
       permutation = [1, 0]
  %s = tensor.extract_slice %x[0, 2] [4, 4] [1, 1] : tensor<4x8xf32> to tensor<4x4xf32>
  %f = tensor.empty() : tensor<4x4xf32>
  %z = linalg.fill ins(%c : f32) outs(%f : tensor<4x4xf32>) -> tensor<4x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x4xf32>)
       outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,
      affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>],
      iterator_types = ["parallel", "parallel"]}
      ins(%m, %s : tensor<4x4xf32>, tensor<4x4xf32>) outs(%f : tensor<4x4xf32>) {
  ^bb0(%p: f32, %q: f32, %o: f32):
    %v = arith.addf %p, %q : f32
    linalg.yield %v : f32
  } -> tensor<4x4xf32>
  return %t, %a : tensor<8x4xf32>, tensor<4x4xf32>
}
"""

_NUMBERS = (0, -1, 1, 2, 3, 7, 1 << 31, -(1 << 31), (1 << 63) - 1, 10**12, 65536)
_NAMES = ("", "x", "\n", "\x1b[31m", 'a"b', "é" * 300, "../../x", "%s", "\0", "x y")
_JSON = (None, True, -1, 0, 1e308, 10**30, "x", "", [], {}, [[]], {"a": 1}, [1, 2, 3, 4])


@dataclass(frozen=True)
class Case:
    """One run of a tool.

    Attributes:
        files: what lies in its folder.
        outputs: what it may leave there.
        statuses: how it may end.
        parts: inputs in it, each of which may have its messages.
    """

    tool: str
    arguments: Sequence[str]
    files: Mapping[str, bytes]
    outputs: Sequence[str] = ()
    statuses: Sequence[int] = (0, 1)
    parts: int = 1

    @property
    def command(self) -> list[str]:
        """For a shell."""
        return [self.tool, *self.arguments]

    def run(self) -> int:
        """Runs the tool in this process, where a crash is one."""
        sys.argv = self.command
        return opt.run(self.arguments) if self.tool == "smartmem-opt" else run_tool(cli.app)


class Kind(Protocol):
    """Cases of one kind.

    Attributes:
        name: of the kind.
    """

    name: str

    def case(self, rng: random.Random) -> Case:
        """A case that depends on ``rng`` alone."""


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Other bytes: with bits flipped, cut short, or with a part that is zero, lost or twice."""
    data = bytearray(content)
    start = rng.randrange(len(data))
    end = min(start + rng.choice((1, 4, 64, 1000)), len(data))
    match rng.randrange(6):
        case 0:
            return bytes(data[:start])
        case 1:
            data[start:end] = bytes(end - start)
        case 2:
            del data[start:end]
        case 3:
            data[end:end] = data[start:end]
        case _:
            for _ in range(rng.choice((1, 1, 2, 8))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


class Modules:
    """Damaged modules, which have to be refused before they run."""

    name = "modules"

    def __init__(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "model.mlir")
            source.write_text(MLIR)
            smartmem.compile(source, target="cpu").save(Path(folder, "model.vmfb"))
            self._module = Path(folder, "model.vmfb").read_bytes()

    def case(self, rng: random.Random) -> Case:
        content = damaged(self._module, rng)
        statuses = (0,) if content == self._module else (1,)
        command = rng.choice(("run", "run", "info", "bundle"))
        return Case("smartmem", [command, "m.vmfb", "-q"], {"m.vmfb": content}, (), statuses)


class OnnxModels:
    """ONNX models with other bytes, or other attributes, types, sizes and names."""

    name = "onnx"

    def __init__(self) -> None:
        self._models = [_convolution(), _attention(), _shapes()]

    def case(self, rng: random.Random) -> Case:
        model = copy.deepcopy(rng.choice(self._models))
        if rng.random() < 0.3:
            content = damaged(model.SerializeToString(), rng)
        else:
            for _ in range(rng.choice((1, 1, 2, 3))):
                _change_model(model, rng)
            content = model.SerializeToString()
        return Case(
            "smartmem",
            ["compile", "m.onnx", "-t", "cpu", "--emit", "lowered", "-o", "o.mlir", "-q"],
            {"m.onnx": content},
            ["o.mlir"],
        )


class MlirModules:
    """MLIR with other tokens, lines and bytes, for both tools."""

    name = "mlir"

    def __init__(self) -> None:
        buffer = io.BytesIO()
        with ir.Context():
            ir.Module.parse(MLIR).operation.write_bytecode(buffer)
        self._bytecode = buffer.getvalue()

    def case(self, rng: random.Random) -> Case:
        is_text = rng.random() < 0.7
        content = _changed_text(MLIR, rng) if is_text else damaged(self._bytecode, rng)
        name = "m.mlir" if is_text else "m.mlirbc"
        if rng.random() < 0.5:
            flags = ["--smartmem-eliminate-views", "--smartmem-form-regions", "--canonicalize"]
            # Its messages quote the source, as those of mlir-opt.
            arguments = [name, *flags, "-o", "o"]
            return Case("smartmem-opt", arguments, {name: content}, ["o"], parts=4)
        arguments = ["compile", name, "-t", "cpu", "--emit", "lowered", "-o", "o.mlir", "-q"]
        return Case("smartmem", arguments, {name: content}, ["o.mlir"])


@dataclass
class JsonFiles:
    """Files of JSON with other values, without fields, or with other bytes.

    Attributes:
        option: which takes the file.
        values: what it holds.
    """

    name: str
    option: str
    values: Any = field(repr=False)

    def case(self, rng: random.Random) -> Case:
        values = copy.deepcopy(self.values)
        for _ in range(rng.choice((1, 1, 2))):
            values = _changed_json(values, rng)
        content = json.dumps(values).encode()
        if rng.random() < 0.2:
            content = damaged(content, rng)
        arguments = ["compile", "m.mlir", self.option, "f.json", "--emit", "lowered"]
        target = ["-t", "cpu"] if self.option != "--target" else []
        files = {"m.mlir": MLIR.encode(), "f.json": content}
        return Case("smartmem", [*arguments, *target, "-o", "o.mlir", "-q"], files, ["o.mlir"])


def _tuning_files() -> JsonFiles:
    from smartmem.backend.targets import resolve_target
    from smartmem.passes.analysis.kernel_costs import Rates
    from smartmem.passes.analysis.tile_sizes import TileSizes
    from smartmem.tuning.shipped import machine_of
    from smartmem.tuning.table import Measured, Table

    key = "contraction 4x4x8 ac.f32,cb.f32->ab.f32"
    kernels = {key: Measured(TileSizes((4, 4, 0), (2, 4, 0), (0, 0, 2)), 1e-6, 2e-6)}
    table = Table(machine_of(resolve_target("cpu")), kernels, Rates(1e9, 1e9, 1e-6, 2.0))
    with tempfile.TemporaryDirectory() as folder:
        table.save(Path(folder, "t.json"))
        values = json.loads(Path(folder, "t.json").read_text())
    return JsonFiles("tuning", "--tuning", values)


def _target_files() -> JsonFiles:
    from smartmem.backend.vulkan_device import BASELINE_FEATURES, VulkanDevice

    kinds = {"int": 1 << 16, "tuple[int, int, int]": (1, 3, 200), "str": "some"}
    plain = {f.name: kinds.get(str(f.type)) for f in dataclasses.fields(VulkanDevice)}
    features = frozenset({"subgroup-basic", "storage16", *BASELINE_FEATURES})
    device = VulkanDevice(
        **{**plain, "type": "integrated", "uuid": "0" * 32, "features": features}  # type: ignore[arg-type]
    )
    return JsonFiles("target", "--target", {"schema_version": 1, "device": device.to_json()})


def _changed_json(values: Any, rng: random.Random) -> Any:
    """The values with one of them, at any depth, replaced, dropped or added."""
    if isinstance(values, dict) and values and rng.random() < 0.9:
        name = rng.choice(sorted(values))
        if rng.random() < 0.15:
            return {k: v for k, v in values.items() if k != name}
        if rng.random() < 0.05:
            return {**values, "another": rng.choice(_JSON)}
        return {**values, name: _changed_json(values[name], rng)}
    if isinstance(values, list) and values and rng.random() < 0.7:
        number = rng.randrange(len(values))
        return [*values[:number], _changed_json(values[number], rng), *values[number + 1 :]]
    return rng.choice(_JSON)


def _changed_text(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        number = rng.randrange(len(lines))
        match rng.randrange(7):
            case 0:
                del lines[number]
            case 1:
                lines.insert(number, rng.choice(lines))
            case 2 | 3:
                lines[number] = _changed_token(lines[number], r"\d+", map(str, _NUMBERS), rng)
            case 4:
                others = re.findall(r"%\w+", text)
                lines[number] = _changed_token(lines[number], r"%\w+", others, rng)
            case 5:
                words = re.findall(r"[a-z_]+\.?[a-z_]+", text)
                lines[number] = _changed_token(lines[number], r"[a-z_]+\.?[a-z_]+", words, rng)
            case _:
                lines[number] = damaged(lines[number].encode() or b" ", rng).decode("latin1")
        lines = lines or [""]
    return "\n".join(lines).encode()


def _changed_token(line: str, pattern: str, others: Any, rng: random.Random) -> str:
    found = list(re.finditer(pattern, line))
    if not found:
        return line
    token = rng.choice(found)
    return line[: token.start()] + rng.choice([*others]) + line[token.end() :]


def _change_model(model: onnx.ModelProto, rng: random.Random) -> None:
    """Changes one thing in a model."""
    graph = model.graph
    node = rng.choice(graph.node)
    value = rng.choice([*graph.input, *graph.output])
    tensor = rng.choice(graph.initializer) if graph.initializer else None
    tensor_type = value.type.tensor_type
    match rng.randrange(14):
        case 0 if node.attribute:
            _change_attribute(rng.choice(node.attribute), rng)
        case 1 if node.attribute:
            del node.attribute[rng.randrange(len(node.attribute))]
        case 2:
            tensor_type.elem_type = rng.choice((0, 1, 2, 6, 7, 8, 9, 10, 11, 14, 16, 77, 99))
        case 3 if tensor_type.shape.dim:
            rng.choice(tensor_type.shape.dim).dim_value = rng.choice(_NUMBERS)
        case 4:
            tensor_type.shape.dim.add().dim_value = rng.choice(_NUMBERS)
        case 5:
            value.name = rng.choice(_NAMES)
        case 6 if node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(_names(graph))
        case 7 if node.output:
            node.output[rng.randrange(len(node.output))] = rng.choice(_names(graph))
        case 8:
            node.op_type = rng.choice(("Relu", "MatMul", "Conv", "Reshape", "Nope", "", "LSTM"))
        case 9:
            model.opset_import[0].version = rng.choice((0, 1, 7, 11, 13, 17, 21, 99, -1))
        case 10 if tensor is not None:
            tensor.raw_data = damaged(tensor.raw_data or b"0", rng)
        case 11 if tensor is not None:
            tensor.data_type = rng.choice((0, 1, 7, 8, 10, 16, 77))
        case 12 if tensor is not None and tensor.dims:
            tensor.dims[rng.randrange(len(tensor.dims))] = rng.choice(_NUMBERS)
        case _:
            graph.node.remove(node)
            graph.node.insert(rng.randrange(len(graph.node) + 1), node)


def _names(graph: onnx.GraphProto) -> list[str]:
    return [
        *(name for node in graph.node for name in node.output),
        *_NAMES,
        graph.input[0].name,
    ]


def _change_attribute(attribute: onnx.AttributeProto, rng: random.Random) -> None:
    match attribute.type:
        case onnx.AttributeProto.INT:
            attribute.i = rng.choice(_NUMBERS)
        case onnx.AttributeProto.INTS:
            if attribute.ints and rng.random() < 0.7:
                attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(_NUMBERS)
            else:
                attribute.ints.append(rng.choice(_NUMBERS))
        case onnx.AttributeProto.FLOAT:
            attribute.f = rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e38))
        case onnx.AttributeProto.STRING:
            attribute.s = rng.choice((b"", b"SAME_UPPER", b"\xff\xfe", b"nearest", b"VALID"))
        case _:
            attribute.type = rng.choice((0, 1, 2, 3, 7, 8))


def _model(nodes: Sequence[Any], inputs: Any, outputs: Any, weights: Any) -> onnx.ModelProto:
    infos = [
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in values
        ]
        for values in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "fuzzed", *infos, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def _ones(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.ones(shape, np.float32)


def _convolution() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1], strides=[1, 1], group=1),
        node("Relu", ["c"], ["r"]),
        node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=0),
        node("AveragePool", ["p"], ["a"], kernel_shape=[2, 2], count_include_pad=1),
        node("Pad", ["a", "pads"], ["q"], mode="constant"),
        node("Resize", ["q", "", "scales"], ["y"], mode="nearest"),
    ]
    weights = {
        "w": _ones(4, 3, 3, 3),
        "b": _ones(4),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 1]),
        "scales": np.array([1, 1, 2, 2], np.float32),
    }
    return _model(nodes, [("x", [1, 3, 8, 8])], [("y", [1, 4, 8, 8])], weights)


def _attention() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["m"]),
        node("Reshape", ["m", "shape"], ["s"], allowzero=0),
        node("Transpose", ["s"], ["t"], perm=[0, 2, 1, 3]),
        node("Softmax", ["t"], ["f"], axis=-1),
        node("LayerNormalization", ["f", "g"], ["n"], axis=-1, epsilon=1e-5),
        node("Gather", ["n", "i"], ["h"], axis=1),
        node("ReduceMean", ["h"], ["y"], axes=[2], keepdims=0),
    ]
    weights = {
        "w": _ones(16, 16),
        "g": _ones(4),
        "shape": np.array([2, 8, 4, 4]),
        "i": np.array([0, 3, 1]),
    }
    return _model(nodes, [("x", [2, 8, 16])], [("y", [2, 3, 4])], weights)


def _shapes() -> onnx.ModelProto:
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Slice", ["s", "zero", "one"], ["b"]),
        node("Concat", ["b", "rest"], ["t"], axis=0),
        node("Reshape", ["x", "t"], ["r"]),
        node("Split", ["r"], ["u", "v"], axis=1),
        node("Concat", ["v", "u"], ["c"], axis=1),
        node("Slice", ["c", "zero", "one", "one"], ["l"]),
        node("Expand", ["l", "wide"], ["y"]),
    ]
    weights = {
        "zero": np.array([0]),
        "one": np.array([1]),
        "rest": np.array([-1]),
        "wide": np.array([2, 3, 1]),
    }
    return _model(nodes, [("x", [4, 2, 3])], [("y", None)], weights)


KINDS: Mapping[str, Callable[[], Kind]] = {
    "modules": Modules,
    "onnx": OnnxModels,
    "mlir": MlirModules,
    "tuning": _tuning_files,
    "target": _target_files,
}
