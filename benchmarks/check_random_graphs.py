"""Compiles random ONNX graphs and compares them with onnx's reference evaluator.

Each graph is compiled and run in a process of its own, whose device memory is full of NaNs:
what another graph has left there hides nothing. It runs on its inputs, on other ones and on
the first again, which must give the same bits.

A graph fails if its results are wrong, if it does not compile or crashes, and if the
safety net had to compile it as it was imported: then a pass failed, or made something
that iree-compile does not take. Smaller steps back are failures, too; with --no-strict they
are counted. Of a graph that fails, the smallest one that fails in the same way is printed
and saved with its inputs and results.

    python benchmarks/check_random_graphs.py
    python benchmarks/check_random_graphs.py --examples 2000 --seed 7
    python benchmarks/check_random_graphs.py --target vulkan --count 1000 --log graphs.jsonl

With --log, each 25 graphs are a line of the file; the same command goes on behind the last.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from arguments import script_parser
from hypothesis import Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky
from isolated import ChildError, run_isolated
from random_graphs import DRAWN, RandomGraph, graphs
from rich.console import Console
from stock import compile_stock

import smartmem
from smartmem.backend.device.fresh_run import same_bits
from smartmem.backend.device.image_library import FILL_VARIABLE
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.options import STORAGES, CompileOptions


@dataclass(frozen=True)
class Verdict:
    """What came of one graph.

    Attributes:
        fault: why it fails; empty if it does not.
        steps_back: what the safety net did, each with its reason.
    """

    fault: str = ""
    steps_back: tuple[str, ...] = ()


Check = Callable[[RandomGraph], Verdict]

CHUNK = 25
"""Graphs that are drawn from one seed."""


class GraphFailed(Exception):
    """Tells hypothesis that a graph fails, in whatever way."""


@dataclass
class Run:
    """The graphs checked so far.

    Attributes:
        check: how a graph is checked.
        end: when to stop drawing, by ``time.monotonic``.
        checked: how many were drawn; those of the search for the smallest do not count.
        steps_back: how often the safety net did what.
        failure: the last graph that failed, and its fault.
    """

    check: Check
    end: float
    checked: int = 0
    steps_back: Counter[str] = field(default_factory=Counter)
    failure: tuple[RandomGraph, str] | None = None

    def search(self, number: int, examples: int) -> None:
        """Draws graphs until one fails, and then makes that one smaller."""
        self.failure = None

        @seed(number)
        @settings(
            DRAWN,
            max_examples=examples,
            phases=[Phase.generate, Phase.shrink],
            verbosity=Verbosity.quiet,
        )
        @given(graphs())
        def try_graph(graph: RandomGraph) -> None:
            self._try(graph)

        with contextlib.suppress(GraphFailed, Flaky):
            try_graph()

    def _try(self, graph: RandomGraph) -> None:
        if time.monotonic() > self.end:
            return
        verdict = self.check(graph)
        fault = verdict.fault
        if self.failure is None:
            self.checked += 1
            self.steps_back.update(set(verdict.steps_back))
        elif _kind(fault) != _kind(self.failure[1]):
            return  # another bug, for another search
        if fault:
            self.failure = graph, fault
            raise GraphFailed


def _kind(fault: str) -> str:
    return re.sub(r"[\d.]+(e[-+]\d+)?", "", fault)


def check_smartmem(
    graph: RandomGraph, target: Target, timeout_s: float, storage: str = "buffer"
) -> Verdict:
    """Compiles and runs a graph with SmartMem."""
    options = CompileOptions(keep_ir=False, timeout_s=timeout_s, storage=storage)
    compiled = smartmem.compile(graph.model, target=target, options=options)
    fallbacks = compiled.report.fallbacks
    steps = tuple(f"{step.action}: {step.reason}" for step in fallbacks)
    faults = ("plain_lowering", "skip_operation", "skip_pass")
    plain = [step.reason for step in fallbacks if step.action in faults]
    if plain:
        return Verdict(f"compiled as imported: {plain[0]}", steps)
    return Verdict(fault_of_runs(graph, compiled.module), steps)


def fault_of_runs(graph: RandomGraph, module: LoadedModule) -> str:
    """What is wrong in one of three runs: on the graph's inputs, others, and the first."""
    other = graph.refreshed(1)
    results = [module(*g.inputs.values()) for g in (graph, other, graph)]
    wrong = graph.fault(results[0]) or other.fault(results[1])
    if not wrong and not same_bits(results[0], results[2]):
        return "another result of the same inputs"
    return wrong


