"""The numbers that the benchmarks share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from smartmem.parameters import Array


def relative_error(result: Array, expected: Array) -> float:
    """The largest difference, relative to the largest expected element."""
    return float(np.abs(result - expected).max() / np.abs(expected).max())


def save_rows(rows: Sequence[Any], file: Path | None) -> None:
    """Writes dataclasses as a JSON list, if there is a file to write to."""
    if file:
        file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
