"""What rewrites of algebra make of the results of a function."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from torch_mlir import ir

import smartmem.dialect
from smartmem.interpreter import interpret
from smartmem.parameters import Array, Parameters
from smartmem.passes import Pass, PassContext
from smartmem.passes.base import Remark

RNG = np.random.default_rng(0)


def random(*shape: int) -> Array:
    """Numbers of magnitude 0.5 to 2 and either sign, of few digits."""
    signs = RNG.choice([-1.0, 1.0], shape)
    return (signs * RNG.uniform(0.5, 2, shape).round(3)).astype(np.float32)


def dense(array: Array) -> str:
    shape = "x".join(map(str, array.shape))
    return f"arith.constant dense<{json.dumps(array.round(3).tolist())}> : tensor<{shape}xf32>"


@dataclass(frozen=True)
class Outcome:
    """Of one result: its values as they were and rewritten, and what was done."""

    before: Array
    after: Array
    remarks: list[str]


def outcomes(
    text: str, inputs: list[Array], passes: list[Pass], names: list[str]
) -> dict[str, Outcome]:
    """What ``passes`` make of the results of ``main``, whose locations are ``names``."""
    before, _ = run(text, inputs, [])
    after, remarks = run(text, inputs, passes)
    return {
        name: Outcome(
            b, a, [r.reason for r in remarks if r.applied and f'"{name}"' in r.location]
        )
        for name, b, a in zip(names, before, after, strict=True)
    }


def run(text: str, inputs: list[Array], passes: list[Pass]) -> tuple[list[Array], list[Remark]]:
    """What the interpreter computes of ``main`` behind ``passes``, and their remarks."""
    context = ir.Context()
    smartmem.dialect.load(context)
    module = ir.Module.parse(text, context)
    shared = PassContext(Parameters())
    with context:
        for pass_ in passes:
            pass_.run(module.operation, shared)
    return interpret(module, inputs, shared.parameters), shared.remarks


def check(outcome: Outcome, remark: str) -> None:
    assert any(remark in found for found in outcome.remarks), outcome.remarks
    scale = np.abs(outcome.before).max()  # sums may cancel
    np.testing.assert_allclose(outcome.after, outcome.before, rtol=1e-5, atol=1e-6 * scale)
