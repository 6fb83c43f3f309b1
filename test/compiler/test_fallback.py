"""What is tried when iree-compile fails: decisions, without running it."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch_mlir import ir

from smartmem.backend.iree_compile.regions import (
    Group,
    dissolve,
    failed_groups,
    give_up,
    groups_in,
    place_groups,
    use_default_configuration,
)
from smartmem.compiler.fallback import (
    MAX_REPAIRS,
    Attempt,
    Fallback,
    first_attempts,
    following,
    repaired,
    steps,
)
from smartmem.passes.base import group_of, operations

GROUPS = {
    1: Group(1, True, "matmul"),
    2: Group(2, True, "matmul"),
    3: Group(3, False, "softmax"),
    4: Group(4, False, "norm"),
}
LEVELS = ("O3", "O1")


def test_attempts_go_from_all_groups_to_the_import_itself() -> None:
    names = [(a.lowering, a.level) for a in first_attempts(LEVELS, has_groups=True)]
    forms = ("grouped", "ungrouped", "plain")
    assert names == [(form, level) for form in forms for level in LEVELS]
    without = first_attempts(("O2",), has_groups=False)
    assert [(a.lowering, a.level) for a in without] == [("grouped", "O2"), ("plain", "O2")]


def test_a_group_loses_its_configuration_and_then_its_region() -> None:
    start = Attempt("grouped", "O3")
    first = repaired(start, {1: "too large"}, GROUPS)
    assert first is not None
    assert (first.unconfigured, first.dissolved) == ({1, 2}, frozenset()), "2 is like 1"
    assert steps(start, first, {1: "too large"}, "other") == [
        Fallback("default_configuration", (1, 2), "O3", "too large")
    ]
    second = repaired(first, {2: "still too large", 4: "no such vector"}, GROUPS)
    assert second is not None and second.dissolved == {1, 2, 4}
    [step] = steps(first, second, {2: "still too large", 4: "no such vector"}, "other")
    assert step == Fallback("ungroup", (1, 2, 4), "O3", "still too large")
    assert str(step) == "groups 1, 2, 4 left to IREE"
    assert repaired(second, {1: "of its operations now"}, GROUPS) is None


def test_both_kinds_of_repair_in_one_step() -> None:
    start = Attempt("grouped", "O1")
    after = repaired(start, {1: "tiles", 3: "stack"}, GROUPS)
    assert after is not None
    assert [(s.action, s.groups, s.reason) for s in steps(start, after, {3: "stack"}, "?")] == [
        ("default_configuration", (1, 2), "?"),
        ("ungroup", (3,), "stack"),
    ]


def test_what_is_not_repaired() -> None:
    assert repaired(Attempt("grouped", "O3"), {}, GROUPS) is None
    assert repaired(Attempt("grouped", "O3"), {9: "unknown"}, GROUPS) is None
    assert repaired(Attempt("ungrouped", "O3"), {1: "left"}, GROUPS) is None
    often = Attempt("grouped", "O3", repairs=MAX_REPAIRS)
    assert repaired(often, {3: "again"}, GROUPS) is None


def test_a_lower_level_starts_with_all_groups_again() -> None:
    attempts = first_attempts(LEVELS, has_groups=True)
    tried = Attempt("grouped", "O3", frozenset((1,)), frozenset((3,)), 2)
    after = following(tried, attempts, was_silent=False)
    assert after == Attempt("grouped", "O1")
    assert steps(tried, after, {}, "why") == [Fallback("change_level", (), "O1", "why")]


def test_after_a_crash_or_time_out_comes_a_simpler_form() -> None:
    attempts = first_attempts(LEVELS, has_groups=True)
    ungrouped = following(attempts[0], attempts, was_silent=True)
    assert ungrouped == Attempt("ungrouped", "O3")
    plain = following(ungrouped, attempts, was_silent=True)
    assert plain == Attempt("plain", "O3")
    [step] = steps(ungrouped, plain, {}, "stopped")
    assert step.action == "plain_lowering"
    assert following(plain, attempts, was_silent=True) is None
    assert following(plain, attempts, was_silent=False) == Attempt("plain", "O1")
    assert following(Attempt("plain", "O1"), attempts, was_silent=False) is None


# Regions in the IR.

TWO_REGIONS = """
func.func @main(%a: tensor<4xf32>, %b: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = "flow.dispatch.region"() ({
    %s = arith.addf %a, %a {lowering_config = #iree_cpu.lowering_config<x>} : tensor<4xf32>
    "flow.return"(%s) : (tensor<4xf32>) -> ()
  }, {}) {smartmem.kernel = 7} : () -> tensor<4xf32> loc("model.py":3:4)
  %1 = "flow.dispatch.region"() ({
    %t = arith.addf %b, %b {lowering_config = #iree_cpu.lowering_config<x>} : tensor<4xf32>
    "flow.return"(%t) : (tensor<4xf32>) -> ()
  }, {}) : () -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}
"""


@pytest.fixture
def module() -> ir.Module:
    context = ir.Context()
    context.allow_unregistered_dialects = True
    return ir.Module.parse(TWO_REGIONS, context)


def names(module: ir.Module) -> list[str]:
    return [op.name for op in operations(module.operation)]


def save(module: ir.Module, path: Path) -> Path:
    with path.open("wb") as out:
        module.operation.write_bytecode(out)
    return path


def test_groups_have_their_number_or_a_free_one(module: ir.Module, tmp_path: Path) -> None:
    place_groups(module.operation)
    groups = groups_in(save(module, tmp_path / "m.mlirbc"))
    assert sorted(groups) == [0, 7]
    assert groups[0].signature == groups[7].signature, "they compile to the same kernel"
    assert groups[0].configured
    text = module.operation.get_asm(enable_debug_info=True, use_local_scope=True)
    [line] = [line for line in text.splitlines() if "arith.addf %arg0" in line]
    assert group_of(line) == 7
    assert '"model.py":3:4' in text, "the original place is kept"


def test_giving_up_a_group_leaves_the_others(module: ir.Module, tmp_path: Path) -> None:
    place_groups(module.operation)
    source = save(module, tmp_path / "m.mlirbc")
    given_up = tmp_path / "given-up.mlirbc"
    give_up(source, given_up, configuration=[0], region=[])
    assert {n: g.configured for n, g in groups_in(given_up).items()} == {0: False, 7: True}
    give_up(source, given_up, configuration=[], region=[7])
    assert {n: g.configured for n, g in groups_in(given_up).items()} == {0: True}


SUM_OVER_TWO_DIMS = """
#reads = affine_map<(r, p, c) -> (r, p, c)>
#writes = affine_map<(r, p, c) -> (r)>
func.func @main(%x: tensor<4x2x8xf32>, %f: tensor<4xf32>) -> tensor<4xf32> {
  %0 = "flow.dispatch.region"() ({
    %s = linalg.generic {indexing_maps = [#reads, #writes],
        iterator_types = ["parallel", "reduction", "reduction"]}
        ins(%x : tensor<4x2x8xf32>) outs(%f : tensor<4xf32>)
        attrs = {lowering_config = #iree_codegen.lowering_config<x>} {
    ^bb0(%a: f32, %o: f32):
      %t = arith.addf %a, %o : f32
      linalg.yield %t : f32
    } -> tensor<4xf32>
    "flow.return"(%s) : (tensor<4xf32>) -> ()
  }, {}) : () -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
"""


def test_sums_over_several_dims_cannot_do_without_tiles_on_gpus(tmp_path: Path) -> None:
    context = ir.Context()
    context.allow_unregistered_dialects = True
    module = ir.Module.parse(SUM_OVER_TWO_DIMS, context)
    place_groups(module.operation)
    source = save(module, tmp_path / "m.mlirbc")
    assert groups_in(source)[0].configured
    groups = groups_in(source, spirv=True)
    after = repaired(Attempt("grouped", "O3"), {0: "too slow"}, groups)
    assert after is not None and after.dissolved == {0} and not after.unconfigured


def test_dissolving_keeps_the_operations_in_place(module: ir.Module) -> None:
    regions = [op for op in operations(module.operation) if op.name == "flow.dispatch.region"]
    for region in regions:
        use_default_configuration(region)
        dissolve(region)
    assert module.operation.verify()
    assert names(module) == [
        "builtin.module", "func.func", "arith.addf", "arith.addf", "func.return"
    ]  # fmt: skip
    assert "lowering_config" not in str(module)


def test_groups_that_failed_are_read_from_the_log() -> None:
    log = (
        "smartmem.group:7:0: error: 'func.func' op exceeded stack allocation limit\n"
        "model.py:3:1: note: called from\n"
        "smartmem.group:7:0: error: failed to run translation of source executable\n"
        "smartmem.group:2:0: note: see current operation\n"
        "model.py:9:1: error: no such thing\n"
        "smartmem.group:12:0: error: uses 101376 bytes of shared memory\n"
    )
    assert failed_groups(log) == {
        7: "'func.func' op exceeded stack allocation limit",
        12: "uses 101376 bytes of shared memory",
    }
    assert failed_groups("<unknown>:0: error: nothing of a group\n") == {}
