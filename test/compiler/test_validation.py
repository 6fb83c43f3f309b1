"""A pass that changes numbers is named, and what it breaks is cut down."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from interpreting import parsed
from torch_mlir import ir

from smartmem.errors import ValidationError
from smartmem.interpreter import interpret
from smartmem.mlir.pipelines import run_pipeline
from smartmem.options import CompileOptions
from smartmem.passes import PassContext
from smartmem.passes.base import Pass, operations
from smartmem.validation import Validator, validate

MODEL = """
  func.func @main(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>)
      -> (tensor<4x8xf32>, tensor<8x4xf32>) {
    %0 = arith.addf %x, %y : tensor<4x8xf32>
    %1 = arith.mulf %0, %0 : tensor<4x8xf32>
    %2 = math.exp %x : tensor<4x8xf32>
    %3 = arith.subf %1, %2 : tensor<4x8xf32>
    %4 = math.tanh %3 : tensor<4x8xf32>
    %e = tensor.empty() : tensor<8x4xf32>
    %5 = linalg.transpose ins(%4 : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>)
         permutation = [1, 0]
    %6 = arith.addf %2, %0 : tensor<4x8xf32>
    return %6, %5 : tensor<4x8xf32>, tensor<8x4xf32>
  }"""


@dataclass(frozen=True)
class SwapDifferences(Pass):
    """Takes a - b for b - a."""

    argument: ClassVar[str] = "swap-differences"
    summary: ClassVar[str] = "wrong"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for op in operations(module):
            if op.name == "arith.subf":
                first, second = op.operands
                op.operands[0], op.operands[1] = second, first


@dataclass(frozen=True)
class ReadBehindTheEnd(Pass):
    """Reads one row behind the tensor's last."""

    argument: ClassVar[str] = "read-behind-the-end"
    summary: ClassVar[str] = "wrong"

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for op in operations(module):
            if op.name != "linalg.transpose":
                continue
            with ir.InsertionPoint(op), op.location:
                view = ir.Operation.create(
                    "tensor.extract_slice",
                    [op.operands[0].type],
                    [op.operands[0]],
                    {
                        "static_offsets": ir.DenseI64ArrayAttr.get([1, 0]),
                        "static_sizes": ir.DenseI64ArrayAttr.get([4, 8]),
                        "static_strides": ir.DenseI64ArrayAttr.get([1, 1]),
                        "operandSegmentSizes": ir.DenseI32ArrayAttr.get([1, 0, 0, 0]),
                    },
                )
            op.operands[0] = view.results[0]


def test_the_first_pass_that_changes_numbers_is_named(tmp_path: Path) -> None:
    context = PassContext(validator=Validator(tmp_path, target="cpu"))
    module = parsed(MODEL)
    with pytest.raises(
        ValidationError, match=r"pass swap-differences changes .* result 1 is off"
    ):
        run_pipeline(module, ["canonicalize", SwapDifferences(), "cse"], context)
    folder = tmp_path / "swap-differences"
    cut = parsed((folder / "reproducer.mlir").read_text())
    names = [op.name for op in operations(cut.operation)]
    assert names == ["builtin.module", "func.func", "arith.subf", "func.return"]
    with np.load(folder / "inputs.npz") as arrays:
        given = [arrays[f"arg{n}"] for n in range(2)]
    (got,) = interpret(cut, given)
    np.testing.assert_array_equal(got, given[0] - given[1])
    assert "--smartmem-target=cpu" in (folder / "README.txt").read_text()
    assert "swap-differences" in (folder / "reproducer.mlir").read_text()


def test_passes_that_keep_numbers_are_counted() -> None:
    module = parsed(MODEL)
    once = "func.func(convert-elementwise-to-linalg,linalg-fuse-elementwise-ops)"
    seen = validate(module, [once, "canonicalize", "canonicalize"], PassContext())
    assert seen.validated >= 1
    assert seen.validated + seen.unchanged == 3


def test_undefined_behaviour_behind_a_pass_is_a_change() -> None:
    module = parsed(MODEL)
    with pytest.raises(ValidationError, match=r"leave a dim of 4|out-of-bounds"):
        _without_verifying(module)


def _without_verifying(module: ir.Module) -> None:
    context = PassContext(validator=Validator(None))
    run_pipeline(module, [ReadBehindTheEnd()], context, verify_each=False)


@dataclass(frozen=True)
class ScaleConstants(Pass):
    """Multiplies constants by nearly one."""

    argument: ClassVar[str] = "scale-constants"
    summary: ClassVar[str] = "wrong"

    units: int
    """In the last place."""

    def run(self, module: ir.Operation, context: PassContext) -> None:
        for op in operations(module):
            if op.name == "arith.constant":
                old = ir.DenseElementsAttr(op.attributes["value"])
                value = ir.FloatAttr(old.get_splat_value()).value * (1 + self.units * 2**-23)
                new = ir.FloatAttr.get(ir.F32Type.get(), value, loc=op.location)
                op.attributes["value"] = ir.DenseElementsAttr.get_splat(old.type, new)


@pytest.mark.parametrize(
    ("factor", "units", "rounds"),
    [(128, 1, True), (32, 8, False), (128, 100, False)],
    ids=["as the inputs", "more than the inputs", "more than a check accepts"],
)
def test_what_the_last_bits_of_inputs_change_is_rounding(
    factor: int, units: int, rounds: bool
) -> None:
    """They change the sine of ``factor`` times the input so many times as much."""
    type_ = "tensor<8xf32>"
    module = parsed(f"""func.func @main(%x: {type_}) -> {type_} {{
      %c = arith.constant dense<{factor}.0> : {type_}
      %0 = arith.mulf %x, %c : {type_}
      %1 = math.sin %0 : {type_}
      return %1 : {type_}
    }}""")
    validator = Validator(None, inputs=[np.linspace(1, 1.9, 8, dtype=np.float32)])
    context = PassContext(validator=validator)
    wrong = pytest.raises(ValidationError, match="pass scale-constants")
    with nullcontext() if rounds else wrong:
        run_pipeline(module, [ScaleConstants(units)], context)
    assert validator.validated == 1


def test_no_option_no_validator() -> None:
    assert PassContext().validator is None
    assert not CompileOptions().validate
