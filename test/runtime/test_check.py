"""The error of an output, and the comparison of a compiled model with the original."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

from smartmem.checking import check
from smartmem.checking.check import check_model
from smartmem.checking.compare import CheckResult, OutputError, compare, compare_output
from smartmem.errors import AccuracyError, InvalidInputError


def error(expected: object, actual: object, dtype: str = "float32") -> OutputError:
    return compare_output("y", np.array(expected, dtype), np.array(actual, dtype))


def test_error_is_relative_to_the_largest_expected_value() -> None:
    assert error([1, -4, 2], [1, -4, 2.5]).error == pytest.approx(0.125)


def test_the_sign_of_a_difference_does_not_matter() -> None:
    assert error([-4, 0], [-3, 0]).error == pytest.approx(0.25)


def test_zeros_are_compared_absolutely() -> None:
    assert error([0, 0], [0, 3e-3]).error == pytest.approx(3e-3)
    assert error([0, 0], [0, 0]).error == 0


def test_what_may_be_rounding_is_said() -> None:
    """An output that is zero but for rounding still fails, as a wrong one as small would."""
    outcome = error([6e-8, 0], [0, 6e-8])
    assert (
        not outcome.ok and outcome.detail == "all of it is below 1e-06, perhaps rounding alone"
    )
    assert not error([6e-8, 0], [6e-8, 0]).detail
    assert not error([6e-8, 0], [1, 0]).detail and not error([1, 0], [0, 0]).detail


def test_empty_and_scalar_outputs() -> None:
    assert error(np.zeros((0, 3)), np.zeros((0, 3))).ok
    assert error(2.0, 2.5).error == pytest.approx(0.25)


def test_another_shape_is_no_match() -> None:
    outcome = error(np.ones((2, 3)), np.ones((3, 2)))
    assert not outcome.ok and "shape (3, 2) in place of (2, 3)" in outcome.detail


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nonfinite_values_must_agree(value: float) -> None:
    assert error([value, 2], [value, 3]).error == pytest.approx(0.5)
    for other in (1.0, math.nan, math.inf, -math.inf):
        if str(other) != str(value):
            assert error([value, 2], [other, 2]).error == math.inf
            assert not error([other, 2], [value, 2]).ok


def test_integers_must_be_equal() -> None:
    large = 2**53
    assert error([large, 1], [large, 1], "int64").ok
    outcome = error([large, 1], [large + 1, 1], "int64")
    assert not outcome.ok and outcome.detail == "1 of 2 elements differ"


def test_booleans_must_be_equal() -> None:
    assert error([True, False], [True, False], "bool").ok
    assert not error([True, False], [True, True], "bool").ok


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [("float32", 1e-4), ("float16", 1e-2), ("bfloat16", 5e-2)]
)
def test_tolerance_follows_the_dtype(dtype: str, tolerance: float) -> None:
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)
    one = np.ones(3, kind)
    assert compare_output("y", one, one).tolerance == tolerance


def test_tolerance_can_be_set_for_floats_only() -> None:
    floats, integers = np.array([1.0, 1.2], np.float32), np.array([1, 2])
    outcomes = compare(["f", "i"], [floats, integers], [floats * 1.1, integers + 1], 0.5)
    assert [outcome.ok for outcome in outcomes] == [True, False]


def test_result_names_the_worst_output() -> None:
    good = OutputError("good", "float32", 1e-7, 1e-4)
    bad = OutputError("bad", "float32", 2e-3, 1e-4)
    worse = OutputError("worse", "float32", math.inf, 1e-4, "NaN or infinity")
    CheckResult((good,), "PyTorch", "CPU").require()
    result = CheckResult((good, bad, worse), "PyTorch", "CPU")
    assert not result.ok and result.error == math.inf
    with pytest.raises(AccuracyError, match=r"output worse is off by inf \(NaN or infinity\)"):
        result.require()
    assert result.to_json()["outputs"][2]["error"] is None
    assert "bad    error 2.00e-03  tolerance 1e-04  FAILED" in str(result)


def test_onnx_model_agrees_with_the_original(onnx_file: Path) -> None:
    checked = check_model(onnx_file, target="cpu")
    assert checked.result.ok
    assert [output.name for output in checked.result.outputs] == ["y", "mean"]
    assert "CPU" in checked.result.device
    assert checked.compiled.report.source == "onnx"


def test_given_arrays_are_used(onnx_file: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    x = np.zeros((2, 8, 16), np.float32)
    for arrays in (x, [x], {"x": x}):
        assert check_model(onnx_file, arrays=arrays, target="cpu").result.ok
    with pytest.raises(InvalidInputError, match="input x is missing; the model's inputs are x"):
        check_model(onnx_file, arrays={"X": x}, target="cpu")
    assert ReferenceEvaluator(onnx.load(onnx_file)).run(None, {"x": x})[1] == pytest.approx(
        0.25
    )


def test_mlir_is_compared_with_stock_iree(mlir_file: Path) -> None:
    checked = check_model(mlir_file, target="cpu")
    assert checked.result.ok and checked.result.reference == "stock IREE on the CPU"


def test_loss_of_accuracy_is_found(onnx_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = check.import_stage

    def off_by_a_percent(*arguments: Any) -> Any:
        imported = original(*arguments)
        exact = imported.reference
        return replace(imported, reference=lambda arrays: [1.01 * y for y in exact(arrays)])

    monkeypatch.setattr(check, "import_stage", off_by_a_percent)
    result = check_model(onnx_file, target="cpu").result
    assert not result.ok and result.error == pytest.approx(0.01 / 1.01, rel=1e-3)
    assert check_model(onnx_file, target="cpu", tolerance=0.1).result.ok


def test_tolerance_must_be_a_number_from_zero(onnx_file: Path) -> None:
    for tolerance in (-1.0, math.nan):
        with pytest.raises(InvalidInputError, match="tolerance"):
            check_model(onnx_file, target="cpu", tolerance=tolerance)


def test_an_original_that_fails_is_told(
    onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = check.import_stage

    def failing(arrays: object) -> list[np.ndarray]:
        raise IndexError("index 9 is out of range\nand more")

    monkeypatch.setattr(
        check, "import_stage", lambda *given: replace(original(*given), reference=failing)
    )
    with pytest.raises(InvalidInputError, match="these inputs: index 9 is out of range; give"):
        check_model(onnx_file, target="cpu")


def test_torch_module_with_integer_inputs() -> None:
    torch = pytest.importorskip("torch")

    class Tokens(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(20, 4)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.table(ids).softmax(-1)

    checked = check_model(Tokens(), inputs=torch.tensor([[3, 19, 0]]), target="cpu")
    assert checked.result.ok and checked.result.reference == "PyTorch"


def test_a_saved_stage_has_no_original(mlir_file: Path, tmp_path: Path) -> None:
    from smartmem.compiler.compile import module_at

    stage = tmp_path / "01-views.mlir"
    stage.write_text(str(module_at(mlir_file, "views")))
    with pytest.raises(InvalidInputError, match="check the model it was made from"):
        check_model(stage, target="cpu")
