"""The safety net at work: groups that iree-compile really cannot compile."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_mlir import ir

import smartmem
from smartmem.backend.iree_compile.compile_errors import CompileError
from smartmem.backend.iree_compile.tool import IreeOptions
from smartmem.backend.targets.targets import Target, resolve_target
from smartmem.compiler import attempts
from smartmem.compiler import compile as compiler
from smartmem.compiler.compile import ALL_STAGES, CompiledModel
from smartmem.compiler.lowered import Job, lower
from smartmem.compiler.recorder import StageRecorder, mark_stage
from smartmem.compiler.stages import IR_STAGES
from smartmem.frontend import ImportedModel
from smartmem.frontend.finish import function_specs
from smartmem.options import CompileOptions
from smartmem.parameters import Parameters

pytestmark = pytest.mark.fallback

GATHER = """\
%g = linalg.generic {
  indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
  iterator_types = ["parallel", "parallel", "parallel"]
} outs(%e3 : tensor<8x56x96xf32>) {
^bb0(%o: f32):
  %i = linalg.index 0 : index
  %j = linalg.index 1 : index
  %k = linalg.index 2 : index
  %j3 = arith.addi %j, %c3 : index
  %jm = arith.remui %j3, %c56 : index
  %v = tensor.extract %SOURCE[%i, %jm, %k] : tensor<8x56x96xf32>
  linalg.yield %v : f32
} -> tensor<8x56x96xf32>
%c = tensor.collapse_shape %g [[0, 1], [2]] : tensor<8x56x96xf32> into tensor<448x96xf32>
%f = linalg.fill ins(%zero : f32) outs(%e2 : tensor<448x96xf32>) -> tensor<448x96xf32>
%m = linalg.matmul ins(%c, %w : tensor<448x96xf32>, tensor<96x96xf32>)
                   outs(%f : tensor<448x96xf32>) -> tensor<448x96xf32>
"""
"""A roll read by a matmul through a reshape. In one kernel the roll becomes a buffer of
172 kB on the stack, and on adreno the kernel takes more than half a minute to compile."""

MATMUL = """\
%x2 = tensor.collapse_shape %x [[0, 1], [2]] : tensor<8x56x96xf32> into tensor<448x96xf32>
%f = linalg.fill ins(%zero : f32) outs(%e2 : tensor<448x96xf32>) -> tensor<448x96xf32>
%m = linalg.matmul {CONFIGURATION} ins(%x2, %w : tensor<448x96xf32>, tensor<96x96xf32>)
                   outs(%f : tensor<448x96xf32>) -> tensor<448x96xf32>
