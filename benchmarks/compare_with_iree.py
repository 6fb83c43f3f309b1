"""SmartMem beside stock IREE: errors, kernels and paired latency on whole networks.

Each network is imported from PyTorch, and with --onnx a second time through ONNX.
Stock IREE compiles the unmodified import with the same flags. Both are run on the same
inputs and compared with PyTorch; their runs alternate, so that a drift of the machine's
speed meets both, and the latency ratio is the median of the ratios of neighbours. With
--onnxruntime, ONNX Runtime takes part in the turns, on the network's export to ONNX.

    python benchmarks/compare_with_iree.py                      # all full-size networks
    python benchmarks/compare_with_iree.py small_swin --target vulkan
    python benchmarks/compare_with_iree.py --onnx swin_tiny_patch4_window7_224
    python benchmarks/compare_with_iree.py --onnxruntime        # pip install onnxruntime
"""

from __future__ import annotations

import argparse
import gc
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
from arguments import check_names, script_parser
from models import MODELS, ModelCase
from results import relative_error, save_rows
from rich.console import Console
from rich.table import Table
from stock import compile_stock

import smartmem
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.parameters import Array

_PAUSE_S = 0.1
"""Before each turn: threads of the one before spin on for a while (ONNX Runtime's do)."""

TOLERANCE = 1e-4
"""Largest |a - b| over largest |b|, f32, whole network."""


@dataclass(frozen=True)
class Row:
    """One network on one target.

    Attributes:
        source: "torch" or "onnx".
        unclassified: operations that no rule of the classification knows.
        error: SmartMem against PyTorch, relative.
        stock_error: stock IREE against PyTorch, relative.
        kernels: kernel launches of one inference; stock_kernels likewise.
        latency_ms: median of single inferences; stock_latency_ms likewise.
        ratio: median of latency / stock latency over pairs of neighbouring runs.
        onnxruntime_ms: median of single inferences, if ONNX Runtime took part;
            onnxruntime_ratio: as ``ratio``, against it.
        import_s: seconds in the frontend.
        passes_s: seconds in SmartMem's own passes.
        iree_s: seconds in iree-compile.
    """

    name: str
    source: str
    target: str
    unclassified: int
    error: float
    stock_error: float
    kernels: int
    stock_kernels: int
    latency_ms: float
    stock_latency_ms: float
    ratio: float
    import_s: float
    passes_s: float
    iree_s: float
    onnxruntime_ms: float | None = None
    onnxruntime_ratio: float | None = None

    @property
    def is_within_limits(self) -> bool:
        """Right, and no more kernels than stock IREE."""
        return (
            self.error <= TOLERANCE
            and self.unclassified == 0
            and self.kernels <= self.stock_kernels
        )


def compare(case: ModelCase, source: str, target: Target, arguments: argparse.Namespace) -> Row:
    """Compiles, runs and times one network both ways."""
    model, inputs = case.build()
    with torch.no_grad():
        expected = arrays_of(model(*inputs))
    arrays = [x.numpy() for x in inputs]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        given: object = model
        exported = path / f"{case.name}.onnx"
        if source == "onnx" or arguments.onnxruntime:
            torch.onnx.export(model, inputs, exported, dynamo=True, verbose=False)
        if source == "onnx":
            given = exported
        example = inputs if source == "torch" else None
        stock_file = path / "stock.vmfb"
        stock_kernels = compile_stock(given, target, stock_file, inputs=example).kernels
        gc.collect()
        compiled = smartmem.compile(given, inputs=example, target=target)
        ours_file = path / "ours.vmfb"
        compiled.save(ours_file)
        stock = LoadedModule(stock_file, target.kind, threads=_threads(target), unchecked=True)
        ours = LoadedModule(ours_file, target.kind, threads=_threads(target))
        timed = [ours, stock]
        if arguments.onnxruntime:
            timed.append(OnnxRuntime(exported, _threads(target)))
        times = in_turn(timed, arrays, arguments.pairs, arguments.runs)
        report = compiled.report
        return Row(
            name=case.name,
            source=source,
            target=target.name,
            unclassified=sum(r.argument.endswith("classify-ops") for r in report.remarks),
            error=largest_error(ours(*arrays), expected),
            stock_error=largest_error(stock(*arrays), expected),
            kernels=report.kernels.kernels,
            stock_kernels=stock_kernels,
            latency_ms=1e3 * statistics.median(t[0] for t in times),
            stock_latency_ms=1e3 * statistics.median(t[1] for t in times),
            ratio=statistics.median(t[0] / t[1] for t in times),
            import_s=report.seconds("import"),
            passes_s=report.seconds("smartmem"),
            iree_s=report.seconds("iree-compile"),
            **_beside_onnxruntime(times),
        )


