"""Refusing what is no module, and what would go wrong on the device."""

from __future__ import annotations

import dataclasses
import random
import subprocess

import numpy as np
import pytest
from row_sums import F32, SUM, SUM_INPUTS, SUM_OUTPUTS, build, build_plain, doubling

from smartmem.backend.device import hal, placement
from smartmem.backend.device.devices import probe_vulkan, usable_devices
from smartmem.backend.device.runtime import LoadedModule
from smartmem.backend.iree_compile.compile import target_flags
from smartmem.backend.iree_compile.tool import DEFAULTS, iree_compile_path
from smartmem.backend.module.archive import damage
from smartmem.backend.module.module_file import ModuleFile
from smartmem.backend.module.spirv import shader_use
from smartmem.backend.targets.targets import resolve_target
from smartmem.errors import InvalidInputError, TargetError, UnsupportedError
from smartmem.tensor_spec import TensorSpec


@pytest.mark.parametrize("kept", [0, 3, 64, 500, 3000, -200, -1])
def test_truncated_modules(sum_path, tmp_path, kept):
    path = tmp_path / "cut.vmfb"
    path.write_bytes(sum_path.read_bytes()[:kept])
    with pytest.raises(InvalidInputError, match=r"cut\.vmfb is (not a compiled|damaged)"):
        LoadedModule(path)
    with pytest.raises(InvalidInputError, match=r"the module is (not a compiled|damaged)"):
        LoadedModule(path.read_bytes())


def test_files_that_are_no_modules(tmp_path):
    path = tmp_path / "model.mlir"
    path.write_text(SUM)
    with pytest.raises(InvalidInputError, match=r"model\.mlir is not a compiled module"):
        LoadedModule(path)
    with pytest.raises(InvalidInputError, match=r"cannot read .*none\.vmfb: No such file"):
        LoadedModule(tmp_path / "none.vmfb")
    with pytest.raises(InvalidInputError, match=r"cannot read .*: Is a directory"):
        LoadedModule(tmp_path)


def test_a_damaged_bytecode(sum_path):
    content = bytearray(sum_path.read_bytes())
    start = content.rfind(b"hal.fence.await")
    content[start - 400 : start + 400] = bytes(800)
    with pytest.raises(InvalidInputError, match=r"not a compiled module|damaged"):
        LoadedModule(bytes(content))


def test_every_bit_of_a_module_counts(sum_path):
    """Also those outside of what the archive's checksums cover."""
    content = sum_path.read_bytes()
    assert damage(content) is None
    outside = [*range(200), *range(len(content) - 500, len(content))]
    inside = random.Random(0).sample(range(len(content)), 200)
    for position in (*outside, *inside):
        for bit in (position % 8, (position + 3) % 8):
            changed = bytearray(content)
            changed[position] ^= 1 << bit
            assert damage(bytes(changed)), (position, bit)
    assert damage(content + b"\0")
    assert damage(content[:64] + content)


