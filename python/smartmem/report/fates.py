"""What became of each operator of the imported model, and why: the links of the two graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from smartmem.passes import Remark
from smartmem.report.graphs import KernelGraph, ModelGraph, Operator, layer_of, layers

Outcome = Literal["none", "computed", "merged", "constant", "eliminated", "kept", "unknown"]

_MOVEMENT_PASSES = ("smartmem-eliminate-views", "smartmem-compose-views")
"""Those whose remarks are rows of the producer-consumer table, the telling ones first."""

_FREE = "keeps the order of all elements, or is part of another movement: nothing moves"


@dataclass(frozen=True)
class Fate:
    """What became of an operator.

    Attributes:
        operator: its number in the graph before.
        outcome: computed: by kernels; merged: with its neighbours, whose names the kernels
            have; constant: the compiler carried it out; eliminated: a movement that no kernel
            makes any more; kept: one that is left,
            in a kernel of its own or fused by IREE; none: an input or output; unknown:
            nothing is known of the kernels.
        kernels: numbers in the graph after of what computes the operator's layer.
        reasons: what the passes said of the movements of its layer: the row of the
            producer-consumer table, and what was done, or why a movement stays.
    """

    operator: int
    outcome: Outcome
    kernels: tuple[int, ...]
    reasons: tuple[str, ...]


def fates_of(
    before: ModelGraph, after: KernelGraph, remarks: Iterable[Remark]
) -> tuple[Fate, ...]:
    """The fate of each node of ``before``, in order."""
    computed = layers(after.nodes)
    moving = layers(node for node in after.nodes if node.kind == "movement")
    said: dict[tuple[str, bool], list[str]] = {}
    order = {argument: number for number, argument in enumerate(_MOVEMENT_PASSES)}
    found = [remark for remark in remarks if remark.argument in order]
    for remark in sorted(found, key=lambda remark: order[remark.argument]):
        said.setdefault((layer_of(remark.location), remark.applied), []).append(remark.reason)
    return tuple(
        _fate(node, bool(after.nodes), computed.get(node.layer, ()), node.layer in moving, said)
        for node in before.nodes
    )


def _fate(
    node: Operator,
    is_known: bool,
    kernels: Sequence[int],
    moves: bool,
    said: dict[tuple[str, bool], list[str]],
) -> Fate:
    outcome = _outcome(node, is_known, kernels, moves)
    reasons: tuple[str, ...] = ()
    if outcome in ("eliminated", "kept"):
        eliminated = outcome == "eliminated"
        reasons = tuple(dict.fromkeys(said.get((node.layer, eliminated), ())))
        if eliminated and not reasons:
            reasons = (_FREE,)
    return Fate(node.id, outcome, tuple(kernels), reasons)


def _outcome(node: Operator, is_known: bool, kernels: Sequence[int], moves: bool) -> Outcome:
    if node.kind != "operator":
        return "none"
    if not is_known:
        return "unknown"
    if node.is_constant:
        return "constant"
    if node.movement is not None:
        return "kept" if moves and node.movement != "reshape" else "eliminated"
    return "computed" if kernels else "merged"
