"""Targets: their names, and the devices of this machine."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest
from phone import PHONE

from smartmem.backend.device import devices
from smartmem.backend.device.devices import VulkanProbe, select_device
from smartmem.backend.targets import targets
from smartmem.backend.targets.cpu import cpu_requirements
from smartmem.backend.targets.gpu_target import requirements_of, target_attribute
from smartmem.backend.targets.targets import (
    VULKAN_NAMES,
    device_target,
    list_targets,
    resolve_target,
)
from smartmem.backend.targets.vectors import AVX512, SPIRV, Vectors
from smartmem.backend.targets.vulkan_device import VulkanDevice
from smartmem.errors import TargetError

SOFTWARE = dataclasses.replace(PHONE, index=1, name="llvmpipe", type="cpu", subgroup_size=8)

OLD = dataclasses.replace(PHONE, index=2, name="Old GPU", api_version=(1, 1, 0))


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine have the given Vulkan devices."""

    def install(*present: VulkanDevice, reason: str | None = None) -> None:
        probe = VulkanProbe(present, reason)
        monkeypatch.setattr(devices, "probe_vulkan", lambda: probe)
        monkeypatch.setattr(targets, "probe_vulkan", lambda: probe)

    return install


@pytest.mark.parametrize("name", VULKAN_NAMES)
def test_every_listed_name_is_known_to_iree(name):
    target = resolve_target(name)
    assert target.kind == "vulkan"
    assert target.requirements.max_workgroup_invocations >= 32


def test_adreno_requirements():
    needs = resolve_target("adreno").requirements
    assert needs.subgroup_size == 64
    assert needs.max_workgroup_size == (1024, 1024, 1024)
    assert needs.max_workgroup_memory_bytes == 32768
    assert {"float16", "int8", "storage16", "subgroup-shuffle"} <= needs.features
    assert not needs.features & {"float64", "int64", "storage8"}


def test_a_target_without_subgroup_operations_asks_for_no_size():
    needs = resolve_target("vp_android_baseline_2022").requirements
    assert needs.subgroup_size is None
    assert not needs.features


def test_the_smallest_choice_of_subgroup_sizes_counts():
    assert resolve_target("rdna3").requirements.subgroup_size == 32


@pytest.mark.parametrize("name", ["adreno-740", "mali-g715", "rtx4090", "sm_86", "Valhall4"])
def test_names_that_iree_knows_but_the_table_does_not_list(name):
    target = resolve_target(name)
    assert target.name == name.lower()
    assert f"--iree-vulkan-target={name.lower()}" in target.iree_flags


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("adrenno", "adreno"),
        ("valhal4", "valhall4"),
        ("cpuu", "cpu"),
        ("cpu:zenver4", "cpu:znver4"),
    ],
)
def test_an_unknown_name_gives_near_matches(name, near):
    with pytest.raises(TargetError, match=rf"unknown target '{name}': did you mean .*{near}"):
        resolve_target(name)


@pytest.mark.parametrize("name", ["", "h100", "--help", "a b", "cpu:foo-bar", "cpu:foo-bar:x"])
def test_unknown_names(name):
    with pytest.raises(TargetError, match="unknown target"):
        resolve_target(name)


def test_the_last_mention_of_a_cpu_feature_counts():
    text = '{cpu_features = "+avx,+avx2,-avx2,+cx16", target_triple = "x86_64-x-y"}'
    assert cpu_requirements(text).cpu_features == {"avx"}


@pytest.mark.parametrize(
    ("name", "vectors"),
    [
        ("cpu:x86-64", Vectors(lanes=4, registers=16)),
        ("cpu:x86-64-v3", Vectors(lanes=8, registers=16)),
        ("cpu:znver4", AVX512),
        ("cpu:aarch64-none-linux-android30:cortex-x2", Vectors(lanes=4, registers=32)),
        ("adreno", SPIRV),
    ],
)
def test_the_vectors_of_a_target(name, vectors):
    assert resolve_target(name).vectors == vectors