"""

CPU_TILES = (
    "compilation_info = #iree_codegen.compilation_info<lowering_config = "
    "#iree_cpu.lowering_config<distribution = [64, 48, 0], vector_common_parallel = "
    "[{rows}, {columns}, 0], vector_reduction = [0, 0, 4]>, "
    "translation_info = <pipeline = #iree_cpu.pipeline<DoubleTilingExpert>>>"
)
GOOD_TILES = CPU_TILES.format(rows=8, columns=16)
HUGE_TILES = CPU_TILES.format(rows=64, columns=48)  # vectors of 12 kB
ENDLESS = (
    "compilation_info = #iree_codegen.compilation_info<lowering_config = "
    "#iree_codegen.lowering_config<tile_sizes = [[64, 96, 0], [64, 96, 0], [0, 0, 96]]>, "
    "translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> "
    "workgroup_size = [64, 1, 1]>>"
)
"""Unrolls a tile of 64x96x96: minutes, where the default takes a second."""

X = np.random.default_rng(0).standard_normal((8, 56, 96)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((96, 96)).astype(np.float32)


def roll_matmul(x: np.ndarray) -> np.ndarray:
    return np.roll(x, -3, axis=1).reshape(448, 96) @ W


def region(name: str, body: str, group: int | None) -> str:
    """``body`` in a region of its own, or outside of any."""
    body = body.replace("%g", f"%g{name}").replace("%c =", f"%c{name} =")
    body = body.replace("ins(%c,", f"ins(%c{name},").replace("%m", f"%m{name}")
    body = body.replace("%f", f"%f{name}").replace("%x2", f"%x2{name}")
    if group is None:
        return body.replace(f"%m{name}", f"%{name}")
    return (
        f'%{name} = "flow.dispatch.region"() ({{\n{body}'
        f'"flow.return"(%m{name}) : (tensor<448x96xf32>) -> ()\n'
        f"}}, {{}}) {{operandSegmentSizes = array<i32: 0, 0>, smartmem.kernel = {group}}}"
        " : () -> tensor<448x96xf32>\n"
    )


def program(*regions: tuple[str, int | None]) -> str:
    """A model of x: 8x56x96 and w: 96x96 that returns the result of every body."""
    names = [f"r{index}" for index in range(len(regions))]
    bodies = "".join(region(n, b, g) for n, (b, g) in zip(names, regions, strict=True))
    types = ", ".join(["tensor<448x96xf32>"] * len(names))
    return (
        textwrap.dedent(f"""\
        func.func @main(%x: tensor<8x56x96xf32>, %w: tensor<96x96xf32>) -> ({types}) {{
        %zero = arith.constant 0.0 : f32
        %c3 = arith.constant 3 : index
        %c56 = arith.constant 56 : index
        %e2 = tensor.empty() : tensor<448x96xf32>
        %e3 = tensor.empty() : tensor<8x56x96xf32>
        """)
        + f"{bodies}return {', '.join(f'%{n}' for n in names)} : {types}\n}}\n"
    )


def imported(text: str) -> ImportedModel:
    context = ir.Context()
    context.allow_unregistered_dialects = True
    module = ir.Module.parse(text, context)
    return ImportedModel(module, Parameters(), *function_specs(module), "mlir", None)


class LoweredJob(Job):
    """A job whose import is another module than the one that the passes left."""

    def read(self, deadline: float | None = None) -> ImportedModel:
        return imported(self.inputs)


def compile_lowered(
    text: str, *, target: str = "cpu", plain: str | None = None, **options: Any
) -> CompiledModel:
    """Compiles what the last pass could have left; ``plain`` is the model's import."""
    recorder = StageRecorder(ALL_STAGES, CompileOptions())
    with recorder.stage(IR_STAGES[-1], "import"):
        module = imported(text)
    mark_stage(module.module, IR_STAGES[-1])
    job = LoweredJob(
        model=Path("lowered.mlir"),
        inputs=text if plain is None else plain,
        target=resolve_target(target),
        options=CompileOptions(**options),
    )
    return compiler.build(lower(module, job, recorder), recorder)


def steps(compiled: CompiledModel) -> list[tuple[str, tuple[int, ...]]]:
    return [(step.action, step.groups) for step in compiled.report.fallbacks]


def gather(source: str = "x") -> str:
    return GATHER.replace("SOURCE", source)


def matmul(configuration: str) -> str:
    return MATMUL.replace("CONFIGURATION", configuration)


def test_a_group_that_needs_too_much_stack_is_left_to_iree(
    caplog: pytest.LogCaptureFixture,
) -> None:
    compiled = compile_lowered(program((gather(), 4), (matmul(GOOD_TILES), 5), (gather(), 6)))
    assert steps(compiled) == [("ungroup", (4, 6))], "6 is like 4, 5 stays"
    [step] = compiled.report.fallbacks
    assert "exceeded stack allocation limit of 32768 bytes" in step.reason
    warning = "groups 4, 6 left to IREE, because 'func.func' op exceeded stack"
    assert [r.levelname for r in caplog.records if warning in r.getMessage()] == ["WARNING"]
    for result, expected in zip(
        compiled(X, W), (roll_matmul(X), X.reshape(448, 96) @ W, roll_matmul(X)), strict=True
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)
    assert "groups 4, 6 left to IREE" in str(compiled.report)
    [values] = compiled.report.to_json()["fallbacks"]
    assert (values["action"], list(values["groups"]), values["level"]) == (
        "ungroup", [4, 6], "O3"
    )  # fmt: skip


def test_a_configuration_that_fails_is_dropped_and_the_group_kept() -> None:
    compiled = compile_lowered(program((matmul(HUGE_TILES), 0)))
    assert steps(compiled) == [("default_configuration", (0,))]
    assert "large vector sizes" in compiled.report.fallbacks[0].reason
    assert compiled.statistics.kernels == 1
    np.testing.assert_allclose(compiled(X, W), X.reshape(448, 96) @ W, rtol=1e-4, atol=1e-4)


def test_a_group_that_fails_without_its_configuration_too() -> None:
    both = gather().replace("linalg.matmul", f"linalg.matmul {{{HUGE_TILES}}}")
    compiled = compile_lowered(program((both, 3)))
    assert steps(compiled) == [("default_configuration", (3,)), ("ungroup", (3,))]
    np.testing.assert_allclose(compiled(X, W), roll_matmul(X), rtol=1e-4, atol=1e-4)


def time_limit_s(text: str, target: str = "cpu") -> float:
    """Time for steps that each compile a model like ``text``, on this machine as busy as it is."""
    start = time.monotonic()
    compile_lowered(text, target=target)
    return 12 * (time.monotonic() - start)


def test_a_kernel_without_end_is_found_and_given_up() -> None:
    text = program((matmul(ENDLESS), 0), (matmul(GOOD_TILES), 1))
    usual = program((matmul(""), 0), (matmul(GOOD_TILES), 1))
    compiled = compile_lowered(text, timeout_s=time_limit_s(usual))
    ((action, groups),) = steps(compiled)
    # On a busy machine the other one may seem endless, too: then both are one kernel.
    assert action == "default_configuration" and 0 in groups
    assert "its kernel alone takes more than" in compiled.report.fallbacks[0].reason
    assert compiled.statistics.kernels == (1 if 1 in groups else 2)
    for result in compiled(X, W):
        np.testing.assert_allclose(result, X.reshape(448, 96) @ W, rtol=1e-4, atol=1e-4)


SOFTMAX_GROUP = """
#row = affine_map<(d0, d1, d2) -> (d0, d1)>
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @main(%q: tensor<3x197x64xf32>, %k: tensor<3x64x197xf32>) -> tensor<3x197xf32> {
  %zero = arith.constant 0.0 : f32
  %r = "flow.dispatch.region"() ({
    %e = tensor.empty() : tensor<3x197x197xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x197x197xf32>) -> tensor<3x197x197xf32>
    %qk = linalg.batch_matmul ins(%q, %k : tensor<3x197x64xf32>, tensor<3x64x197xf32>)
      outs(%f : tensor<3x197x197xf32>) -> tensor<3x197x197xf32>
    %e1 = tensor.empty() : tensor<3x197xf32>
    %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<3x197xf32>) -> tensor<3x197xf32>
    %s = linalg.generic {indexing_maps = [#id, #row],
                         iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%qk : tensor<3x197x197xf32>) outs(%f1 : tensor<3x197xf32>) {
    ^bb0(%in: f32, %out: f32):
      %x = math.exp %in : f32
      %y = arith.addf %x, %out : f32
      linalg.yield %y : f32
    } -> tensor<3x197xf32>
    "flow.return"(%s) : (tensor<3x197xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<3x197xf32>
  return %r : tensor<3x197xf32>
}
"""


def test_a_group_that_needs_too_much_shared_memory_on_a_gpu() -> None:
    compiled = compile_lowered(SOFTMAX_GROUP, target="adreno")
    assert ("ungroup", (0,)) in steps(compiled)
    assert "bytes of shared memory; exceeded" in compiled.report.fallbacks[0].reason
    assert compiled.statistics.kernels > 1


def test_a_kernel_without_end_on_a_gpu() -> None:
    limit_s = time_limit_s(program((gather(), None)), "adreno")
    compiled = compile_lowered(program((gather(), 0)), target="adreno", timeout_s=limit_s)
    assert steps(compiled) == [("ungroup", (0,))]


# The last resort: the import itself.


def test_what_no_group_is_to_blame_for_is_compiled_as_imported() -> None:
    failing = program((matmul(HUGE_TILES), None))
    compiled = compile_lowered(failing, plain=program((matmul(""), None)))
    assert steps(compiled) == [("change_level", ()), ("plain_lowering", ())]
    assert [step.level for step in compiled.report.fallbacks] == ["O1", "O3"]
    np.testing.assert_allclose(compiled(X, W), X.reshape(448, 96) @ W, rtol=1e-4, atol=1e-4)


def test_no_attempt_succeeds() -> None:
    with pytest.raises(CompileError, match="large vector sizes"):
        compile_lowered(program((matmul(HUGE_TILES), None)))


def counting(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[[int], CompileError | None]
) -> list[str]:
    """Makes some calls of iree-compile fail by their number; the levels of all calls."""
    levels: list[str] = []
    original = attempts.compile_bytecode

    def compile_bytecode(
        source: Path, target: Target, options: IreeOptions, **others: Any
    ) -> Any:
        levels.append(options.opt_level)
        error = fail(len(levels))
        if error is not None:
            raise error
        return original(source, target, options, **others)

    monkeypatch.setattr(attempts, "compile_bytecode", compile_bytecode)
    return levels


def test_a_crash_is_traced_to_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    crash = CompileError("ended by SIGSEGV", "Stack dump without places", crashed=True)
    levels = counting(monkeypatch, lambda call: crash if call == 1 else None)
    compiled = compile_lowered(program((gather(), 2), (matmul(GOOD_TILES), 3)))
    assert steps(compiled) == [("ungroup", (2,))] and levels == ["O3", "O3"]


@pytest.mark.parametrize("cause", ["crashed", "out_of_memory"])
def test_a_crash_without_a_culprit_gives_up_all_groups(
    monkeypatch: pytest.MonkeyPatch, cause: str
) -> None:
    crash = CompileError("ended by a signal", "Stack dump without places", **{cause: True})
    levels = counting(monkeypatch, lambda call: crash if call == 1 else None)
    compiled = compile_lowered(program((matmul(GOOD_TILES), 3)))
    assert steps(compiled) == [("ungroup_all", ())] and levels == ["O3", "O3"]


def test_wrong_flags_are_not_tried_again(
    mlir_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = counting(monkeypatch, lambda _: None)
    options = CompileOptions(iree_flags=("--iree-llvmcpu-stack-allocation-limit=much",))
    with pytest.raises(CompileError, match="power-of-two"):
        smartmem.compile(mlir_file, target="cpu", options=options)
    assert levels == ["O3"]
