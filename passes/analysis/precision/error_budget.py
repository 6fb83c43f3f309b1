"""Which tensors stay wide so that a model's error stays within a budget.

The error is measured, with some tensors narrow at once: errors do not add up as their bounds
would have it. A half that costs too much is taken apart, down to the tensors that do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key")

MOST_TRIALS = 48
"""Runs of the model that a search takes."""


@dataclass
class Search(Generic[Key]):
    """A choice by measured errors.

    Attributes:
        error_of: runs the model with these tensors narrow, and says how far it is off.
        budget: the most that it may be off.
        narrow: what was accepted.
        kept: what stays wide, and why.
        error: with ``narrow``, as it was measured last.
        trials: runs so far.
    """

    error_of: Callable[[Sequence[Key]], float]
    budget: float
    narrow: list[Key] = field(default_factory=list)
    kept: dict[Key, str] = field(default_factory=dict)
    error: float = 0.0
    trials: int = 0

    def accept(self, part: Sequence[Key]) -> None:
        """Makes as many of ``part`` narrow as the budget allows."""
        if not part:
            return
        if self.trials >= MOST_TRIALS:
            reason = f"it was not tried, after {self.trials} runs of the model"
            self.kept.update(dict.fromkeys(part, reason))
            return
        self.trials += 1
        error = self.error_of([*self.narrow, *part])
        if error <= self.budget:
            self.narrow += part
            self.error = error
        elif len(part) == 1:
            reason = f"the error would be {error:.1e}, of at most {self.budget:.0e}"
            self.kept[part[0]] = reason
        else:
            half = len(part) // 2
            self.accept(part[:half])
            self.accept(part[half:])
