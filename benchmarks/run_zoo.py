"""Networks that nobody tuned for: errors, kernels and latency beside ONNX Runtime.

Each network of ``benchmarks/zoo`` is compiled from PyTorch, strictly: what a pass or a kernel
fails at is an error, and the row says which. Its result is compared with eager PyTorch, its
runs take turns with ONNX Runtime's. A child process with a time limit does all of it.

    python benchmarks/run_zoo.py                             # all networks
    python benchmarks/run_zoo.py resnet18 lstm --json zoo.json
    python benchmarks/run_zoo.py --family recurrent --untimed
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from arguments import check_names, script_parser
from compare_with_iree import TOLERANCE, OnnxRuntime, arrays_of, in_turn, largest_error
from count_kernels import movements
from isolated import ChildError, run_isolated
from results import save_rows
from zoo import FAMILIES, NETWORKS

import smartmem
from smartmem.backend.device.runtime import LoadedModule
from smartmem.options import CompileOptions


@dataclass(frozen=True)
class Row:
    """One network.

    Attributes:
        fault: why there is nothing else; empty if there is.
        error: against PyTorch, relative to the largest element.
        kernels: kernel launches of one inference; ``movements`` of them only move data.
        fallbacks: what was given up, where compilation was not strict.
        ms: median latency; ``onnxruntime_ms`` likewise.
        ratio: median of latency over ONNX Runtime's, over pairs of neighbouring runs.
    """

    name: str
    fault: str = ""
    error: float | None = None
    kernels: int | None = None
    movements: int | None = None
    fallbacks: tuple[str, ...] = ()
    compile_s: float | None = None
    ms: float | None = None
    onnxruntime_ms: float | None = None
    ratio: float | None = None

    @property
    def is_right(self) -> bool:
        """Compiled as planned, and near PyTorch."""
        return self.error is not None and self.error <= TOLERANCE and not self.fallbacks

    def __str__(self) -> str:
        if self.error is None:
            return f"{self.name:32} {self.fault[:120]}"
        counts = f"{self.kernels:4} kernels ({self.movements} move)  error {self.error:.1e}"
        times = f"{self.ms:9.2f} ms  {self.ratio:.3f} of ONNX Runtime" if self.ratio else ""
        return f"{self.name:32} {counts}  {times} {'; '.join(self.fallbacks)}"


def measure(name: str, arguments: argparse.Namespace) -> Row:
    """Compiles, checks and times one network.

    Raises:
        SmartMemError: it does not compile.
    """
    network, inputs = NETWORKS[name]()
    with torch.no_grad():
        expected = arrays_of(network(*inputs))
    arrays = [x.numpy() for x in inputs]
    options = CompileOptions(keep_ir=False, inspect_kernels=True, timeout_s=arguments.limit)
    start = time.perf_counter()
    compiled = smartmem.compile(
        network, inputs=inputs, target=arguments.target, options=options
    )
    compile_s = time.perf_counter() - start
    counts = compiled.report.kernel_counts
    assert counts is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ours.vmfb")
        compiled.save(file)
        ours = LoadedModule(file, "cpu", threads=arguments.threads)
        times: list[tuple[float, ...]] = []
        if not arguments.untimed:
            exported = Path(folder, "network.onnx")
            torch.onnx.export(network, inputs, exported, dynamo=True, verbose=False)
            turns: list[LoadedModule | OnnxRuntime] = [ours]
            turns.append(OnnxRuntime(exported, arguments.threads))
            times = in_turn(turns, arrays, arguments.pairs, arguments.runs)
        return Row(
            name,
            error=largest_error(ours(*arrays), expected),
            kernels=counts.dispatches,
            movements=movements(counts),
            fallbacks=tuple(map(str, compiled.report.fallbacks)),
            compile_s=compile_s,
            ms=1e3 * statistics.median(t[0] for t in times) if times else None,
            onnxruntime_ms=1e3 * statistics.median(t[1] for t in times) if times else None,
            ratio=statistics.median(t[0] / t[1] for t in times) if times else None,
        )


def measure_isolated(name: str, arguments: argparse.Namespace) -> Row:
    """As ``measure``; what fails, crashes or runs past the limit is the row's fault."""
    try:
        return run_isolated(partial(measure, name, arguments), timeout_s=arguments.limit)
    except ChildError as error:
        return Row(name, fault=str(error).splitlines()[0])


def main() -> int:
    """Measures; 1 if a network does not compile, falls back or is wrong."""
    parser = script_parser(__doc__)
    parser.add_argument("networks", nargs="*", help="names of benchmarks/zoo")
    parser.add_argument("--family", choices=FAMILIES, help="all networks of one family")
    parser.add_argument("--target", default="cpu", help="a CPU, as `smartmem targets` lists")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--untimed", action="store_true", help="compile and check alone")
    parser.add_argument("--pairs", type=int, default=10, help="pairs of runs")
    parser.add_argument("--runs", type=int, default=3, help="inferences in one run")
    parser.add_argument("--limit", type=float, default=900, help="seconds for each network")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    arguments = parser.parse_args()
    check_names(parser, arguments.networks, NETWORKS)
    family = FAMILIES.get(arguments.family, NETWORKS)
    rows = []
    for name in arguments.networks or family:
        rows.append(measure_isolated(name, arguments))
        print(rows[-1], flush=True)
        save_rows(rows, arguments.json)
    return int(not all(row.is_right for row in rows))


if __name__ == "__main__":
    sys.exit(main())
