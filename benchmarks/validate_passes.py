"""Checks on random graphs that no pass changes what a model computes, without iree-compile.

Each graph is imported, and goes through the pipeline for each target. The reference
interpreter runs it before and after each pass. A pair of a graph and a pass fails if the
results differ, or if the pass fails; what shows it is cut down and saved.

    python benchmarks/validate_passes.py
    python benchmarks/validate_passes.py --pairs 50000 --seed 7
    python benchmarks/validate_passes.py --target adreno --layout search
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import onnx
from arguments import script_parser
from hypothesis import given, seed, settings
from random_graphs import DRAWN, RandomGraph, graphs

from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.compiler.stages import pass_context, read_model
from smartmem.errors import SmartMemError, UnsupportedError, ValidationError
from smartmem.interpreter import interpret
from smartmem.mlir.pipelines import PipelineElement, format_element
from smartmem.options import LAYOUTS, CompileOptions
from smartmem.passes import PIPELINE
from smartmem.validation import Validator, validate

TARGETS = ("cpu", "adreno", "valhall4")
CHUNK = 20
"""Graphs that are drawn from one seed."""


@dataclass
class Tally:
    """What has been validated so far.

    Attributes:
        graphs: random graphs, each once.
        pairs: of a graph, for one target, and a pass.
        changed: pairs in which the pass changed the module.
        faults: what failed, with the pass that did.
        unknown: what the interpreter does not know, or the import does not take.
        seconds: of passes and interpreter.
    """

    graphs: int = 0
    pairs: int = 0
    changed: int = 0
    faults: list[str] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.pairs} pairs of {self.graphs} graphs in {self.seconds:.0f} s, "
            f"{self.changed} in which the pass changed the module; {len(self.faults)} faults"
        )


def pipeline() -> list[PipelineElement]:
    """The passes in order, with what upstream does between them."""
    elements = [element for _, passes in PIPELINE for element in passes]
    return [element if isinstance(element, str) else element() for element in elements]


def validate_graph(
    graph: RandomGraph,
    targets: Sequence[Target],
    tally: Tally,
    layouts: Sequence[str] = LAYOUTS[:1],
    folder: Path | None = None,
) -> None:
    """Takes a graph through the pipeline of each target, and adds to ``tally``.

    Args:
        layouts: the layout strategies, in turn from graph to graph.
        folder: where to save what fails; None: nowhere.
    """
    start = time.monotonic()
    tally.graphs += 1
    try:
        imported = read_model(graph.model, None, CompileOptions())
    except SmartMemError as error:
        tally.unknown[str(error)] += 1
        return
    inputs = [*graph.inputs.values()]
    results = interpret(imported.module, inputs, imported.parameters)
    if wrong := graph.fault(results):
        tally.faults.append(f"the import: {wrong}\n{graph}")
    options = CompileOptions(layout=layouts[tally.graphs % len(layouts)])
    for target in targets:
        module = imported.module.operation.clone()
        context = pass_context(imported.parameters, target, options)
        validator = Validator(folder, inputs, target=target.name)
        for element in pipeline():
            tally.pairs += 1
            try:
                validate(module, element, context, validator)
            except UnsupportedError as error:
                tally.unknown[re.sub(r", at loc.*", "", str(error))] += 1
                break
            except Exception as error:  # noqa: BLE001 (of a pass: whatever it is, it is reported)
                kind = "" if isinstance(error, SmartMemError) else f"{type(error).__name__}: "
                where = "" if isinstance(error, ValidationError) else format_element(element)
                fault = f"{target.name} ({options.layout}): {where} {kind}{error}"
                tally.faults.append(fault)
                if folder is not None:
                    _save(graph, folder / f"graph-{len(tally.faults)}.onnx")
                break
        tally.changed += validator.validated
    tally.seconds += time.monotonic() - start


def _save(graph: RandomGraph, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph.model, path)


def draw(number: int, count: int, check: Callable[[RandomGraph], None]) -> None:
    """Calls ``check`` with ``count`` graphs of one seed."""

    @seed(number)
    @settings(DRAWN, max_examples=count)
    @given(graphs())
    def each(graph: RandomGraph) -> None:
        check(graph)

    each()


def main() -> int:
    """Runs the check; 1 if a pair fails."""
    parser = script_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=2000, help="of a graph and a pass")
    parser.add_argument("--seed", type=int, default=0, help="other seeds, other graphs")
    parser.add_argument("--target", nargs="+", default=TARGETS, help="targets, by name")
    parser.add_argument(
        "--layout", nargs="+", choices=LAYOUTS, default=LAYOUTS, help="in turn, by graph"
    )
    parser.add_argument("--minutes", type=float, default=60, help="for all graphs")
    parser.add_argument(
        "--save", type=Path, default=Path("build/invalid-passes"), help="folder for what fails"
    )
    arguments = parser.parse_args()
    logging.getLogger("smartmem").setLevel(logging.ERROR)
    targets = [resolve_target(name) for name in arguments.target]
    tally, end, number = Tally(), time.monotonic() + 60 * arguments.minutes, 0

    def check(graph: RandomGraph) -> None:
        if tally.pairs < arguments.pairs and time.monotonic() < end:
            known = len(tally.faults)
            validate_graph(graph, targets, tally, arguments.layout, arguments.save)
            for fault in tally.faults[known:]:
                print(f"seed {arguments.seed}, graph {tally.graphs}: {fault}", flush=True)

    while tally.pairs < arguments.pairs and time.monotonic() < end:
        draw(arguments.seed * 1_000_003 + number, CHUNK, check)
        number += 1
        print(tally, flush=True)
    for reason, count in tally.unknown.most_common():
        print(f"{count} times {reason}")
    return int(bool(tally.faults))


if __name__ == "__main__":
    sys.exit(main())
