"""Pipelines that mix passes written in Python with upstream ones."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from torch_mlir import ir

from smartmem.errors import PassError, UnsupportedError
from smartmem.mlir.diagnostics import Diagnostic
from smartmem.mlir.pipelines import (
    expand_pipeline,
    format_pipeline,
    parse_flag,
    parse_pipeline,
    run_pipeline,
)
from smartmem.passes import Pass, PassContext

TWINS = """
func.func @f(%a: f32) -> (f32, f32) {
  %0 = arith.addf %a, %a : f32
  %1 = arith.addf %a, %a : f32
  return %0, %1 : f32, f32
}
"""


@dataclass(frozen=True)
class CountOps(Pass):
    """Remarks how many operations of one name the module holds."""

    argument = "smartmem-count-ops"
    summary = "Count operations"

    op_name: str = "arith.addf"
    at_most: int = 100
    strict: bool = False

    def run(self, module: ir.Operation, context: PassContext) -> None:
        names = [op.operation.name for op in _function(module).regions[0].blocks[0]]
        count = names.count(self.op_name)
        context.remark(self.argument, module, count <= self.at_most, str(count))
        if self.strict and count > self.at_most:
            raise PassError(self.argument, f"{count} {self.op_name}")


@dataclass(frozen=True)
class CallBack(Pass):
    """Does what ``action`` says."""

    argument = "smartmem-call-back"
    summary = "Call back"
    action: ClassVar[Callable[[ir.Operation], None]]

    def run(self, module: ir.Operation, context: PassContext) -> None:
        type(self).action(module)


PASSES = (CountOps, CallBack)


def _function(module: ir.Operation) -> ir.Operation:
    return module.regions[0].blocks[0].operations[0].operation


def _first_addition(module: ir.Operation) -> ir.Operation:
    return _function(module).regions[0].blocks[0].operations[0].operation


def _parse(text: str = TWINS) -> ir.Module:
    return ir.Module.parse(text, ir.Context())


def _calling(action: Callable[[ir.Operation], None]) -> CallBack:
    CallBack.action = staticmethod(action)
    return CallBack()


def test_elements_run_in_order_and_share_the_context() -> None:
    context = PassContext()
    run_pipeline(_parse(), [CountOps(), "cse", CountOps()], context)
    assert [remark.reason for remark in context.remarks] == ["2", "1"]
    assert {remark.argument for remark in context.remarks} == {"smartmem-count-ops"}


def test_nested_upstream_elements_run() -> None:
    context = PassContext()
    run_pipeline(_parse(), ["func.func(cse)", CountOps()], context)
    assert context.remarks[0].reason == "1"


def test_parse_pipeline_splits_at_the_outer_commas() -> None:
    text = (
        "builtin.module( canonicalize{max-iterations=2 top-down=false}, "
        "func.func(cse,canonicalize),smartmem-count-ops{op-name=arith.mulf strict=true})"
    )
    assert parse_pipeline(text, passes=PASSES) == [
        "canonicalize{max-iterations=2 top-down=false}",
        "func.func(cse,canonicalize)",
        CountOps(op_name="arith.mulf", strict=True),
    ]


@pytest.mark.parametrize("text", ["", "builtin.module()", " builtin.module( ) "])
def test_parse_pipeline_accepts_nothing(text: str) -> None:
    assert parse_pipeline(text) == []


def test_options_may_hold_brackets_and_quoted_commas() -> None:
    text = "inline{default-pipeline='cse,canonicalize' op-pipelines=func.func(cse,cse)},cse"
    assert parse_pipeline(text) == [text.removesuffix(",cse"), "cse"]


def test_formatted_pipelines_parse_to_the_same_elements() -> None:
    elements = [CountOps(at_most=-3, strict=True), "func.func(cse)", CallBack()]
    text = format_pipeline(elements)
    assert text == (
        "builtin.module(smartmem-count-ops{op-name=arith.addf at-most=-3 strict=true},"
        "func.func(cse),smartmem-call-back)"
    )
    assert parse_pipeline(text, passes=PASSES) == elements
    assert expand_pipeline(elements) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("builtin.module(cse", "missing ')' at the end"),
        ("cse]", "unexpected ']' at column 4"),
        ("inline{default-pipeline='cse}", "missing ''' at the end"),
        ("cse,,cse", "'' is not a pass"),
        (
            "func.func(smartmem-count-ops)",
            "outermost builtin.module only, not inside of func.func",
        ),
        ("builtin.module(builtin.module(smartmem-count-ops))", "not inside of builtin.module"),
        ("smartmem-count-ops{at-least=3}", "unknown option 'at-least'; options: at-most"),
        ("smartmem-count-ops{at-most=many}", "needs a value of type int"),
        ("smartmem-count-ops{strict=perhaps}", "needs a value of type bool"),
    ],
)
def test_parse_pipeline_refuses(text: str, message: str) -> None:
    with pytest.raises(PassError) as error:
        parse_pipeline(text, passes=PASSES)
    assert message in str(error.value)


def test_our_passes_need_a_module_to_run_on() -> None:
    with pytest.raises(PassError, match=r"not inside of func\.func"):
        parse_pipeline("smartmem-count-ops", anchor="func.func", passes=PASSES)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ("canonicalise", "no such pass; did you mean canonicalize"),
        ("func.func(canonicalise)", "no such pass; did you mean canonicalize"),
        ("cse{x=1}", "no such option x; it has no options"),
        ("func.func(canonicalize{x=1})", "no such option x; options: cse-between-iterations"),
        ("affine-parallelize", r"write 'func.func\(affine-parallelize\)'"),
    ],
)
def test_run_pipeline_refuses_upstream_text(element: str, message: str) -> None:
    with pytest.raises(PassError, match=message):
        run_pipeline(_parse(), [element], PassContext())


def test_a_flag_is_a_pass_of_ours_or_upstream() -> None:
    assert parse_flag("smartmem-count-ops", "at-most=1", passes=PASSES) == CountOps(at_most=1)
    assert parse_flag("cse") == "cse"
    assert parse_flag("affine-parallelize") == "func.func(affine-parallelize)"
    with pytest.raises(PassError, match="did you mean smartmem-count-ops"):
        parse_flag("smartmem-count-op", passes=PASSES)
    with pytest.raises(PassError, match="did you mean verbose"):
        parse_flag("verbos", other_flags=["verbose"])


def test_a_smartmem_error_of_a_pass_is_raised_as_it_is() -> None:
    raised = UnsupportedError("no such thing as a quaternion")

    def fail(module: ir.Operation) -> None:
        raise raised

    found: list[Diagnostic] = []
    after = CountOps()
    context = PassContext()
    with pytest.raises(UnsupportedError) as error:
        run_pipeline(_parse(), [_calling(fail), after], context, on_diagnostic=found.append)
    assert error.value is raised
    assert [str(diagnostic.message) for diagnostic in found] == [str(raised)]
    assert not context.remarks, "no pass runs after a failed one"


def test_a_pass_that_told_its_error_is_not_repeated() -> None:
    def fail(module: ir.Operation) -> None:
        _first_addition(module).location.emit_error("odd addition")
        raise PassError("smartmem-call-back", "odd addition")

    found: list[Diagnostic] = []
    with pytest.raises(PassError):
        run_pipeline(_parse(), [_calling(fail)], PassContext(), on_diagnostic=found.append)
    assert [(d.severity, d.message, d.point.line) for d in found if d.point] == [
        ("error", "odd addition", 3)
    ]


@pytest.mark.parametrize("bug", [ZeroDivisionError("bug"), KeyboardInterrupt()])
def test_any_other_exception_keeps_its_traceback(bug: BaseException) -> None:
    def deep_inside(module: ir.Operation) -> None:
        raise bug

    with pytest.raises(type(bug)) as error:
        run_pipeline(_parse(), [_calling(deep_inside)], PassContext())
    assert error.value is bug
    assert "deep_inside" in [entry.name for entry in error.traceback]


@pytest.mark.parametrize("bug", [UnsupportedError, IndexError])
def test_what_the_caller_of_a_failed_run_holds_is_freed(bug: type[Exception]) -> None:
    class Held:
        pass

    def fail(module: ir.Operation) -> None:
        raise bug("no such thing")

    def run() -> weakref.ref[Held]:
        held = Held()
        with pytest.raises(bug):
            run_pipeline(_parse(), [_calling(fail)], PassContext())
        return weakref.ref(held)

    reference = run()
    gc.collect()
    assert reference() is None


def test_a_cause_survives() -> None:
    def fail(module: ir.Operation) -> None:
        try:
            raise KeyError("origin")
        except KeyError as origin:
            raise UnsupportedError("told") from origin

    with pytest.raises(UnsupportedError) as error:
        run_pipeline(_parse(), [_calling(fail)], PassContext())
    assert isinstance(error.value.__cause__, KeyError)


def test_an_upstream_failure_holds_the_diagnostics() -> None:
    module = _parse(
        """
        func.func @f(%a: tensor<4xf32>) -> tensor<4xf32> {
          %0 = builtin.unrealized_conversion_cast %a : tensor<4xf32> to tensor<4xf32>
          return %0 : tensor<4xf32>
        }
        """
    )
    with pytest.raises(PassError) as error:
        run_pipeline(module, [_calling(lambda _: None), "one-shot-bufferize"], PassContext())
    assert error.value.diagnostics == ("-:3:16: error: op was not bufferized",)
    assert "one-shot-bufferize" in error.value.argument
    assert "op was not bufferized" in str(error.value)


def _break_ir(module: ir.Operation) -> None:
    """Uses a value before it is defined."""
    first, second, _ = _function(module).regions[0].blocks[0].operations
    first.operation.operands[0] = second.operation.results[0]


def test_verify_each_names_the_pass_that_left_broken_ir() -> None:
    with pytest.raises(PassError) as error:
        run_pipeline(_parse(), ["symbol-dce", CountOps(), _calling(_break_ir)], PassContext())
    assert error.value.argument == "smartmem-call-back"
    assert "does not dominate" in str(error.value)


def test_without_verify_each_broken_ir_goes_on() -> None:
    context = PassContext()
    elements = [_calling(_break_ir), CountOps()]
    run_pipeline(_parse(), elements, context, verify_each=False)
    assert len(context.remarks) == 1


@pytest.mark.parametrize("emit_errors", [False, True])
def test_the_context_is_left_as_it_was(emit_errors: bool) -> None:
    module = _parse()
    module.context.emit_error_diagnostics = emit_errors
    run_pipeline(module, ["cse"], PassContext())
    assert module.context.emit_error_diagnostics == emit_errors


def test_another_operation_than_a_module() -> None:
    context = ir.Context()
    function = ir.Operation.parse(TWINS, context=context).operation
    run_pipeline(function, ["cse"], PassContext())
    assert str(function).count("arith.addf") == 1


def test_errors_leave_nothing_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PassError):
        run_pipeline(_parse(), [_calling(_break_ir)], PassContext())
    assert capfd.readouterr().err == ""
