"""Quantized networks beside ONNX Runtime, and beside the same networks in f32.

Weights of 4 bits: a stack of decoder layers' products, 2048 to 5632 channels and back, as
ONNX Runtime's MatMulNBits, for one token and for a prompt. Weights and activations of 8 bits:
small networks from ONNX Runtime's quantizer, static (QDQ) and dynamic (MatMulInteger). Runs of all
alternate; times are medians. Bytes per second are those of the weights as they are stored,
beside what two threads read and write when they copy memory in the same run.

    python benchmarks/compare_quantized.py                     # pip install onnxruntime torch
    python benchmarks/compare_quantized.py decoder-int4 --json rows.json
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from arguments import check_names, script_parser
from compare_with_iree import OnnxRuntime, in_turn, largest_error
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_dynamic, quantize_static
from results import save_rows
from torch import nn

import smartmem
from smartmem.backend.device.runtime import LoadedModule

_WIDTH, _HIDDEN, _GROUP, _LAYERS = 2048, 5632, 32, 2
_COPIED = 1 << 28
"""Bytes of each thread: many times a cache."""


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        error: largest error against ONNX Runtime, over the largest result.
        stored: bytes of weights that are read, as they are stored; 0 where nobody counts.
        rate: gigabytes of them per second; copy_rate: read and written by copying.
        ms: median of single inferences; f32_ms and onnxruntime_ms likewise.
        ratio: median of the time over ONNX Runtime's, in the same turn; f32_ratio likewise.
    """

    name: str
    error: float
    stored: int
    rate: float
    copy_rate: float
    ms: float
    f32_ms: float
    onnxruntime_ms: float
    ratio: float
    f32_ratio: float


@dataclass(frozen=True)
class Case:
    """A quantized model, the same in f32, and inputs."""

    quantized: Path
    f32: Path
    inputs: Sequence[Any]
    stored: int = 0


