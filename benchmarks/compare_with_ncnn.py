"""SmartMem beside ncnn on one Vulkan device: errors and paired latency on whole networks.

ncnn's shaders are written by hand for phones. Both compute in f32, on the same device and
the same input, are compared with PyTorch, and run in turn: the ratio is the median of the
ratios of neighbouring runs. ncnn's times hold the transfer of the input and the result, as
SmartMem's do.

    pip install --no-deps ncnn pnnx portalocker
    python benchmarks/compare_with_ncnn.py
    python benchmarks/compare_with_ncnn.py resnext50_32x4d --pairs 9 --max-ratio 3
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from arguments import script_parser
from models import MODELS, ModelCase
from results import relative_error, save_rows
from rich.console import Console
from rich.table import Table

import smartmem
from smartmem.backend.device.devices import select_device
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.targets.targets import device_target
from smartmem.parameters import Array

try:
    import ncnn
    import pnnx
except ModuleNotFoundError:
    sys.exit("this script needs ncnn and its converter: pip install ncnn pnnx")

NETWORKS = ("resnext50_32x4d", "mobilenetv2_100")
TOLERANCE = 1e-4
"""Largest |a - b| over largest |b|, f32, whole network."""


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        device: the Vulkan device's name.
        error: SmartMem against PyTorch, relative; ncnn_error likewise.
        latency_ms: median of single inferences; ncnn_latency_ms likewise.
        ratio: median of latency / ncnn's latency over pairs of neighbouring runs.
    """

    name: str
    device: str
    error: float
    ncnn_error: float
    latency_ms: float
    ncnn_latency_ms: float
    ratio: float


class NcnnModel:
    """A network converted to ncnn, on a Vulkan device, in f32."""

    def __init__(
        self, model: torch.nn.Module, image: torch.Tensor, device: int, folder: Path
    ) -> None:
        traced = folder / "model.pt"
        with contextlib.redirect_stdout(sys.stderr):
            pnnx.export(model, str(traced), image, fp16=False)
        self._net = ncnn.Net()
        options = self._net.opt
        options.use_vulkan_compute = True
        options.use_fp16_packed = options.use_fp16_storage = False
        options.use_fp16_arithmetic = False
        self._net.set_vulkan_device(device)
        for load, suffix in ((self._net.load_param, "param"), (self._net.load_model, "bin")):
            if load(str(traced.with_suffix(f".ncnn.{suffix}"))) != 0:
                raise RuntimeError(f"pnnx converted no {suffix} file that ncnn reads")

    def __call__(self, image: Array) -> Array:
        """The first result for one image without its batch dim."""
        extractor = self._net.create_extractor()
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(image)))
        status, result = extractor.extract("out0")
        if status != 0:
            raise RuntimeError("ncnn computed no result")
        return np.array(result)


def compare(case: ModelCase, device: str, pairs: int) -> Row:
    """Converts, compiles, runs and times one network both ways."""
    model, inputs = case.build()
    with torch.no_grad():
        expected = model(*inputs).numpy()
    image = inputs[0].numpy()
    chosen = select_device(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        compiled = smartmem.compile(model, inputs=inputs, target=device_target(chosen))
        compiled.save(path / "ours.vmfb")
        ours = LoadedModule(path / "ours.vmfb", f"vulkan:{chosen.index}")
        theirs = NcnnModel(model, inputs[0], chosen.index, path)
        error = _error(ours(image)[0], expected)
        ncnn_error = _error(theirs(image[0]), expected)
        times = [_pair(ours, theirs, image) for _ in range(pairs)]
    return Row(
        name=case.name,
        device=chosen.name,
        error=error,
        ncnn_error=ncnn_error,
        latency_ms=1e3 * statistics.median(a for a, _ in times),
        ncnn_latency_ms=1e3 * statistics.median(b for _, b in times),
        ratio=statistics.median(a / b for a, b in times),
    )


def _pair(ours: LoadedModule, theirs: NcnnModel, image: Array) -> tuple[float, float]:
    start = time.perf_counter()
    ours(image)
    middle = time.perf_counter()
    theirs(image[0])
    return middle - start, time.perf_counter() - middle


def _error(result: Array, expected: Array) -> float:
    return relative_error(result.reshape(expected.shape), expected)


def print_table(rows: Sequence[Row]) -> None:
    """The results as one table."""
    table = Table(title=f"SmartMem {smartmem.__version__} beside ncnn {ncnn.__version__}")
    for column in ("network", "device", "error", "ncnn's", "ms", "ncnn's ms", "ratio"):
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in rows:
        table.add_row(
            *(row.name, row.device, f"{row.error:.1e}", f"{row.ncnn_error:.1e}"),
            *(f"{row.latency_ms:.1f}", f"{row.ncnn_latency_ms:.1f}", f"{row.ratio:.2f}"),
        )
    Console(width=120).print(table)


def main() -> int:
    """Compares; 1 if a network is wrong or its ratio above ``--max-ratio``."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "models", nargs="*", default=NETWORKS, help="networks of models.py with one image"
    )
    parser.add_argument("--device", default="", help="number or part of the name of a device")
    parser.add_argument("--pairs", type=int, default=5, help="pairs of runs")
    parser.add_argument("--max-ratio", type=float, help="fail above this ratio")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.models:
        rows.append(compare(MODELS[name], arguments.device, arguments.pairs))
        print(json.dumps(asdict(rows[-1])), file=sys.stderr)
    print_table(rows)
    save_rows(rows, arguments.json)
    limit = arguments.max_ratio
    slow = limit is not None and any(row.ratio > limit for row in rows)
    return int(slow or any(row.error > TOLERANCE for row in rows))


if __name__ == "__main__":
    sys.exit(main())
