"""Texel buffers and images in the place of buffers: choice, kernels, record, results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import smartmem
from smartmem.backend.device.devices import usable_devices
from smartmem.backend.device.fresh_run import (
    FreshRun,
    has_validation_layer,
    run_fresh,
    same_bits,
)
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import compile_bytecode
from smartmem.backend.module.metadata import decode_metadata, encode_metadata, with_images
from smartmem.backend.module.module_file import ModuleFile
from smartmem.backend.targets.storage import family_of, image_pass, limits_of
from smartmem.backend.targets.targets import device_target, resolve_target
from smartmem.compiler.kernel_stage import KernelStage
from smartmem.errors import InvalidInputError, TargetError
from smartmem.options import CompileOptions
from smartmem.passes import BindImages, BindingRecord
from smartmem.runtime.inputs import random_inputs

CHAIN = """
func.func @main(%a: tensor<37x48xTYPE>, %b: tensor<48x32xTYPE>) -> tensor<37x32xTYPE> {
  %zero = arith.constant 0.0 : TYPE
  %w = arith.constant dense_resource<weights> : tensor<32x32xTYPE>
  %e = tensor.empty() : tensor<37x32xTYPE>
  %f = linalg.fill ins(%zero : TYPE) outs(%e : tensor<37x32xTYPE>) -> tensor<37x32xTYPE>
  %m = linalg.matmul ins(%a, %b : tensor<37x48xTYPE>, tensor<48x32xTYPE>)
                     outs(%f : tensor<37x32xTYPE>) -> tensor<37x32xTYPE>
  %s = linalg.softmax dimension(1) ins(%m : tensor<37x32xTYPE>)
                                   outs(%e : tensor<37x32xTYPE>) -> tensor<37x32xTYPE>
  %r = linalg.matmul ins(%s, %w : tensor<37x32xTYPE>, tensor<32x32xTYPE>)
                     outs(%f : tensor<37x32xTYPE>) -> tensor<37x32xTYPE>
  return %r : tensor<37x32xTYPE>
}
{-#
  dialect_resources: {
    builtin: {
      weights: "0xDATA"
    }
  }
#-}
"""
CONVOLUTION = """
  %ce = tensor.empty() : tensor<1x9x7x12xTYPE>
  %cf = linalg.fill ins(%zero : TYPE) outs(%ce : tensor<1x9x7x12xTYPE>) -> tensor<1x9x7x12xTYPE>
  %c = linalg.conv_2d_nhwc_hwcf
         ins(%x, %k : tensor<1x11x9x8xTYPE>, tensor<3x3x8x12xTYPE>)
         outs(%cf : tensor<1x9x7x12xTYPE>) -> tensor<1x9x7x12xTYPE>
  return %r, %c : tensor<37x32xTYPE>, tensor<1x9x7x12xTYPE>
"""
# The chain with a convolution beside it.
BOTH = (
    CHAIN.replace("%a:", "%x: tensor<1x11x9x8xTYPE>, %k: tensor<3x3x8x12xTYPE>, %a:")
    .replace("-> tensor<37x32xTYPE> {", "-> (tensor<37x32xTYPE>, tensor<1x9x7x12xTYPE>) {")
    .replace("  return %r : tensor<37x32xTYPE>\n", CONVOLUTION)
)
# Each reads what the one before wrote; the third writes where the first has written.
REUSE = """
func.func @main(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %a = linalg.matmul ins(%x, %w : tensor<64x64xf32>, tensor<64x64xf32>)
                     outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %b = linalg.matmul ins(%a, %w : tensor<64x64xf32>, tensor<64x64xf32>)
                     outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %c = linalg.matmul ins(%b, %w : tensor<64x64xf32>, tensor<64x64xf32>)
                     outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  %d = linalg.matmul ins(%c, %w : tensor<64x64xf32>, tensor<64x64xf32>)
                     outs(%f : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %d : tensor<64x64xf32>
}
"""
STORAGES = [
    ("texel_buffer", "buffer"),
    ("texel_buffer", "texel_buffer"),
    ("image2d", "buffer"),
    ("image2d", "image2d"),
]


def model(tmp_path: Path, text: str, dtype: str = "f32") -> Path:
    """A file with ``text``, its element type and its weights filled in."""
    kind = {"f32": np.float32, "f16": np.float16}[dtype]
    weights = np.random.default_rng(3).standard_normal((32, 32)).astype(kind)
    # A blob of a resource begins with its alignment.
    data = (4).to_bytes(4, "little") + weights.tobytes()
    path = tmp_path / "model.mlir"
    path.write_text(text.replace("TYPE", dtype).replace("DATA", data.hex().upper()))
    return path


def test_the_table_says_what_is_read_how():
    assert family_of(resolve_target("adreno")).reads == "texel_buffer"
    assert family_of(resolve_target("adreno-740")).reads == "texel_buffer"
    assert family_of(resolve_target("mali-g715")).reads == "buffer"
    assert family_of(resolve_target("rdna3")).reads == "buffer"
    assert image_pass(resolve_target("valhall4"), "auto", "buffer") is None


@pytest.mark.vulkan
def test_limits_come_from_the_device(tmp_path):
    small = replace(
        usable_devices()[0], max_texel_buffer_elements=1000, max_image_dimension_2d=128
    )
    target = device_target(small)
    chosen = image_pass(target, "texel_buffer", "buffer")
    assert (chosen.max_texels, chosen.max_size) == (1000, 128)
    assert limits_of(resolve_target("adreno")).texel_buffer_elements == 65536


def test_a_cpu_has_no_images(tmp_path):
    cpu = resolve_target("cpu")
    assert image_pass(cpu, "auto", "buffer") is None
    with pytest.raises(TargetError, match="cpu is a CPU, which has buffers only"):
        smartmem.compile(
            model(tmp_path, CHAIN), target=cpu, options=CompileOptions(storage="image2d")
        )


def test_unknown_storages_are_refused():
    with pytest.raises(
        InvalidInputError, match="storage 'texture' is unknown; use one of auto"
    ):
        CompileOptions(storage="texture")
    with pytest.raises(InvalidInputError, match="storage_writes 'auto' is unknown"):
        CompileOptions(storage_writes="auto")


@pytest.mark.parametrize("dtype", ["f32", "f16"])
@pytest.mark.parametrize(("reads", "writes"), STORAGES)
def test_kernels_are_valid_spirv(tmp_path, reads, writes, dtype):
    if shutil.which("spirv-val") is None:
        pytest.skip("no spirv-val; on Debian and Ubuntu: apt-get install spirv-tools")
    folder = tmp_path / "spirv"
    folder.mkdir()
    flags = (f"--iree-hal-dump-executable-binaries-to={folder}",)
    options = CompileOptions(storage=reads, storage_writes=writes, iree_flags=flags)
    compiled = smartmem.compile(model(tmp_path, BOTH, dtype), target="adreno", options=options)
    kinds = {a.storage: a for a in compiled.report.accesses()}
    assert kinds[reads].reads > 0
    assert len({b.kernel for b in compiled.report.bindings if b.storage == reads}) == 4
    left = [b for b in compiled.report.bindings if b.storage == "buffer" and b.reads]
    assert {b.reason for b in left} <= {"it is read and written"}
    written = [b for b in compiled.report.bindings if b.writes and not b.reads]
    assert dtype == "f16" or {b.storage for b in written} <= {writes}
    files = list(folder.glob("*.spv"))
    assert files
    for file in files:
        subprocess.run(["spirv-val", "--target-env", "vulkan1.3", file], check=True)


def test_module_and_report_say_what_is_read_through(tmp_path):
    compiled = smartmem.compile(model(tmp_path, CHAIN), target="adreno")
    accesses = {a.storage: a for a in compiled.report.accesses()}
    metadata = ModuleFile(compiled.path).metadata
    assert metadata.images == {"texel_buffer": accesses["texel_buffer"].reads}
    texels = max(b.texels for b in compiled.report.bindings)
    assert metadata.requirements.max_texel_buffer_elements == texels
    assert "texel_buffer" in str(compiled.report)
    values = json.loads(json.dumps(compiled.report.to_json()))["storage"]
    assert {row["storage"] for row in values["accesses"]} == {"buffer", "texel_buffer"}
    assert all(row["reason"] for row in values["bindings"])
    assert "ImageFetch" in compiled.ir["images"]


def test_compiling_goes_on_from_saved_kernels(tmp_path):
    options = CompileOptions(save_temps=tmp_path / "temps")
    whole = smartmem.compile(model(tmp_path, CHAIN), target="adreno", options=options)
    (saved,) = (tmp_path / "temps").glob("*-images.mlir")
    again = smartmem.compile(saved, target="adreno")
    assert (again.inputs, again.outputs) == (whole.inputs, whole.outputs)
    ours, theirs = again.statistics, whole.statistics
    assert (ours.kernels, ours.copies, ours.fills) == (
        theirs.kernels,
        theirs.copies,
        theirs.fills,
    )
    assert ours.transient_bytes == theirs.transient_bytes
    assert ours.constant_bytes == theirs.constant_bytes
    assert ModuleFile(again.path).metadata == ModuleFile(whole.path).metadata
    with pytest.raises(InvalidInputError, match="kernels for target adreno, not valhall4"):
        smartmem.compile(saved, target="valhall4")
    with pytest.raises(InvalidInputError, match="holds kernels, which come after views"):
        smartmem.compiler.compile.module_at(saved, "views")


def test_emits_the_kernels(cli, tmp_path):
    source = model(tmp_path, CHAIN)
    done = cli("compile", str(source), "-t", "adreno", "--emit", "images")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "model.images.mlir").read_text()
    assert "spirv.ImageFetch" in text
    assert 'weights: "0x' in text
    done = cli("compile", str(source), "-t", "adreno", "--emit", "images", "--elide", "-o", "-")
    assert "spirv.ImageFetch" in done.stdout
    done = cli("compile", str(source), "-t", "rdna3", "--emit", "images")
    assert done.returncode == 1
    assert "there is no stage 'images'; choose a storage" in done.stderr


def test_a_module_with_buffers_says_nothing_of_images(tmp_path):
    options = CompileOptions(storage="buffer")
    compiled = smartmem.compile(model(tmp_path, CHAIN), target="rdna3", options=options)
    assert compiled.report.accesses() == ()
    assert ModuleFile(compiled.path).metadata.images == {}
    assert "images" not in compiled.ir


def test_the_largest_image_becomes_a_requirement():
    target = resolve_target("adreno")
    values = json.loads(encode_metadata(target, (), ()))
    rows = [
        BindingRecord("k", 0, "texel_buffer", 2, 0, 500, 0, 0, ""),
        BindingRecord("k", 1, "image2d", 1, 0, 90, 30, 3, ""),
        BindingRecord("k", 2, "buffer", 0, 4, 0, 0, 0, ""),
    ]
    metadata = decode_metadata(json.dumps(with_images(values, rows)))
    assert metadata.images == {"image2d": 1, "texel_buffer": 2}
    assert metadata.requirements.max_texel_buffer_elements == 500
    assert metadata.requirements.max_image_dimension_2d == 30
    assert with_images(values, rows[2:]) == values


def test_constants_go_through_the_stage_unread(tmp_path):
    """A target without images has the stage, too, if it is asked for: nothing changes."""
    source, cpu = model(tmp_path, CHAIN), resolve_target("cpu")
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape, np.float32) for shape in ((37, 48), (48, 32)))
    results = []
    for number, stage in enumerate((None, KernelStage([BindImages()], CompileOptions(), 8))):
        output = tmp_path / f"{number}.vmfb"
        compile_bytecode(source.read_bytes(), cpu, output=output, kernels=stage)
        results += LoadedModule(output, "cpu", unchecked=True)(a, b)
        assert stage is None or stage.failure is None
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5)


@pytest.mark.fallback
@pytest.mark.parametrize("broken", ["pass", "result"])
def test_a_fault_of_the_pass_leaves_buffers(tmp_path, monkeypatch, broken):
    if broken == "pass":
        monkeypatch.setattr(BindImages, "run", lambda *_: 1 // 0)
    else:
        monkeypatch.setattr(KernelStage, "_rewritten", lambda *_: b"module { not.an_op }")
    compiled = smartmem.compile(model(tmp_path, CHAIN), target="adreno")
    assert [f.action for f in compiled.report.fallbacks] == ["buffers_only"]
    assert compiled.report.accesses() == ()
    assert ModuleFile(compiled.path).metadata.images == {}


@pytest.mark.image_library
@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_results_are_those_of_buffers_bit_by_bit(tmp_path, dtype):
    source = model(tmp_path, BOTH, dtype)
    results = []
    for reads, writes in [("buffer", "buffer"), *STORAGES]:
        options = CompileOptions(storage=reads, storage_writes=writes)
        compiled = smartmem.compile(source, target="vulkan", options=options)
        arrays = random_inputs(compiled.inputs, seed=1)
        results.append(LoadedModule(compiled.path, "vulkan")(*arrays))
    for found in results[1:]:
        assert same_bits(found, results[0])


X, W = np.random.default_rng(0).standard_normal((2, 64, 64), np.float32)


def validated(compiled: smartmem.CompiledModel) -> FreshRun:
    """Two inferences with the validation layer and its synchronization validation."""
    return run_fresh(compiled.path, [X, W], [W, X], validate=True)


needs_validation = pytest.mark.skipif(
    not has_validation_layer(),
    reason="no validation layer; on Debian and Ubuntu: apt-get install vulkan-validationlayers",
)


@pytest.mark.image_library
@needs_validation
def test_kernels_wait_for_memory_that_others_use(tmp_path):
    """No hazard in memory that images and buffers show, and nothing that buffers have not."""
    messages, expected = [], np.linalg.multi_dot([W, *[X] * 4])
    for reads, writes in [("buffer", "buffer"), *STORAGES]:
        options = CompileOptions(storage=reads, storage_writes=writes)
        compiled = smartmem.compile(model(tmp_path, REUSE), target="vulkan", options=options)
        if reads != "buffer":
            written = re.findall(r"wo %\w+\[%c(\d+)", compiled.ir["images"])
            assert len(written) == 4 and written[0] == written[2] != written[1]
        run = validated(compiled)
        assert np.abs(run.outputs[0] - expected).max() < 1e-4 * np.abs(expected).max()
        messages.append(run.messages)
    assert not [name for found in messages for name in found if name.startswith("SYNC")]
    assert all(found <= messages[0] for found in messages)


@pytest.mark.image_library
@needs_validation
def test_a_missing_barrier_is_found(tmp_path):
    """What the layer sees: images that are read before the buffers behind them are written."""
    options = CompileOptions(
        storage="image2d", storage_writes="buffer", save_temps=tmp_path / "temps"
    )
    smartmem.compile(model(tmp_path, REUSE), target="vulkan", options=options)
    (saved,) = (tmp_path / "temps").glob("*-images.mlir")
    lines = saved.read_text().splitlines()
    dispatches = [k for k, line in enumerate(lines) if "stream.cmd.dispatch" in line]
    end = next(k for k in range(dispatches[-1], len(lines)) if lines[k].strip() == "}")
    lines.insert(end + 1, "}")
    lines.insert(dispatches[0], "stream.cmd.concurrent {")
    saved.write_text("\n".join(lines))
    compiled = smartmem.compile(
        saved, target="vulkan", options=replace(options, save_temps=None)
    )
    assert any(m.startswith("SYNC-HAZARD") for m in validated(compiled).messages)