def _threads(target: Target) -> int | None:
    return 2 if target.kind == "cpu" else None


class OnnxRuntime:
    """ONNX Runtime's CPU provider on an exported network."""

    def __init__(self, file: Path, threads: int | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self._names = [given.name for given in self._session.get_inputs()]

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for these inputs, in the model's order."""
        feeds = dict(zip(self._names, arrays, strict=True))
        return [np.asarray(result) for result in self._session.run(None, feeds)]

    def median(self, arrays: Sequence[Array], runs: int) -> float:
        """Median seconds of ``runs`` inferences, after one that warms up."""
        feeds = dict(zip(self._names, arrays, strict=True))
        self._session.run(None, feeds)
        seconds = []
        for _ in range(runs):
            start = time.perf_counter()
            self._session.run(None, feeds)
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds)


def in_turn(
    timed: Sequence[LoadedModule | OnnxRuntime],
    arrays: Sequence[Array],
    rounds: int,
    runs: int,
) -> list[tuple[float, ...]]:
    """Median seconds of ``runs`` inferences of each, in turn, ``rounds`` times."""
    times = [tuple(_median(one, arrays, runs) for one in timed) for _ in range(rounds + 1)]
    return times[1:]  # the first round warms all up


def _median(one: LoadedModule | OnnxRuntime, arrays: Sequence[Array], runs: int) -> float:
    time.sleep(_PAUSE_S)
    if isinstance(one, OnnxRuntime):
        return one.median(arrays, runs)
    return one.benchmark(arrays, warmup=1, repetitions=runs).median


def _beside_onnxruntime(times: Sequence[tuple[float, ...]]) -> dict[str, float]:
    if len(times[0]) < 3:
        return {}
    return {
        "onnxruntime_ms": 1e3 * statistics.median(t[2] for t in times),
        "onnxruntime_ratio": statistics.median(t[0] / t[2] for t in times),
    }


def arrays_of(output: object) -> list[Array]:
    """The tensors of a PyTorch result, in order."""
    if isinstance(output, torch.Tensor):
        return [output.numpy()]
    values = output.to_tuple() if hasattr(output, "to_tuple") else output
    return [a for value in values for a in arrays_of(value)]  # type: ignore[attr-defined]


def largest_error(results: Sequence[Array], expected: Sequence[Array]) -> float:
    """Largest relative error over all outputs."""
    assert len(results) == len(expected), f"{len(results)} outputs, not {len(expected)}"
    return max(map(relative_error, results, expected))


def print_table(rows: Sequence[Row]) -> None:
    """The results as one table."""
    table = Table(title=f"SmartMem {smartmem.__version__} beside stock IREE")
    for column in (
        "network", "from", "target", "error", "kernels", "stock", "ms", "stock ms",
        "ratio", "ort ms", "ratio", "import s", "passes s", "iree s", "within limits",
    ):  # fmt: skip
        table.add_column(column, justify="left" if column == "network" else "right")
    for row in rows:
        table.add_row(
            row.name, row.source, row.target, f"{row.error:.1e}",
            str(row.kernels), str(row.stock_kernels),
            f"{row.latency_ms:.2f}", f"{row.stock_latency_ms:.2f}", f"{row.ratio:.3f}",
            _text(row.onnxruntime_ms, 2), _text(row.onnxruntime_ratio, 3),
            f"{row.import_s:.1f}", f"{row.passes_s:.2f}", f"{row.iree_s:.1f}",
            "yes" if row.is_within_limits else "NO",
        )  # fmt: skip
    Console(width=160).print(table)


def _text(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def main() -> int:
    """Runs the comparison; 1 if a network is wrong or has more kernels than stock."""
    parser = script_parser(__doc__)
    full = [case.name for case in MODELS.values() if case.size == "full"]
    parser.add_argument("models", nargs="*", default=full, help="names of benchmarks/models.py")
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument("--onnx", action="store_true", help="through ONNX, not from PyTorch")
    parser.add_argument(
        "--onnxruntime", action="store_true", help="time ONNX Runtime, too (CPU only)"
    )
    parser.add_argument("--pairs", type=int, default=10, help="pairs of runs")
    parser.add_argument("--runs", type=int, default=5, help="inferences in one run")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    check_names(parser, arguments.models, MODELS)
    target = resolve_target(arguments.target)
    source = "onnx" if arguments.onnx else "torch"
    rows = []
    for name in arguments.models:
        rows.append(compare(MODELS[name], source, target, arguments))
        print(json.dumps(asdict(rows[-1])), file=sys.stderr)
        gc.collect()
    print_table(rows)
    save_rows(rows, arguments.json)
    return int(not all(row.is_within_limits for row in rows))


if __name__ == "__main__":
    sys.exit(main())
