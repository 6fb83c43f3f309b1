"""Text that is damaged, for ``fuzz_inputs``: MLIR, and the files of JSON."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import random
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzzing import NUMBERS, Case, damaged
from torch_mlir import ir

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

_JSON = (None, True, -1, 0, 1e308, 10**30, "x", "", [], {}, [[]], {"a": 1}, [1, 2, 3, 4])


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


def tuning_files() -> JsonFiles:
    from smartmem.backend.targets.targets import resolve_target
    from smartmem.passes.analysis.layout.kernel_costs import Rates
    from smartmem.passes.analysis.tiling.cpu_tiles import TileSizes
    from smartmem.tuning.shipped import machine_of
    from smartmem.tuning.table import Measured, Table

    key = "contraction 4x4x8 ac.f32,cb.f32->ab.f32"
    kernels = {key: Measured(TileSizes((4, 4, 0), (2, 4, 0), (0, 0, 2)), 1e-6, 2e-6)}
    table = Table(machine_of(resolve_target("cpu")), kernels, Rates(1e9, 1e9, 1e-6, 2.0))
    with tempfile.TemporaryDirectory() as folder:
        table.save(Path(folder, "t.json"))
        values = json.loads(Path(folder, "t.json").read_text())
    return JsonFiles("tuning", "--tuning", values)


def target_files() -> JsonFiles:
    from smartmem.backend.targets.vulkan_device import BASELINE_FEATURES, VulkanDevice

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
                lines[number] = _changed_token(lines[number], r"\d+", map(str, NUMBERS), rng)
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
