"""Compiles random ONNX graphs and compares them with onnx's reference evaluator.

A graph fails if its results are wrong, if it does not compile or crashes, and if the
safety net had to compile it as it was imported: then a pass failed, or made something
that iree-compile does not take. Smaller steps back are counted; --strict makes them
failures, too. Of a graph that fails, the smallest one that fails in the same way is
printed and saved with its inputs and results.

    python benchmarks/check_random_graphs.py
    python benchmarks/check_random_graphs.py --examples 2000 --seed 7
    python benchmarks/check_random_graphs.py --target vulkan --examples 100 --minutes 10
"""

from __future__ import annotations

import contextlib
import functools
import logging
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
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky
from isolated import ChildError, run_isolated
from random_graphs import RandomGraph, graphs
from rich.console import Console
from stock import compile_stock

import smartmem
from smartmem.backend.runtime import LoadedModule
from smartmem.backend.targets import Target, resolve_target
from smartmem.options import CompileOptions


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


class GraphFailed(Exception):
    """Tells hypothesis that a graph fails, in whatever way."""


@dataclass
class Run:
    """The graphs checked so far.

    Attributes:
        check: how a graph is checked.
        strict: whether every step back is a fault.
        end: when to stop drawing, by ``time.monotonic``.
        checked: how many were drawn; those of the search for the smallest do not count.
        steps_back: how often the safety net did what.
        failure: the last graph that failed, and its fault.
    """

    check: Check
    strict: bool
    end: float
    checked: int = 0
    steps_back: Counter[str] = field(default_factory=Counter)
    failure: tuple[RandomGraph, str] | None = None

    def search(self, number: int, examples: int) -> None:
        """Draws graphs until one fails, and then makes that one smaller."""
        self.failure = None

        @seed(number)
        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
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
        fault = verdict.fault or "; ".join(verdict.steps_back[:1] if self.strict else ())
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


def check_smartmem(graph: RandomGraph, target: Target, timeout_s: float) -> Verdict:
    """Compiles and runs a graph with SmartMem."""
    options = CompileOptions(keep_ir=False, timeout_s=timeout_s)
    compiled = smartmem.compile(graph.model, target=target, options=options)
    fallbacks = compiled.report.fallbacks
    steps = tuple(f"{step.action}: {step.reason}" for step in fallbacks)
    faults = ("plain_lowering", "skip_operation", "skip_pass")
    plain = [step.reason for step in fallbacks if step.action in faults]
    if plain:
        return Verdict(f"compiled as imported: {plain[0]}", steps)
    return Verdict(graph.fault(compiled.module(*graph.inputs.values())), steps)


def check_stock(graph: RandomGraph, target: Target, timeout_s: float) -> Verdict:
    """Compiles and runs a graph with IREE alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "stock.vmfb")
        compile_stock(graph.model, target, path, timeout_s=timeout_s)
        module = LoadedModule(path, target.kind, unchecked=True)
        return Verdict(graph.fault(module(*graph.inputs.values())))


def isolated(check: Callable[..., Verdict], target: Target, timeout_s: float) -> Check:
    """The check in a child process, so that a crash or a hang is one failure."""

    def run(graph: RandomGraph) -> Verdict:
        task = functools.partial(check, graph, target, timeout_s)
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


def main() -> int:
    """Runs the check; 1 if a graph fails."""
    parser = script_parser(__doc__)
    parser.add_argument("--examples", type=int, default=500, help="graphs to compile")
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other graphs")
    parser.add_argument("--target", default="cpu", help="as `smartmem targets` lists")
    parser.add_argument("--timeout", type=float, default=60, help="seconds for one graph")
    parser.add_argument("--minutes", type=float, default=60, help="for all graphs")
    parser.add_argument(
        "--save", type=Path, default=Path("build/failing-graphs"), help="folder for what fails"
    )
    parser.add_argument("--strict", action="store_true", help="no step back is allowed")
    arguments = parser.parse_args()
    logging.getLogger("smartmem").setLevel(logging.ERROR)  # steps back are counted below
    target = resolve_target(arguments.target)
    check, stock = (
        isolated(way, target, arguments.timeout) for way in (check_smartmem, check_stock)
    )
    console = Console(width=160, markup=False, highlight=False)
    run = Run(check, arguments.strict, time.monotonic() + 60 * arguments.minutes)
    failures = 0
    while run.checked < arguments.examples and time.monotonic() < run.end:
        number = arguments.seed * 1_000_003 + run.checked
        run.search(number, arguments.examples - run.checked)
        if run.failure is None:
            break
        graph, fault = run.failure
        path = arguments.save / f"seed-{number}"
        save(graph, path)
        beside = stock(graph).fault or "right"
        console.print(f"{fault}\nstock IREE: {beside}\n{graph}\nsaved as {path}.onnx, .npz\n")
        failures += 1
    for step, count in run.steps_back.most_common():
        console.print(f"{count} times {step}")
    console.print(f"{run.checked - failures} of {run.checked} graphs passed")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
