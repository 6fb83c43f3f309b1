"""Runs the ONNX standard's node tests, which the onnx package holds, through SmartMem.

A test is *unsupported* where the frontend refuses the model with a message: an operator
without a lowering, a type, a size known at run time only. Whatever else is not the
expected result is *failed*: an error of a pass or of iree-compile, a crash, a time-out,
wrong numbers, and a model that had to be compiled as imported.

    python benchmarks/run_onnx_node_tests.py
    python benchmarks/run_onnx_node_tests.py --group contraction --stock
    python benchmarks/run_onnx_node_tests.py --filter slice --json slice.json

With --stock, iree-import-onnx and iree-compile get what SmartMem does not pass.
"""

from __future__ import annotations

import functools
import logging
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import iree.runtime as rt
import onnx
from arguments import script_parser
from isolated import ChildError, run_isolated
from onnx import ModelProto, numpy_helper
from onnx.backend.test.runner import Runner
from results import save_rows
from rich.console import Console
from rich.progress import track
from rich.table import Table

import smartmem
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.targets import resolve_target
from smartmem.errors import InvalidInputError, UnsupportedError
from smartmem.options import CompileOptions
from smartmem.parameters import Array

GROUPS = {
    "movement": """
        CenterCropPad Compress Concat ConstantOfShape DepthToSpace Expand EyeLike Flatten
        Gather GatherElements GatherND Identity OneHot Pad Range Reshape Resize ReverseSequence
        Scatter ScatterElements ScatterND Slice SpaceToDepth Split Squeeze Tile Transpose
        Trilu Unsqueeze Upsample
        """,
    "elementwise": """
        Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr
        BitwiseXor Cast CastLike Ceil Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu
        Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual
        Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink
        Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh
        ThresholdedRelu Where Xor
        """,
    "reduction": """
        ArgMax ArgMin CumProd CumSum Hardmax LogSoftmax ReduceL1 ReduceL2 ReduceLogSum
        ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare
        Softmax
        """,
    "normalization": """
        BatchNormalization GroupNormalization InstanceNormalization LRN LayerNormalization
        LpNormalization MeanVarianceNormalization RMSNormalization
        """,
    "contraction": """
        Attention Conv ConvTranspose Einsum Gemm MatMul RotaryEmbedding
        """,
    "pooling": """
        AveragePool GlobalAveragePool GlobalMaxPool LpPool MaxPool
        """,
    "quantization": """
        ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv
        QLinearMatMul QuantizeLinear
        """,
    "recurrence": "GRU LSTM RNN",
}
GROUP_OF = {operator: group for group, names in GROUPS.items() for operator in names.split()}

# Inputs that say how large a result is, or where its elements come from. The tests pass
# them at run time; SmartMem compiles static shapes, so here they are constants.
SIZES = {
    "CenterCropPad": (1,),
    "Compress": (1,),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Trilu": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **{operator: (1,) for operator in GROUP_OF if operator.startswith("Reduce")},
}

PASSED, FAILED, UNSUPPORTED = STATES = ("passed", "failed", "unsupported")
CPU = resolve_target("cpu")


@dataclass(frozen=True)
class NodeTest:
    """One test of the standard.

    Attributes:
        name: as the standard calls it.
        operator: that it tests, directly or in expanded form.
        model: with sizes as constants.
        inputs: arrays in the order of the model's inputs.
        expected: its results.
        rtol: tolerances of the results, element by element.
        atol: likewise.
    """

    name: str
    operator: str
    model: ModelProto
    inputs: Sequence[Any]
    expected: Sequence[Any]
    rtol: float
    atol: float


@dataclass(frozen=True)
class Verdict:
    """What came of one test: one of ``STATES``, and why it did not pass."""

    state: str
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """One test; ``stock`` is None where stock IREE was not tried."""

    name: str
    operator: str
    smartmem: Verdict
    stock: Verdict | None


def node_tests() -> Iterator[NodeTest]:
    """The standard's tests of the operators in ``GROUPS``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some tests overflow on purpose
        from onnx.backend.test.loader import load_model_tests

        cases = load_model_tests(kind="node")
    models = {case.name: case.model for case in cases}
    for case in cases:
        # test_x_expanded and test_x_expanded_ver18 are test_x in simpler operators.
        original = models.get(case.name.split("_expanded")[0], case.model)
        operator = _only_operator(original)
        if operator in GROUP_OF:
            inputs, expected = (list(map(_array, part)) for part in case.data_sets[0])
            model, inputs = _with_constants(case.model, inputs, _sizes(original))
            yield NodeTest(case.name, operator, model, inputs, expected, case.rtol, case.atol)


def _array(given: Any) -> Any:
    """Types that NumPy lacks come as ONNX's tensors."""
    return numpy_helper.to_array(given) if isinstance(given, onnx.TensorProto) else given


def _only_operator(model: ModelProto) -> str | None:
    names = {node.op_type for node in model.graph.node}
    return names.pop() if len(names) == 1 else None


def _sizes(model: ModelProto) -> set[str]:
    """The names of the values that are sizes."""
    return {
        node.input[position]
        for node in model.graph.node
        for position in SIZES.get(node.op_type, ())
        if position < len(node.input)
    }


def _with_constants(
    original: ModelProto, arrays: Sequence[Any], names: set[str]
) -> tuple[ModelProto, list[Any]]:
    """A copy in which the inputs of these names are initializers; the arrays of the others."""
    model = ModelProto()
    model.CopyFrom(original)
    given = list(zip(original.graph.input, arrays, strict=True))
    kept = [(value, array) for value, array in given if value.name not in names]
    model.graph.initializer.extend(
        numpy_helper.from_array(array, value.name)
        for value, array in given
        if value.name in names
    )
    del model.graph.input[:]
    model.graph.input.extend(value for value, _ in kept)
    return model, [array for _, array in kept]


