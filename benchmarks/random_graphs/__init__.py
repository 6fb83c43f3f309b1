"""Random ONNX graphs as a hypothesis strategy.

``graphs()`` draws chains and DAGs of data movements, elementwise operators, reductions,
contractions and normalizations on small tensors, with several consumers and several
results, with the inputs to run them on and the results that they must have. Hypothesis
shrinks what fails to fewer steps and smaller sizes.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, assume, settings
from hypothesis import strategies as st

from random_graphs import contractions, elementwise, movements
from random_graphs.builder import LARGEST, GraphBuilder, RandomGraph, Tensor

__all__ = ["DRAWN", "RandomGraph", "graphs"]

DRAWN = settings(
    deadline=None,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""What all that draws graphs has in common: a graph may take its time, and is drawn anew."""

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 49)
"""Small, odd and composite ones; 49 is the tokens of a 7x7 window."""

_DTYPES = (*["float32"] * 8, "int32", "int64", "bool")
_RANKS = (3, 4, 2, 1, 4, 3, 5, 6)
_FAMILIES = (movements.STEPS, movements.STEPS, elementwise.STEPS, contractions.STEPS)
_BACK = (0, 0, 0, 0, 1, 2, 3, 5, 8)
"""How far a step goes back: mostly not at all, which makes chains, else a branch."""
_TRIES = 8
"""Steps to try from one tensor; many fit only some sizes."""


@st.composite
def graphs(draw: st.DrawFn, max_steps: int = 9) -> RandomGraph:
    """A graph of at most ``max_steps`` steps, each of one to twelve nodes."""
    g = GraphBuilder(draw)
    dtype = g.choose(_DTYPES)
    for _ in range(g.integer(1, 2)):
        g.input(_shape(g), dtype)
    # A list, so that hypothesis can leave out any step.
    draw(st.lists(st.builds(_extend, st.just(g)), min_size=3, max_size=max_steps))
    assume(g.nodes)
    return g.graph(_results(g))


def _shape(g: GraphBuilder) -> list[int]:
    """Sizes that leave room for repeats."""
    shape: list[int] = []
    room = LARGEST // 2
    for _ in range(g.choose(_RANKS)):
        shape.append(g.choose([n for n in SIZES if n <= room]))
        room //= shape[-1]
    return shape


def _extend(g: GraphBuilder) -> None:
    x = g.tensors[max(-1 - g.choose(_BACK), -len(g.tensors))]
    steps = g.choose(_FAMILIES)
    for _ in range(_TRIES):
        if g.attempt(g.choose(steps), x):
            return


def _results(g: GraphBuilder) -> list[Tensor]:
    """What nothing consumes, and sometimes a tensor that is consumed, too."""
    consumed = {name for node in g.nodes for name in node.input}
    made = [t for t in g.tensors if t not in g.inputs]
    results = [t for t in made if t.name not in consumed]
    inner = [t for t in made if t.name in consumed]
    if inner and g.choose([False, False, True]):
        results.append(g.choose(inner))
    return results