def test_iree_reads_a_device_attribute_as_it_was_meant():
    target = device_target(PHONE)
    printed, log = targets._probe(target.iree_flags)
    assert printed is not None, log
    assert requirements_of(printed) == target.requirements
    assert target.requirements.subgroup_size == 128
    assert "integer-dot-product" in target.requirements.features
    assert "float64" not in target.requirements.features


def test_a_device_without_optional_features():
    bare = dataclasses.replace(
        PHONE, features=frozenset({"subgroup-shuffle", "integer-dot-product"})
    )
    attribute = target_attribute(bare)
    assert "compute = fp32|int32," in attribute
    assert "storage = b64|b32," in attribute
    # Shuffles come in two kinds and IREE uses both.
    assert "subgroup = none" in attribute
    assert "dot = none" in attribute


def test_flags_carry_the_limits_of_a_device():
    strict = dataclasses.replace(
        PHONE, min_storage_buffer_offset_alignment=256, max_storage_buffer_range=2**30
    )
    flags = device_target(strict).iree_flags
    assert "--iree-stream-resource-min-offset-alignment=256" in flags
    assert f"--iree-stream-resource-max-allocation-size={2**30}" in flags


def test_vulkan_takes_a_real_device_before_a_software_one(machine):
    machine(SOFTWARE, PHONE, OLD)
    assert resolve_target("vulkan").device == PHONE
    assert resolve_target("auto").device == PHONE
    assert resolve_target("vulkan:1").device == SOFTWARE
    assert resolve_target("vulkan:LLVMpipe").device == SOFTWARE
    listed = [target.name for target in list_targets()]
    assert listed[:3] == ["cpu", "vulkan:1", "vulkan:0"]
    assert "vulkan:2" not in listed


def test_auto_is_cpu_without_a_real_device(machine):
    machine(SOFTWARE)
    assert resolve_target("auto").kind == "cpu"
    machine(reason="none")
    assert resolve_target("auto").kind == "cpu"


def test_no_vulkan_device(machine):
    machine(reason="there is no Vulkan loader; install libvulkan1")
    with pytest.raises(TargetError, match="no Vulkan device: there is no Vulkan loader"):
        resolve_target("vulkan")


@pytest.mark.parametrize("selector", ["7", "nvidia"])
def test_no_such_vulkan_device(machine, selector):
    machine(PHONE)
    with pytest.raises(TargetError, match=r"vulkan:0 is Adreno \(TM\) 740"):
        resolve_target(f"vulkan:{selector}")


def test_a_device_below_the_runtime_baseline(machine):
    machine(OLD)
    with pytest.raises(TargetError, match=r"Vulkan 1\.1\.0, and IREE needs 1\.3"):
        select_device("2")
    with pytest.raises(TargetError, match="no usable Vulkan device"):
        select_device()
    lacking = dataclasses.replace(PHONE, features=frozenset({"timeline-semaphore"}))
    assert lacking.unusable_because.startswith("it lacks scalar-block-layout, synchron")


def test_a_machine_without_a_driver():
    code = "from smartmem.backend.device.devices import probe_vulkan; print(probe_vulkan())"
    missing = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **missing},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("VulkanProbe(devices=(), reason='")


@pytest.mark.vulkan
def test_device_shows_the_limits_of_images(cli):
    values = json.loads(cli("device", "--json").stdout)
    device = devices.usable_devices()[0]
    assert values["max_texel_buffer_elements"] == device.max_texel_buffer_elements
    assert values["max_image_dimension_2d"] == device.max_image_dimension_2d
    assert values["storage"]["reads"] in ("buffer", "texel_buffer")
    text = cli("device", str(device.index)).stdout
    assert (
        f"texels of a texel buffer                 {device.max_texel_buffer_elements}" in text
    )
    assert cli("device", "no-such-device").returncode == 1


def test_a_target_shows_what_auto_storage_does(cli):
    text = cli("targets", "adreno").stdout
    assert "reads through: texel_buffer" in text
    assert "texels of a texel buffer: 65536" in text
