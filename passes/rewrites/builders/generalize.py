"""Write named operations as the generics that they stand for."""

from __future__ import annotations

from torch_mlir import ir

from smartmem.passes.analysis.ir.loops import indexing_maps
from smartmem.passes.rewrites.builders import tensor_ops as build
from smartmem.passes.rewrites.builders.clone_bodies import clone_body

# IREE 3.13 has none of these: its build of MLIR is newer, and has linalg.elementwise for them.
UNKNOWN_TO_IREE = frozenset(
    f"linalg.{name}"
    for name in (
        *("abs", "add", "ceil", "div", "div_unsigned", "erf", "exp", "floor", "log", "max"),
        *("min", "mul", "negf", "powf", "reciprocal", "round", "rsqrt", "select", "sqrt"),
        *("square", "sub", "tanh"),
    )
)


def generalize(named: ir.Operation) -> ir.Operation:
    """Replaces a named operation by the generic that it stands for."""
    maps = indexing_maps(named)
    written = {ir.AffineDimExpr(expr).position for expr in maps[-1].results}
    with ir.InsertionPoint(named), named.location:
        iterators = build.iterators([d not in written for d in range(maps[0].n_dims)])
        generic = build.generic(list(named.operands), maps, iterators)
        clone_body(named, generic)
    named.results[0].replace_all_uses_with(generic.results[0])
    named.erase()
    return generic
