"""What to try when iree-compile fails: the pure half of the safety net.

Attempts, best first; each row runs at every optimization level before the next begins:

  as the passes left it    a group that fails loses its configuration, then its region
  without any region       IREE groups all operations itself
  the import itself        no pass has eliminated anything: what IREE alone compiles

So a model compiles if IREE alone compiles it. ``attempts`` runs them. For SPIR-V the second
row leaves a region to each reduction: what IREE would fuse with it can be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from smartmem.backend.iree_compile.regions import Group

Lowering = Literal["grouped", "ungrouped", "plain"]
Action = Literal[
    "default_configuration",
    "ungroup",
    "ungroup_all",
    "change_level",
    "plain_lowering",
    "buffers_only",
    "skip_operation",
    "skip_pass",
]

MAX_REPAIRS = 6
"""Attempts at one level that give up single groups, before all are given up."""


@dataclass(frozen=True)
class Fallback:
    """One step back from what was to be compiled, for the report.

    Attributes:
        action: what was done about the failure. ``default_configuration``: the groups
            lost the configuration of code generation. ``ungroup``: IREE groups their
            operations itself. ``ungroup_all``: those of all groups. ``change_level``:
            everything was tried anew at ``level``. ``plain_lowering``: the model was
            compiled as it was imported, with all its data movement. ``buffers_only``:
            kernels access buffers as such, and not through texel buffers and images.
            ``skip_operation``: a pass left one operation as it was. ``skip_pass``: it left
            all of them.
        groups: the numbers of the groups given up; empty where that is all or none.
        level: the optimization level of the attempt that followed; None where a pass had
            failed and nothing was tried yet.
        reason: the first error of what failed.
        where: the pass, and the operation with its place, of what a pass failed at.
    """

    action: Action
    groups: tuple[int, ...]
    level: str | None
    reason: str
    where: str = ""

    def __str__(self) -> str:
        names = ", ".join(map(str, self.groups))
        groups = f"groups {names}" if len(self.groups) > 1 else f"group {names}"
        what = {
            "default_configuration": f"default configuration for {groups}",
            "ungroup": f"{groups} left to IREE",
            "ungroup_all": "all groups left to IREE",
            "change_level": f"everything anew at {self.level}",
            "plain_lowering": "compiled as imported, without elimination and groups",
            "buffers_only": "no texel buffers and images",
            "skip_operation": f"{self.where} given up",
            "skip_pass": f"{self.where} given up for the whole model",
        }
        return what[self.action]


@dataclass(frozen=True)
class Attempt:
    """One way to compile a model.

    Attributes:
        lowering: which of the three forms of the model.
        level: optimization level.
        unconfigured: groups without their configuration.
        dissolved: groups without their region.
        repairs: attempts at this level that gave up groups before.
    """

    lowering: Lowering
    level: str
    unconfigured: frozenset[int] = frozenset()
    dissolved: frozenset[int] = frozenset()
    repairs: int = 0


def first_attempts(levels: Sequence[str], has_groups: bool) -> tuple[Attempt, ...]:
    """The attempts to make in order, if no failure names a group."""
    lowerings: tuple[Lowering, ...] = ("grouped", "ungrouped", "plain")
    return tuple(
        Attempt(lowering, level)
        for lowering in lowerings
        if has_groups or lowering != "ungrouped"
        for level in levels
    )


def repaired(
    attempt: Attempt, failed: Mapping[int, str], groups: Mapping[int, Group]
) -> Attempt | None:
    """The attempt that gives up the groups that failed, as little of each as possible.

    Args:
        failed: groups that failed, each with its reason.
        groups: all groups. Those of a failed group's signature are given up with it.

    Returns:
        None if there is nothing left to give up, or there were too many repairs.
    """
    signatures = {groups[n].signature for n in failed if n in groups}
    alike = {n for n, g in groups.items() if g.signature in signatures} - attempt.dissolved
    if attempt.lowering != "grouped" or not alike or attempt.repairs >= MAX_REPAIRS:
        return None
    configured = {n for n in alike if groups[n].configured} - attempt.unconfigured
    return replace(
        attempt,
        unconfigured=attempt.unconfigured | configured,
        dissolved=attempt.dissolved | (alike - configured),
        repairs=attempt.repairs + 1,
    )


def following(
    attempt: Attempt, attempts: Sequence[Attempt], *, was_silent: bool
) -> Attempt | None:
    """The attempt after ``attempt`` where no repair of groups helps; None if it was last.

    Args:
        was_silent: iree-compile crashed or was stopped. A lower level is then as likely
            to do the same, so the next simpler form of the model is tried.
    """
    places = [(a.lowering, a.level) for a in attempts]
    rest = attempts[places.index((attempt.lowering, attempt.level)) + 1 :]
    simpler = [a for a in rest if a.lowering != attempt.lowering]
    return next(iter(simpler if was_silent else rest), None)


def steps(
    before: Attempt, after: Attempt, failed: Mapping[int, str], reason: str
) -> list[Fallback]:
    """What changes between two attempts, for the report."""
    if (before.lowering, before.level) == (after.lowering, after.level):
        parts: tuple[tuple[Action, frozenset[int]], ...] = (
            ("default_configuration", after.unconfigured - before.unconfigured),
            ("ungroup", after.dissolved - before.dissolved),
        )
        return [
            Fallback(action, tuple(sorted(lost)), after.level, _reason_of(lost, failed, reason))
            for action, lost in parts
            if lost
        ]
    actions: dict[Lowering, Action] = {
        "grouped": "change_level",
        "ungrouped": "ungroup_all",
        "plain": "plain_lowering",
    }
    changed = before.lowering != after.lowering
    action = actions[after.lowering] if changed else "change_level"
    return [Fallback(action, (), after.level, reason)]


def _reason_of(lost: frozenset[int], failed: Mapping[int, str], reason: str) -> str:
    return next((failed[n] for n in sorted(lost) if n in failed), reason)