def run_smartmem(test: NodeTest, timeout_s: float) -> Sequence[Array]:
    """The results of SmartMem."""
    options = CompileOptions(keep_ir=False, timeout_s=timeout_s)
    compiled = smartmem.compile(test.model, target=CPU, options=options)
    for step in compiled.report.fallbacks:
        assert step.action != "plain_lowering", f"compiled as imported: {step.reason}"
    return compiled.module(*test.inputs)


def run_stock(test: NodeTest, timeout_s: float) -> Sequence[Array]:
    """The results of IREE's own importer and compiler."""
    with tempfile.TemporaryDirectory() as folder:
        model, imported, module = (
            Path(folder, name) for name in ("model.onnx", "model.mlir", "model.vmfb")
        )
        test.model.graph.name = "main"  # the importer takes it for the function
        onnx.save(test.model, model)
        importer = [sys.executable, "-m", "iree.compiler.tools.import_onnx"]
        subprocess.run([*importer, model, "-o", imported], check=True, capture_output=True)
        compile_bytecode(imported, CPU, IreeOptions(timeout_s=timeout_s), output=module)
        config = rt.Config("local-task")
        loaded = rt.load_vm_module(rt.VmModule.mmap(config.vm_instance, str(module)), config)
        results = loaded["main"](*test.inputs)
        return [r.to_host() for r in (results if isinstance(results, tuple) else [results])]


def judge(
    run: Callable[[NodeTest, float], Sequence[Array]], test: NodeTest, timeout_s: float
) -> Verdict:
    """Runs one test and compares its results as the standard does."""
    try:
        results = run(test, timeout_s)
    except (UnsupportedError, InvalidInputError) as error:
        return Verdict(UNSUPPORTED, str(error))
    Runner.assert_similar_outputs(test.expected, results, test.rtol, test.atol)
    return Verdict(PASSED)


def run_test(test: NodeTest, with_stock: bool, timeout_s: float) -> Row:
    """Runs one test in a child process, and what SmartMem does not pass with stock IREE."""

    def verdict(run: Callable[[NodeTest, float], Sequence[Array]]) -> Verdict:
        task = functools.partial(judge, run, test, timeout_s)
        try:
            return run_isolated(task, timeout_s=2 * timeout_s + 10)
        except ChildError as error:
            return Verdict(FAILED, " ".join(str(error).split()))

    ours = verdict(run_smartmem)
    stock = verdict(run_stock) if with_stock and ours.state != PASSED else None
    return Row(test.name, test.operator, ours, stock)


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Counts by operator, by group and in total."""
    table = Table("operator", title="ONNX node tests")
    for state in STATES:
        table.add_column(state, justify="right")
    for group, names in GROUPS.items():
        for operator in sorted(names.split()):
            _add(table, operator, [row for row in rows if row.operator == operator])
        members = [row for row in rows if GROUP_OF[row.operator] == group]
        _add(table, f"all {group}", members, style="bold", end_section=True)
    _add(table, "total", rows, style="bold")
    console.print(table)


def _add(table: Table, name: str, rows: Sequence[Row], **style: Any) -> None:
    counts = Counter(row.smartmem.state for row in rows)
    if rows:
        table.add_row(name, *(str(counts[state]) for state in STATES), **style)


def is_worse(row: Row) -> bool:
    """Whether stock IREE passes a test that SmartMem does not."""
    return row.stock is not None and row.stock.state == PASSED


def print_reasons(rows: Sequence[Row], console: Console) -> None:
    """Why tests failed, and which of the others stock IREE passes."""
    for row in sorted(rows, key=is_worse):
        if row.smartmem.state == FAILED or is_worse(row):
            beside = ", stock IREE passes" if is_worse(row) else ""
            reason = row.smartmem.reason[:300]
            console.print(f"{row.name}: {row.smartmem.state}{beside}: {reason}")


def main() -> int:
    """Runs the tests; 1 if one fails, or with --stock if one fails that stock passes."""
    parser = script_parser(__doc__)
    parser.add_argument("--group", choices=GROUPS, help="only tests of these operators")
    parser.add_argument("--filter", default="", help="only tests with this in their name")
    parser.add_argument("--stock", action="store_true", help="compare with stock IREE")
    parser.add_argument("--timeout", type=float, default=60, help="seconds of iree-compile")
    parser.add_argument("--json", type=Path, help="also write the verdicts to this file")
    arguments = parser.parse_args()
    groups = [arguments.group] if arguments.group else [*GROUPS]
    tests = [
        test
        for test in node_tests()
        if arguments.filter in test.name and GROUP_OF[test.operator] in groups
    ]
    if not tests:
        parser.error("there is no such test")
    logging.getLogger("smartmem").setLevel(logging.ERROR)  # not of each step back
    rows = [
        run_test(test, arguments.stock, arguments.timeout)
        for test in track(tests, "running", console=Console(stderr=True))
    ]
    console = Console(width=160, markup=False, highlight=False)
    print_table(rows, console)
    print_reasons(rows, console)
    save_rows(rows, arguments.json)
    failed = [row for row in rows if row.smartmem.state == FAILED]
    return int(any(map(is_worse, failed)) if arguments.stock else bool(failed))


if __name__ == "__main__":
    sys.exit(main())