@pytest.mark.parametrize("command", ["run", "benchmark", "info", "bundle"])
def test_a_damaged_module_is_not_run(sum_path, tmp_path, cli, command):
    content = bytearray(sum_path.read_bytes())
    content[content.rfind(b"\x7fELF") + 0x700] ^= 4  # in the code, which nothing verifies
    path = tmp_path / "flipped.vmfb"
    path.write_bytes(content)
    with pytest.raises(InvalidInputError, match=r"is damaged: the checksum of bytes \d+ to"):
        LoadedModule(path)
    done = cli(command, path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert {file.name for file in tmp_path.iterdir()} == {"flipped.vmfb"}


def test_modules_that_others_wrote_are_read(tmp_path, rows):
    """IREE's own tool, to a file, through a pipe, and without the archive around the module."""
    source = tmp_path / "sum.mlir"
    source.write_text(SUM)
    tool = str(iree_compile_path())
    flags = [*target_flags(resolve_target("cpu"), DEFAULTS)]
    plain = tmp_path / "plain.vmfb"
    bare = "--iree-vm-emit-polyglot-zip=false"
    subprocess.run([tool, source, *flags, bare, "-o", plain], check=True)
    piped = subprocess.run([tool, source, *flags, "-o", "-"], check=True, capture_output=True)
    assert piped.stdout.startswith(b"PK") and not plain.read_bytes().startswith(b"PK")
    for module in (piped.stdout, plain):
        (sums,) = LoadedModule(module)(rows)
        np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_a_module_with_dynamic_shapes(tmp_path):
    text = "func.func @main(%a: tensor<?xf32>) -> tensor<?xf32> { return %a : tensor<?xf32> }"
    with pytest.raises(UnsupportedError, match="not tensors of fixed shape"):
        LoadedModule(build_plain(tmp_path, text, "cpu"))


def test_another_kind_of_device_is_refused(sum_path):
    with pytest.raises(TargetError, match="for target cpu and cannot run on vulkan; compile"):
        LoadedModule(sum_path, "vulkan")


@pytest.mark.parametrize("device", ["gpu", "cpu:1", "auto:0", ""])
def test_unknown_devices(sum_path, device):
    with pytest.raises(TargetError, match="unknown device"):
        LoadedModule(sum_path, device)


def test_a_cpu_that_lacks_an_extension_is_refused(tmp_path):
    host = resolve_target("cpu")
    needs = dataclasses.replace(host.requirements, cpu_features=frozenset({"avx9999"}))
    path = build(
        tmp_path, SUM, dataclasses.replace(host, requirements=needs), SUM_INPUTS, SUM_OUTPUTS
    )
    if placement.host_cpu().features is None:
        pytest.skip("this system does not tell its processor's extensions")
    with pytest.raises(TargetError, match=r"does not fit this machine's processor: .*avx9999"):
        LoadedModule(path)


def test_code_for_another_architecture_is_refused(tmp_path):
    triple = "x86_64" if placement.host_cpu().architecture == "aarch64" else "aarch64"
    target = f"cpu:{triple}-none-linux"
    path = build(tmp_path, SUM, target, SUM_INPUTS, SUM_OUTPUTS)
    with pytest.raises(TargetError, match=f"it needs {triple}, this machine is"):
        LoadedModule(path)
    with pytest.raises(TargetError, match="does not load on"):
        LoadedModule(path, unchecked=True)


@pytest.mark.vulkan
def test_another_subgroup_size_is_refused_because_it_computes_garbage(adreno_path, rows):
    if any(device.subgroup_size == 64 for device in usable_devices()):
        pytest.skip("a device here has subgroups of 64, as the target")
    with pytest.raises(TargetError) as caught:
        LoadedModule(adreno_path)
    told = str(caught.value)
    assert "was compiled for target adreno, which fits no Vulkan device here" in told
    assert "it needs subgroups of 64, the device runs" in told
    assert told.endswith("compile it for target vulkan")
    (sums,) = LoadedModule(adreno_path, unchecked=True)(rows)
    assert not np.allclose(sums, rows.sum(axis=1), rtol=0.1)


@pytest.mark.vulkan
def test_an_undescribed_vulkan_module_is_refused(tmp_path, rows):
    path = build_plain(tmp_path, SUM, "vulkan")
    with pytest.raises(TargetError, match="does not say what it needs of a Vulkan device"):
        LoadedModule(path)
    (sums,) = LoadedModule(path, unchecked=True)(rows)
    np.testing.assert_allclose(sums, rows.sum(axis=1), rtol=1e-4, atol=1e-4)


def test_no_vulkan_device(adreno_path, monkeypatch):
    monkeypatch.setattr(
        "smartmem.backend.device.devices.probe_vulkan",
        lambda: dataclasses.replace(probe_vulkan(), devices=(), reason="none is installed"),
    )
    with pytest.raises(TargetError, match="no Vulkan device: none is installed"):
        LoadedModule(adreno_path)


@pytest.mark.vulkan
def test_the_device_is_asked_for_what_the_shaders_use(adreno_path, tmp_path):
    """A target allows more than a model uses; only what is used can be missing."""
    small = dataclasses.replace(
        usable_devices()[0],
        subgroup_size=64,
        max_workgroup_memory_bytes=4096,
        features=frozenset({"subgroup-basic", "subgroup-arithmetic"}),
    )
    assert placement._mismatches(ModuleFile(adreno_path), small) == []
    specs = [TensorSpec("x", (8, 64), np.dtype(np.float16))]
    halves = build(tmp_path, doubling("f16", (8, 64)), "adreno", specs, specs)
    assert placement._mismatches(ModuleFile(halves), small) == [
        "it needs float16",
        "it needs storage16",
    ]


def test_what_shaders_use(adreno_path, sum_path, tmp_path):
    use = shader_use(adreno_path.read_bytes())
    assert use.shaders == 1
    assert use.features == {"subgroup-basic", "subgroup-arithmetic"}
    assert use.workgroup_size == (64, 1, 1)
    assert use.workgroup_invocations == 64
    assert shader_use(sum_path.read_bytes()).shaders == 0
    long = SUM.replace("16x256", "16x65536")
    wide = shader_use(build_plain(tmp_path, long, "adreno").read_bytes())
    assert wide.workgroup_invocations > 64
    # One partial sum per subgroup.
    assert wide.workgroup_memory_bytes >= 4 * wide.workgroup_invocations // 64


@pytest.mark.parametrize("cut", [4, 40, 400])
def test_damaged_shaders_are_not_read_past_their_end(adreno_path, cut):
    content = adreno_path.read_bytes()
    start = content.find(b"\x03\x02\x23\x07")
    assert start > 0
    assert shader_use(content[: start + cut]).shaders == 0


class _FullDevice:
    """A device whose allocator has nothing left."""

    @property
    def allocator(self):
        return self

    def allocate_buffer_copy(self, **_):
        raise RuntimeError("allocator.c:12: RESOURCE_EXHAUSTED; out of device memory\n stack")


def test_a_device_without_memory():
    with pytest.raises(TargetError, match="64 bytes does not go to the device: RESOURCE_EXH"):
        hal.upload(_FullDevice(), np.zeros(16, F32))