def decoder(folder: Path, rows: int, level: int) -> Case:
    """Layers of gated linear units. ``level``: accuracy_level, 4 for activations of 8 bits."""
    rng = np.random.default_rng(0)
    paths = []
    for packed in (True, False):
        rng = np.random.default_rng(0)
        nodes: list[Any] = []
        constants: list[Any] = []
        x = "x"
        for layer in range(_LAYERS):
            sizes = {"gate": (_WIDTH, _HIDDEN), "up": (_WIDTH, _HIDDEN)}
            for name, size in sizes.items():
                _product(rng, nodes, constants, x, f"{name}{layer}", size, packed, level)
            nodes += [
                helper.make_node("Sigmoid", [f"gate{layer}"], [f"s{layer}"]),
                helper.make_node("Mul", [f"gate{layer}", f"s{layer}"], [f"silu{layer}"]),
                helper.make_node("Mul", [f"silu{layer}", f"up{layer}"], [f"h{layer}"]),
            ]
            down = f"down{layer}"
            size = (_HIDDEN, _WIDTH)
            _product(rng, nodes, constants, f"h{layer}", down, size, packed, level)
            nodes.append(helper.make_node("Add", [x, down], [f"x{layer}"]))
            x = f"x{layer}"
        graph = helper.make_graph(
            nodes, "decoder",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (rows, _WIDTH))],
            [helper.make_tensor_value_info(x, TensorProto.FLOAT, (rows, _WIDTH))],
            constants,
        )  # fmt: skip
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
        paths.append(folder / f"decoder-{packed}.onnx")
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), paths[-1])
    weights = _LAYERS * 3 * _WIDTH * _HIDDEN
    inputs = [rng.standard_normal((rows, _WIDTH)).astype(np.float32)]
    return Case(paths[0], paths[1], inputs, weights // 2 + 4 * weights // _GROUP)


def _product(
    rng: np.random.Generator,
    nodes: list[Any],
    constants: list[Any],
    source: str,
    name: str,
    size: tuple[int, int],
    packed: bool,
    level: int,
) -> None:
    steps, channels = size
    groups = steps // _GROUP
    q = rng.integers(0, 256, (channels, groups, _GROUP // 2), dtype=np.uint8)
    s = (rng.random((channels, groups)) * 0.02 / steps**0.5).astype(np.float32)
    if packed:
        arrays = {"q": q, "s": s.reshape(-1)}
        how = {"K": steps, "N": channels, "bits": 4, "block_size": _GROUP}
        operands = [source, *(f"{name}/{key}" for key in arrays)]
        node = helper.make_node(
            *("MatMulNBits", operands, [name]),
            domain="com.microsoft",
            accuracy_level=level,
            **how,
        )
    else:
        integers = np.stack([q & 15, q >> 4], -1).reshape(channels, groups, _GROUP)
        w = (integers.astype(np.float32) - 8) * s[..., None]
        arrays = {"w": np.ascontiguousarray(w.reshape(channels, steps).T)}
        node = helper.make_node("MatMul", [source, f"{name}/w"], [name])
    constants += [numpy_helper.from_array(a, f"{name}/{key}") for key, a in arrays.items()]
    nodes.append(node)


class _Random(CalibrationDataReader):  # type: ignore[misc]
    """Calibration data: a few normal arrays."""

    def __init__(self, name: str, shape: Sequence[int]) -> None:
        rng = np.random.default_rng(1)
        self._arrays: Iterator[dict[str, Any]] = iter(
            [{name: rng.standard_normal(shape).astype(np.float32)} for _ in range(8)]
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next inputs; None behind the last."""
        return next(self._arrays, None)


def convolutions() -> tuple[nn.Module, Sequence[int]]:
    """3x3 and 1x1 convolutions of 32 to 256 channels on 64x64 pictures."""

    def block(a: int, b: int, stride: int) -> list[nn.Module]:
        wide = nn.Conv2d(a, b, 3, stride, 1)
        return [wide, nn.ReLU(), nn.Conv2d(b, b, 1), nn.ReLU()]

    layers = [*block(3, 32, 2), *block(32, 64, 1), *block(64, 128, 2), *block(128, 256, 2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 112)]
    return nn.Sequential(*layers, *head), (1, 3, 64, 64)


def layers() -> tuple[nn.Module, Sequence[int]]:
    """The linear layers of two blocks of a transformer of 384 channels, for 64 tokens."""
    block = [nn.LayerNorm(384), nn.Linear(384, 1536), nn.GELU(), nn.Linear(1536, 384)]
    again = [nn.LayerNorm(384), nn.Linear(384, 1536), nn.GELU(), nn.Linear(1536, 384)]
    return nn.Sequential(*block, *again), (64, 384)


def quantized(
    folder: Path, build: Callable[[], tuple[nn.Module, Sequence[int]]], dynamic: bool
) -> Case:
    """A network as ONNX Runtime's quantizer writes it."""
    torch.manual_seed(0)
    model, shape = build()
    f32, narrow = folder / "f32.onnx", folder / "int8.onnx"
    inputs = torch.randn(*shape)
    torch.onnx.export(model.eval(), (inputs,), f32, dynamo=True, verbose=False)
    if dynamic:
        quantize_dynamic(f32, narrow)
    else:
        name = onnx.load(f32).graph.input[0].name
        quantize_static(f32, narrow, _Random(name, shape), per_channel=True)
    return Case(narrow, f32, [inputs.numpy()])


CASES: dict[str, Callable[[Path], Case]] = {
    "decoder-int4": lambda folder: decoder(folder, 1, 0),
    "decoder-int4-level4": lambda folder: decoder(folder, 1, 4),
    "decoder-int4-8-rows": lambda folder: decoder(folder, 8, 0),
    "decoder-int4-prompt": lambda folder: decoder(folder, 64, 0),
    "convolutions-qdq": lambda folder: quantized(folder, convolutions, dynamic=False),
    "layers-qdq": lambda folder: quantized(folder, layers, dynamic=False),
    "layers-dynamic": lambda folder: quantized(folder, layers, dynamic=True),
}


def copy_rate() -> float:
    """Gigabytes per second that two threads read and write together: the best of five."""
    source = [np.ones(_COPIED, np.uint8) for _ in range(2)]
    target = [np.ones(_COPIED, np.uint8) for _ in range(2)]

    def seconds() -> float:
        pairs = zip(target, source, strict=True)
        threads = [threading.Thread(target=np.copyto, args=pair) for pair in pairs]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - start

    return 4e-9 * _COPIED / min(seconds() for _ in range(5))


def compare(name: str, turns: int, runs: int) -> Row:
    """Compiles, checks and times one network."""
    with tempfile.TemporaryDirectory() as folder:
        case = CASES[name](Path(folder))
        modules = []
        for path in (case.quantized, case.f32):
            compiled = smartmem.compile(path, target="cpu")
            compiled.save(saved := path.with_suffix(".vmfb"))
            modules.append(LoadedModule(saved, "cpu", threads=2))
        theirs = OnnxRuntime(case.quantized, 2)
        expected = theirs.run(case.inputs)
        times = in_turn([*modules, theirs], case.inputs, turns, runs)
        rate = copy_rate()
        ms = [1e3 * statistics.median(t[k] for t in times) for k in range(3)]
        return Row(
            name,
            largest_error(modules[0](*case.inputs), expected),
            case.stored,
            1e-6 * case.stored / ms[0],
            rate,
            *ms,
            statistics.median(t[0] / t[2] for t in times),
            statistics.median(t[0] / t[1] for t in times),
        )


def main() -> int:
    """Runs the comparison."""
    parser = script_parser(__doc__)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--turns", type=int, default=15, help="turns of all")
    parser.add_argument("--runs", type=int, default=5, help="inferences of each in a turn")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    check_names(parser, arguments.cases, CASES)
    rows = []
    for name in arguments.cases:
        rows.append(compare(name, arguments.turns, arguments.runs))
        print(json.dumps(asdict(rows[-1])))
    save_rows(rows, arguments.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
