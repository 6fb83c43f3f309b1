"""Each refusal of the algebra passes reaches the report with its reason.

The cases are those of the lit tests, whose IR they check.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from torch_mlir import ir

import smartmem.dialect
from smartmem.passes import Pass, PassContext
from smartmem.passes.fold_constants import FoldConstants
from smartmem.passes.rewrite_algebra import RewriteAlgebra

TESTS = Path(__file__).resolve().parents[1] / "passes"

REASONS: dict[tuple[type[Pass], str], dict[str, str]] = {
    (RewriteAlgebra, "rewrite-algebra.mlir"): {
        "keeps_root_of_what_may_be_negative": "sqrt(a) * sqrt(a) -> a: a may be negative",
        "keeps_function_without_a_reader": "func.return reads it, which cannot take in",
    },
    (RewriteAlgebra, "rewrite-algebra-contractions.mlir"): {
        "keeps_scale_with_two_readers": "the scaled operand has other readers",
        "keeps_scale_of_a_returned_contraction": "func.return reads it, which cannot take in",
    },
    (FoldConstants, "fold-constants.mlir"): {
        "keeps_what_would_be_too_large": "a constant of 16384 elements would replace 128",
        "keeps_what_cannot_be_evaluated": "it depends on constants, but cannot be evaluated",
    },
    (FoldConstants, "fold-constants-factors.mlir"): {
        "keeps_factor_of_what_others_read": "its operand has other readers",
        "keeps_factor_of_large_shared_weights": "others read the weights",
        "keeps_factor_of_a_given_start": "its operand adds to something that is not constant",
        "keeps_factor_that_is_not_finite": "its factor is not finite",
        "keeps_factor_of_rows": "its factor varies along a loop that does not index the operand",
    },
}


def chunks(file: str) -> dict[str, str]:
    """The modules of a lit test by the name of their function."""
    texts = (TESTS / file).read_text().split("// -----")
    return {re.search(r"func\.func @(\w+)", t).group(1): t for t in texts}


@pytest.mark.parametrize(
    ("pass_", "file", "function", "reason"),
    [(p, file, name, r) for (p, file), cases in REASONS.items() for name, r in cases.items()],
    ids=lambda value: value if isinstance(value, str) else value.argument,
)
def test_a_refusal_says_why(pass_: type[Pass], file: str, function: str, reason: str) -> None:
    context = ir.Context()
    smartmem.dialect.load(context)
    shared = PassContext()
    with context:
        module = ir.Module.parse(chunks(file)[function])
        pass_().run(module.operation, shared)
    refused = [remark.reason for remark in shared.remarks if not remark.applied]
    assert any(reason in found for found in refused), refused
