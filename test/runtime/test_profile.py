"""``smartmem profile``: the kernels' times, joined with layers, bytes and FLOPs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import smartmem
from smartmem.compiler.compile import CompiledModel
from smartmem.errors import BackendError, InvalidInputError, TargetError
from smartmem.options import CompileOptions
from smartmem.profiling.events import Event, profile_module
from smartmem.profiling.profile import DeviceRates, Profile, join, read_times, save, split
from smartmem.profiling.roofline import save_roofline
from smartmem.profiling.session import profile
from smartmem.profiling.text import render
from smartmem.profiling.trace import chrome_trace
from smartmem.runtime.inputs import random_inputs

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

RATES = DeviceRates(flops=1e9, bytes=1e8, launch=1e-6)


@pytest.fixture(scope="module")
def attention(compiled_attention: CompiledModel) -> Profile:
    """A profile of made-up times: each kernel takes 1 ms more than the one before."""
    counts = compiled_attention.report.kernel_counts
    assert counts is not None
    clock, events = 0.0, []
    for run in range(3):
        for place, dispatch in enumerate(counts.runs):
            seconds = 1e-3 * (place + 1) + 1e-6 * run
            events.append(Event(dispatch.kernel, clock, seconds))
            clock += seconds
    return join(
        compiled_attention.report, events, 3, device="a device", inference_s=0.1, rates=RATES
    )


def test_kernels_are_joined_with_what_the_report_knows(
    attention: Profile, compiled_attention: CompiledModel
) -> None:
    report = compiled_attention.report
    assert len(attention.kernels) == report.kernels.kernels
    costs = {cost.number: cost for cost in report.layouts.kernels}
    nodes = {node.number: node for node in report.graph_after.nodes}
    grouped = [kernel for kernel in attention.kernels if kernel.number is not None]
    assert {kernel.number for kernel in grouped} == set(costs)
    for kernel in grouped:
        cost, node = costs[kernel.number or 0], nodes[kernel.number]
        assert (kernel.bytes, kernel.flops) == (cost.bytes, cost.flops)
        assert (kernel.layers, kernel.shape) == (node.layers, node.shape)
    assert all(kernel.layers for kernel in attention.kernels)
    first = attention.kernels[0]
    assert first.seconds == pytest.approx(1e-3 + 1e-6) and first.least_s == 1e-3
    assert first.bound == "memory" and first.attainable_s == first.bytes / 1e8
    assert attention.by_group()[first.number or 0] == first.seconds


def test_a_kernel_is_limited_by_what_takes_longest() -> None:
    assert RATES.attainable(10**6, 10) == (1e-3, "compute")
    assert RATES.attainable(10**6, 10**6) == (1e-2, "memory")
    assert RATES.attainable(None, 10) == (1e-6, "launch")


def test_other_kernels_than_the_models_are_refused() -> None:
    events = [Event(name, 0.0, 1.0) for name in ("load", "a", "b", "a", "b")]
    assert [[e.kernel for e in run] for run in split(events, ["a", "b"], 9)] == [["a", "b"]] * 2
    assert len(split(events, ["a", "b"], 1)) == 1
    for names in (["b", "a"], ["a", "b", "c"], [], ["a"] * 6):
        with pytest.raises(BackendError):
            split(events, names, 2)


def test_table_and_trace_tell_the_same(attention: Profile) -> None:
    text = render(attention)
    assert "Kernels by time" in text and "Rates measured on the device: 1.0 GFLOP/s" in text
    trace = chrome_trace(attention)
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert [span["args"]["kernel"] for span in spans] == [k.kernel for k in attention.kernels]
    assert spans[0]["ts"] == 0 and spans[0]["dur"] == pytest.approx(1000)
    assert spans[1]["ts"] == pytest.approx(1000)
    json.dumps(trace)


def test_the_roofline_is_plotted(attention: Profile, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    save_roofline(attention, tmp_path / "roofline.svg")
    text = (tmp_path / "roofline.svg").read_text()
    assert "<svg" in text and "a device" in text
    with pytest.raises(InvalidInputError, match="no roofline"):
        save_roofline(Profile("m", "t", "d", 1, 1.0, None, (), ()), tmp_path / "no.svg")
    assert not (tmp_path / "no.svg").exists()


def test_times_are_read_back_for_the_page(attention: Profile, tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    save(attention.to_json(), path)
    assert read_times(path, "attention.onnx") == pytest.approx(attention.by_group())
    with pytest.raises(InvalidInputError, match=r"of attention\.onnx, schema"):
        read_times(path, "other.onnx")
    path.write_text("{}")
    with pytest.raises(InvalidInputError, match="no profile"):
        read_times(path, "attention.onnx")
    with pytest.raises(InvalidInputError, match="cannot read"):
        read_times(tmp_path / "none.json", "attention.onnx")


@pytest.mark.vulkan
def test_a_gpu_is_profiled(onnx_file: Path) -> None:
    options = CompileOptions(inspect_kernels="compiled", keep_ir=False)
    compiled = smartmem.compile(onnx_file, target="vulkan", options=options)
    arrays = random_inputs(compiled.inputs)
    found = profile(compiled, arrays, runs=2, with_rates=False, timeout_s=60)
    assert found.runs == 2 and len(found.kernels) == compiled.report.kernels.kernels
    assert all(k.seconds > 0 and k.attained is None for k in found.kernels)


INTEGERS = """\
func.func @main(%a: tensor<4xi64>, %m: tensor<4xi1>) -> tensor<4xi64> {
  %r = arith.addi %a, %a : tensor<4xi64>
  %s = arith.select %m, %r, %a : tensor<4xi1>, tensor<4xi64>
  return %s : tensor<4xi64>
}
"""


def test_integers_and_booleans_are_given_to_the_profiler(tmp_path: Path) -> None:
    path = tmp_path / "integers.mlir"
    path.write_text(INTEGERS)
    compiled = smartmem.compile(path, target="cpu")
    arrays = [np.arange(4), np.array([True, False, True, True])]
    _, events = profile_module(compiled.path, arrays, device="cpu", runs=2, timeout_s=60)
    assert len(events) >= 2
    with pytest.raises(TargetError, match="unknown device"):
        profile_module(compiled.path, arrays, device="tpu", runs=2, timeout_s=60)


def test_the_command_writes_all_files(cli: Cli, onnx_file: Path, tmp_path: Path) -> None:
    names = ("-o", "profile.json", "--trace", "trace.json", "--no-rates", "--runs", "2")
    done = cli("profile", onnx_file, "-t", "cpu", *names)
    assert done.returncode == 0, done.stderr
    assert "Kernels by time" in done.stdout
    told = json.loads((tmp_path / "profile.json").read_text())
    assert told["runs"] == 2 and told["rates"] is None and told["kernels"]
    assert json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    for wrong, said in (
        (("--plot", "a.txt"), "ends with .svg"),
        (("--plot", "a.svg"), "needs the device's rates"),
    ):
        done = cli("profile", onnx_file, "-t", "cpu", "--no-rates", *wrong)
        assert done.returncode == 1 and said in done.stderr
    done = cli("profile", "model.vmfb")
    assert done.returncode == 1 and "is compiled already" in done.stderr
