"""Which memory formats a graph's tensors are to have, by what its kernels cost in them.

``search`` is dynamic programming along the program: for each choice of formats of the
tensors that are still to be read, only the cheapest way to get there counts. With no more
such choices than the budget it is exhaustive; with more, the dearest are dropped (a beam).
``greedy`` decides tensor by tensor, with the others as they are. Both are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from smartmem.backend.targets.vectors import Vectors
from smartmem.passes.analysis.layout.formats import Formats, Graph, Node, Order
from smartmem.passes.analysis.layout.kernel_costs import Einsum, Rates, cost_of

CostModel = Callable[[Einsum], float]
"""Seconds of an operation; the analytic model, or what was measured."""

BUDGET = 512
"""States that the search keeps at each operation."""

# A gain of less than this part of all is less than the model knows.
_LEAST_GAIN = 0.02


@dataclass(frozen=True)
class Found:
    """The outcome of a search.

    Attributes:
        formats: of the tensors that are to change; none if that gains too little.
        before: seconds of all operations by the cost model, as they are.
        after: with ``formats``.
        is_exhaustive: no state was dropped: nothing cheaper exists for the model.
    """

    formats: Formats
    before: float
    after: float
    is_exhaustive: bool


def analytic(rates: Rates, vectors: Vectors) -> CostModel:
    """The analytic cost model of a device, without the launches, which are the same."""
    return lambda einsum: cost_of(einsum, rates, vectors).seconds - rates.launch


def measured(known: Mapping[Einsum, float], otherwise: CostModel) -> CostModel:
    """Measured seconds where there are any, else what another model says."""
    return lambda einsum: known[einsum] if einsum in known else otherwise(einsum)


def total(graph: Graph, formats: Formats, cost: CostModel) -> float:
    """Seconds of all operations with tensors in these formats."""
    return sum(cost(node.with_formats(formats)) for node in graph.nodes)


def search(graph: Graph, cost: CostModel, budget: int = BUDGET) -> Found:
    """The cheapest formats, of all or of those that the budget lets it see."""
    cost = _remembered(cost)
    last = graph.last_reads()
    # What is live -> the cost so far, and all that was chosen on the way.
    states: dict[_Key, _State] = {(): _State(0.0, {})}
    dropped = False
    for place, node in enumerate(graph.nodes):
        grown: dict[_Key, _State] = {}
        for state in states.values():
            for formats in _choices(graph, node, state.formats):
                seconds = state.seconds + cost(node.with_formats(formats))
                key = tuple((n, o) for n, o in sorted(formats.items()) if last[n] > place)
                if key not in grown or seconds < grown[key].seconds:
                    grown[key] = _State(seconds, formats)
        dropped |= len(grown) > budget
        kept = sorted(grown.items(), key=lambda item: (item[1].seconds, item[0]))[:budget]
        states = dict(kept)
    best = min(states.values(), key=lambda state: state.seconds)
    return _worth(graph, best.formats, cost, not dropped)


def greedy(graph: Graph, cost: CostModel) -> Found:
    """The cheapest format of each tensor in turn, with all others as they are by then."""
    cost = _remembered(cost)
    near: dict[int, list[Node]] = {number: [] for number in range(len(graph.tensors))}
    for node in graph.nodes:
        for number in set(node.tensors):
            near[number].append(node)
    formats: dict[int, Order] = {}
    for number, tensor in enumerate(graph.tensors):

        def seconds(order: Order, number: int = number) -> float:
            tried = {**formats, number: order}
            return sum(cost(node.with_formats(tried)) for node in near[number])

        formats[number] = min(tensor.orders, key=seconds)  # the first of equals: the present
    return _worth(graph, formats, cost, False)


_Key = tuple[tuple[int, Order], ...]


@dataclass(frozen=True)
class _State:
    seconds: float
    formats: Formats


def _choices(graph: Graph, node: Node, formats: Formats) -> Iterator[Formats]:
    """The formats so far with each that the node's result may have."""
    if node.writes is None:
        yield formats
        return
    for order in graph.tensors[node.writes].orders:
        yield {**formats, node.writes: order}


def _worth(graph: Graph, formats: Formats, cost: CostModel, is_exhaustive: bool) -> Found:
    changed = {n: order for n, order in formats.items() if order != graph.tensors[n].orders[0]}
    before, after = total(graph, {}, cost), total(graph, changed, cost)
    if before - after <= _LEAST_GAIN * before:
        return Found({}, before, before, is_exhaustive)
    return Found(changed, before, after, is_exhaustive)


def _remembered(cost: CostModel) -> CostModel:
    """The same model, asked once for each einsum: layers repeat."""
    known: dict[Einsum, float] = {}

    def remembered(einsum: Einsum) -> float:
        if einsum not in known:
            known[einsum] = cost(einsum)
        return known[einsum]

    return remembered
