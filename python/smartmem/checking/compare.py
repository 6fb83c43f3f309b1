"""Numerical comparison of a compiled model with the original.

The error of an output is ``max|actual - expected| / max|expected|``, one number that
says how far the result is off in units of the output's own size:

- an output that should be all zeros (or is empty) has nothing to divide by: its error
  is the absolute ``max|actual|``;
- integers and booleans must be equal: their tolerance is 0;
- NaN and infinities must stand at the same places with the same sign, otherwise the
  error is infinite; elsewhere they are left out;
- an output that is zero but for rounding, such as ``x - mean(x)`` over a dim of one, may
  fail: if all of it is below 1e-6, ``detail`` says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from smartmem.errors import AccuracyError
from smartmem.parameters import Array

TOLERANCES = {"float64": 1e-4, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest accepted error for each output dtype; what is not here must be equal. The half
precisions round every intermediate to 11 (float16) or 8 (bfloat16) bits, and a network
adds that up over its depth."""

# A few units in the last place of 1.0 in float32.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class OutputError:
    """How far one output is off.

    Attributes:
        name: name of the output.
        dtype: its element type.
        error: the error as this module defines it.
        tolerance: largest accepted error.
        detail: why the error is infinite, or may be rounding alone; else empty.
    """

    name: str
    dtype: str
    error: float
    tolerance: float
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class CheckResult:
    """The comparison of all outputs of one run.

    Attributes:
        outputs: one entry for each output.
        reference: what computed the expected values, e.g. ``ONNX Runtime``.
        device: what the compiled model ran on.
        runs: in how many processes it ran how often; empty: once.
        differing: names of outputs that were not the same bits in two runs of one input.
        cause: where a wrong result comes from, if that was looked for.
        why: of the tolerance, where it is not that of the outputs' types.
    """

    outputs: tuple[OutputError, ...]
    reference: str
    device: str
    runs: str = ""
    differing: tuple[str, ...] = ()
    cause: str = ""
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether every output is within its tolerance, and the same in each run."""
        return not self.differing and all(output.ok for output in self.outputs)

    @property
    def error(self) -> float:
        """The largest error of all outputs."""
        return max((output.error for output in self.outputs), default=0.0)

    def require(self) -> None:
        """Raises AccuracyError, naming the worst output, unless all is well."""
        failed = [output for output in self.outputs if not output.ok]
        if not failed and self.differing:
            raise AccuracyError(
                f"output {self.differing[0]} varies from run to run of one input on {self.device}; "
                "--kernels names the kernel"
            )
        if not failed:
            return
        worst = max(failed, key=lambda output: output.error)
        detail = f" ({worst.detail})" if worst.detail else ""
        raise AccuracyError(
            f"output {worst.name} is off by {worst.error:.2e}{detail} on {self.device}, the "
            f"tolerance is {worst.tolerance:.0e}; "
            f"{self.cause or 'look at the stages with --save-temps'}, or accept it with "
            "--tolerance"
        )

    def __str__(self) -> str:
        width = max((len(output.name) for output in self.outputs), default=0)
        lines = [
            f"output {output.name:<{width}}  error {output.error:.2e}  "
            f"tolerance {output.tolerance:.0e}  {'ok' if output.ok else 'FAILED'}"
            f"{'  ' + output.detail if output.detail else ''}"
            for output in self.outputs
        ]
        lines += [
            f"output {name:<{width}}  varies from run to run of one input  FAILED"
            for name in self.differing
        ]
        where = f"compared on {self.device} with {self.reference}"
        lines.append(f"{where}: {self.runs}" if self.runs else where)
        return "\n".join([*lines, *filter(None, (self.why, self.cause))])

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``json.dump``; an infinite error becomes None."""
        outputs = [{**asdict(output), "ok": output.ok} for output in self.outputs]
        for output in outputs:
            if not math.isfinite(output["error"]):
                output["error"] = None
        return {
            "ok": self.ok,
            "reference": self.reference,
            "device": self.device,
            "runs": self.runs,
            "differing": [*self.differing],
            "cause": self.cause,
            "why": self.why,
            "outputs": outputs,
        }


def compare(
    names: Sequence[str],
    expected: Sequence[Array],
    actual: Sequence[Array],
    tolerance: float | None = None,
) -> tuple[OutputError, ...]:
    """Compares two lists of outputs.

    Args:
        names: one name for each output.
        expected: outputs of the original model.
        actual: outputs of the compiled model.
        tolerance: replaces the one of ``TOLERANCES`` for floating-point outputs.
    """
    return tuple(
        compare_output(name, want, got, tolerance)
        for name, want, got in zip(names, expected, actual, strict=True)
    )


def compare_output(
    name: str, expected: Array, actual: Array, tolerance: float | None = None
) -> OutputError:
    """Compares one output; see the module's docstring for what the error means."""
    dtype = actual.dtype.name
    limit = TOLERANCES.get(dtype, 0.0)
    if tolerance is not None and dtype in TOLERANCES:
        limit = tolerance
    error, detail = _error(expected, actual)
    if not detail and error > limit and _may_be_rounding(expected, actual):
        detail = f"all of it is below {_ROUNDING:.0e}, perhaps rounding alone"
    return OutputError(name, dtype, error, limit, detail)


def _may_be_rounding(expected: Array, actual: Array) -> bool:
    """Whether both are as small as the rounding errors of values around one."""
    if actual.dtype.name not in TOLERANCES:
        return False
    arrays = (_as_double(array) for array in (expected, actual))
    return all(np.max(np.abs(array), initial=0.0) < _ROUNDING for array in arrays)


def _error(expected: Array, actual: Array) -> tuple[float, str]:
    if expected.shape != actual.shape:
        return math.inf, f"shape {actual.shape} in place of {expected.shape}"
    if not _is_float(expected) and not _is_float(actual):
        return _integer_error(expected, actual)
    want, got = _as_double(expected), _as_double(actual)
    if not _same_nonfinite(want, got):
        return math.inf, "NaN or infinity in one of the two"
    finite = np.isfinite(want)
    want, got = want[finite], got[finite]
    difference = float(np.max(np.abs(got - want), initial=0.0))
    scale = float(np.max(np.abs(want), initial=0.0))
    return (difference / scale if scale else difference), ""


def _integer_error(expected: Array, actual: Array) -> tuple[float, str]:
    """Integers are compared as integers: int64 values above 2**53 are no doubles."""
    wrong = int(np.count_nonzero(expected != actual))
    if not wrong:
        return 0.0, ""
    return wrong / expected.size, f"{wrong} of {expected.size} elements differ"


def _is_float(array: Array) -> bool:
    return array.dtype.name in TOLERANCES


def _as_double(array: Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    return array.astype(np.float64)


def _same_nonfinite(want: Any, got: Any) -> bool:
    keep = ~(np.isfinite(want) & np.isfinite(got))
    return bool(np.array_equal(want[keep], got[keep], equal_nan=True))