def check_stock(graph: RandomGraph, target: Target, timeout_s: float) -> Verdict:
    """Compiles and runs a graph with IREE alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stock.vmfb")
        compile_stock(graph.model, target, path, timeout_s=timeout_s)
        module = LoadedModule(path, target.kind, unchecked=True)
        return Verdict(fault_of_runs(graph, module))


def isolated(
    check: Callable[..., Verdict], target: Target, timeout_s: float, **options: str
) -> Check:
    """The check in a child process, so that a crash or a hang is one failure."""

    def run(graph: RandomGraph) -> Verdict:
        task = functools.partial(check, graph, target, timeout_s, **options)
        try:
            return run_isolated(task, timeout_s=2 * timeout_s + 10)
        except ChildError as error:
            return Verdict(str(error))

    return run


def save(graph: RandomGraph, path: Path) -> None:
    """Writes ``path.onnx``, and ``path.npz`` with inputs and expected results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph.model, path.with_suffix(".onnx"))
    expected = {f"expected {name}": array for name, array in graph.expected.items()}
    np.savez(path.with_suffix(".npz"), **graph.inputs, **expected)


@dataclass
class Log:
    """A file with a line for each chunk of graphs, to go on from.

    Attributes:
        path: None for none.
        chunks: done before.
        checked: graphs of these.
        failed: graphs of these that failed.
    """

    path: Path | None
    chunks: int = 0
    checked: int = 0
    failed: int = 0

    def __post_init__(self) -> None:
        lines = self.path.read_text().splitlines() if self.path and self.path.exists() else []
        for row in map(json.loads, lines):
            self.chunks += 1
            self.checked += row["checked"]
            self.failed += bool(row["fault"])

    def add(self, **row: object) -> None:
        """Adds a line."""
        if self.path is not None:
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")


def main() -> int:
    """Runs the check; 1 if a graph fails."""
    parser = script_parser(__doc__)
    parser.add_argument(
        "--examples", "--count", type=int, default=500, help="graphs to compile"
    )
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other graphs")
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for one graph")
    parser.add_argument("--minutes", type=float, default=60, help="for all graphs")
    parser.add_argument(
        "--save", type=Path, default=Path("build/failing-graphs"), help="folder for what fails"
    )
    parser.add_argument("--storage", choices=STORAGES, default="buffer", help="on Vulkan")
    parser.add_argument("--log", type=Path, help="file to add a line for 25 graphs to")
    arguments = parser.parse_args()
    logging.getLogger("smartmem").setLevel(logging.ERROR)  # steps back are counted below
    os.environ[FILL_VARIABLE] = "nan"  # of the processes that open a device
    target = resolve_target(arguments.target)
    limit = arguments.timeout
    check = isolated(check_smartmem, target, limit, storage=arguments.storage)
    stock = isolated(check_stock, target, limit)
    console = Console(width=160, markup=False, highlight=False)
    run = Run(check, time.monotonic() + 60 * arguments.minutes)
    log = Log(arguments.log)
    run.checked, failures = log.checked, log.failed
    for chunk in itertools.count(log.chunks):
        before, left = run.checked, arguments.examples - run.checked
        number = arguments.seed * 1_000_003 + chunk
        if left <= 0 or time.monotonic() > run.end:
            break
        run.search(number, min(CHUNK, left))
        fault = "" if run.failure is None else run.failure[1]
        if run.failure is not None:
            graph, _ = run.failure
            path = arguments.save / f"seed-{number}"
            save(graph, path)
            beside = stock(graph).fault or "right"
            console.print(
                f"{fault}\nstock IREE: {beside}\n{graph}\nsaved as {path}.onnx, .npz\n"
            )
            failures += 1
        if time.monotonic() < run.end:
            log.add(seed=number, checked=run.checked - before, fault=fault)
    for step, count in run.steps_back.most_common():
        console.print(f"{count} times {step}")
    console.print(f"{run.checked - failures} of {run.checked} graphs passed")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
