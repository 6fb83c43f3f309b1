"""Refuses what IREE cannot compile of models in double precision.

Importers compute some scalars in f64, which ``smartmem-compute-in-f32`` makes f32. A function that
takes or returns f64 keeps it: there the user asked for it.
"""

from __future__ import annotations

from torch_mlir import ir

from smartmem.backend.targets.targets import Target
from smartmem.errors import UnsupportedError
from smartmem.frontend.finish import entry_function
from smartmem.frontend.operations import walk, where
from smartmem.passes.compute_in_f32 import is_f64, keeps_f64

# SPIR-V's functions of f64 (GLSL.std.450 has the others for 16 and 32 bits).
_OF_GPUS = frozenset(
    f"math.{name}"
    for name in (
        *("absf", "absi", "ceil", "copysign", "ctlz", "ctpop", "cttz", "floor", "fma", "ipowi"),
        *("isfinite", "isinf", "isnan", "isnormal", "round", "roundeven", "rsqrt", "sqrt"),
        "trunc",
    )
)

# Functions of f64 that iree-compile 3.13 leaves to a C library, which its modules do not have.
_NOT_OF_CPUS = frozenset(
    f"math.{name}"
    for name in (
        *("acos", "asin", "atan", "atan2", "cbrt", "cos", "erf", "erfc", "log10", "log2"),
        *("sin", "sincos", "tan", "tanh"),
    )
)

_ADVICE = "convert the model to float32"


def refuse_double_precision(module: ir.Module, target: Target) -> None:
    """Checks a model that takes or returns f64 before anything is compiled.

    Raises:
        UnsupportedError: the target has no f64, or iree-compile lacks one of the functions.
    """
    if not keeps_f64(entry_function(module)):
        return
    features = () if target.requirements is None else target.requirements.features
    if target.kind == "vulkan" and "float64" not in features:
        raise UnsupportedError(
            f"the model takes or returns float64, which target {target.name} does not have: "
            f"{_ADVICE}, or compile it for a CPU"
        )
    for op in walk(module):
        if _is_missing(op.name, target.kind) and any(is_f64(v.type) for v in op.results):
            function = op.name.removeprefix("math.")
            raise UnsupportedError(
                f"function {function}{where(op.location)} of float64 cannot be compiled for "
                f"target {target.name}: {_ADVICE}"
            )


def _is_missing(name: str, kind: str) -> bool:
    if kind == "cpu":
        return name in _NOT_OF_CPUS
    return name.startswith("math.") and name not in _OF_GPUS
