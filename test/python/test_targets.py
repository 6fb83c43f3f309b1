"""Targets, device profiles and the comparison of needs with devices."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smartmem.backend import devices, targets
from smartmem.backend.compatibility import cpu_mismatches, vulkan_mismatches
from smartmem.backend.cpu import HostCpu, cpu_requirements, host_cpu
from smartmem.backend.device_file import read_device, write_device
from smartmem.backend.devices import VulkanProbe, probe_vulkan, select_device
from smartmem.backend.gpu_target import requirements_of, target_attribute
from smartmem.backend.requirements import DeviceRequirements
from smartmem.backend.targets import VULKAN_NAMES, device_target, list_targets, resolve_target
from smartmem.backend.vulkan_device import VulkanDevice
from smartmem.errors import TargetError
from smartmem.vectors import AVX512, SPIRV, Vectors

# Not one device but every property a phone's driver reports, in plausible values.
PHONE = VulkanDevice(
    index=0,
    name="Adreno (TM) 740",
    type="integrated",
    vendor_id=0x5143,
    device_id=0x43050A01,
    driver="Qualcomm Technologies Inc. Adreno Vulkan Driver",
    driver_info="Driver Build: abc",
    api_version=(1, 3, 128),
    uuid="00112233445566778899aabbccddeeff",
    subgroup_size=128,
    min_subgroup_size=64,
    max_subgroup_size=128,
    max_workgroup_size=(1024, 1024, 64),
    max_workgroup_invocations=1024,
    max_workgroup_memory_bytes=32768,
    max_workgroup_counts=(65535, 65535, 65535),
    max_texel_buffer_elements=65536,
    max_image_dimension_2d=16384,
    max_storage_buffer_range=2**27,
    max_push_constants_size=256,
    min_texel_buffer_offset_alignment=64,
    min_storage_buffer_offset_alignment=64,
    memory_bytes=2**33,
    features=frozenset(
        {
            "float16",
            "int8",
            "int16",
            "storage16",
            "integer-dot-product",
            "integer-dot-product-accelerated",
            "subgroup-basic",
            "subgroup-arithmetic",
            "subgroup-shuffle",
            "subgroup-shuffle-relative",
            "timeline-semaphore",
            "scalar-block-layout",
            "synchronization2",
        }
    ),
)
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


def test_the_host_fits_its_own_target():
    needs = resolve_target("cpu").requirements
    assert needs.cpu_architecture == host_cpu().architecture
    assert cpu_mismatches(needs, host_cpu()) == []


def test_a_cpu_of_another_architecture():
    target = resolve_target("cpu:aarch64-none-linux-android30:cortex-x2")
    assert target.requirements.cpu_architecture == "aarch64"
    assert {"neon", "sve2"} <= target.requirements.cpu_features
    host = HostCpu("x86_64", frozenset({"avx2"}))
    assert cpu_mismatches(target.requirements, host) == [
        "it needs aarch64, this machine is x86_64"
    ]


def test_a_cpu_that_lacks_an_extension():
    needs = resolve_target("cpu:x86_64-unknown-linux-gnu:x86-64-v3").requirements
    has = HostCpu("x86_64", needs.cpu_features - {"fma"})
    assert cpu_mismatches(needs, has) == ["it needs fma"]
    assert cpu_mismatches(needs, HostCpu("x86_64", needs.cpu_features)) == []
    assert cpu_mismatches(needs, HostCpu("x86_64", None)) == []


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
    code = "from smartmem.backend.devices import probe_vulkan; print(probe_vulkan())"
    missing = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **missing},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("VulkanProbe(devices=(), reason='")


def test_a_target_file_brings_the_device_back(tmp_path):
    path = tmp_path / "phone.json"
    write_device(PHONE, path)
    assert read_device(path) == PHONE
    target = resolve_target(str(path))
    assert target.name == "phone"
    assert target.iree_flags == device_target(PHONE).iree_flags
    assert resolve_target(path) == target


# As vulkan.gpuinfo.org writes it: members in the structures of their extensions.
PROFILE = {
    "$schema": "https://schema.khronos.org/vulkan/profiles-latest.json#",
    "capabilities": {
        "device": {
            "extensions": {"VK_KHR_cooperative_matrix": 1},
            "features": {
                "VkPhysicalDeviceFeatures": {"shaderInt16": True, "shaderFloat64": False},
                "VkPhysicalDeviceVulkan12Features": {"shaderFloat16": True},
                "VkPhysicalDevice16BitStorageFeaturesKHR": {"storageBuffer16BitAccess": True},
            },
            "properties": {
                "VkPhysicalDeviceProperties": {
                    "deviceName": "Mali-G715",
                    "deviceType": "VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU",
                    "vendorID": 5045,
                    "limits": {
                        "maxComputeWorkGroupSize": [1024, 1024, 1024],
                        "maxComputeWorkGroupInvocations": 1024,
                        "maxComputeSharedMemorySize": 32768,
                        "maxComputeWorkGroupCount": [4294967295, 65535, 65535],
                        "maxTexelBufferElements": 65536,
                        "maxImageDimension2D": 16383,
                        "maxStorageBufferRange": 4294967295,
                        "maxPushConstantsSize": 256,
                        "minTexelBufferOffsetAlignment": 64,
                        "minStorageBufferOffsetAlignment": 64,
                    },
                },
                "VkPhysicalDeviceSubgroupProperties": {
                    "subgroupSize": 16,
                    "supportedStages": ["VK_SHADER_STAGE_COMPUTE_BIT"],
                    "supportedOperations": [
                        "VK_SUBGROUP_FEATURE_BASIC_BIT",
                        "VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT",
                    ],
                },
            },
        }
    },
    "profiles": {"VP_X": {"api-version": "1.3.230", "label": "Mali", "version": 1}},
}


def test_a_vulkan_profile_is_a_target_file(tmp_path):
    path = tmp_path / "mali.json"
    path.write_text(json.dumps(PROFILE))
    target = resolve_target(path)
    device = target.device
    assert (device.name, device.type) == ("Mali-G715", "integrated")
    assert (device.subgroup_size, device.max_subgroup_size) == (16, 16)
    assert device.max_workgroup_counts == (2**31 - 1, 65535, 65535)
    assert device.features == {
        "int16",
        "float16",
        "storage16",
        "cooperative-matrix",
        "subgroup-basic",
        "subgroup-shuffle-relative",
    }
    assert 'arch = "arm-mali"' in target.iree_flags[0]
    assert targets._probe(target.iree_flags)[0] is not None


def test_a_vulkan_profile_that_lacks_a_property(tmp_path):
    profile = json.loads(json.dumps(PROFILE))
    del profile["capabilities"]["device"]["properties"]["VkPhysicalDeviceSubgroupProperties"]
    path = tmp_path / "mali.json"
    path.write_text(json.dumps(profile))
    with pytest.raises(TargetError, match="the profile does not tell subgroupSize"):
        resolve_target(path)


def test_vulkaninfo_and_the_probe_tell_the_same(tmp_path):
    vulkaninfo = shutil.which("vulkaninfo")
    present = probe_vulkan().devices
    if vulkaninfo is None or not present:
        pytest.skip("vulkaninfo or a Vulkan device is missing")
    subprocess.run([vulkaninfo, "--json"], cwd=tmp_path, capture_output=True, check=True)
    (path,) = tmp_path.glob("*.json")
    read = dataclasses.replace(read_device(path), memory_bytes=present[0].memory_bytes)
    assert read == present[0]


def _broken(**changes: object) -> str:
    values = {**PHONE.to_json(), **changes}
    device = {key: value for key, value in values.items() if value is not None}
    return json.dumps({"schema_version": 1, "device": device})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Expecting value"),
        ("[]", "no schema_version"),
        ('{"schema_version": 9, "device": {}}', "schema_version is 9"),
        ('{"schema_version": 1}', "no device"),
        (_broken(subgroup_size=None), "'subgroup_size' is missing"),
        (_broken(subgroup_size="64"), "'subgroup_size' has the value '64'"),
        (_broken(subgroup_size=True), "'subgroup_size' has the value True"),
        (_broken(max_workgroup_size=[1, 2]), "'max_workgroup_size' has the value"),
        (_broken(features="float16"), "'features' has the value"),
        (_broken(color="red"), "unknown device property 'color'"),
        ("\ud800".encode("utf-8", "surrogatepass"), "codec can't decode"),
    ],
)
def test_broken_target_files(tmp_path, content, message):
    path = tmp_path / "phone.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(TargetError, match=message) as caught:
        resolve_target(path)
    assert "smartmem targets --save" in str(caught.value)


def test_a_missing_target_file():
    with pytest.raises(TargetError, match=r"cannot read target file .*No such file"):
        resolve_target(Path("/nonexistent/phone.json"))


@pytest.mark.parametrize(
    ("needs", "message"),
    [
        (DeviceRequirements(subgroup_size=64), "subgroups of 64, the device runs 128"),
        (DeviceRequirements(features=frozenset({"float64"})), "it needs float64"),
        (DeviceRequirements(max_workgroup_invocations=2048), "2048 threads in a workgroup"),
        (DeviceRequirements(max_workgroup_memory_bytes=65536), "65536 bytes of workgroup mem"),
        (DeviceRequirements(max_workgroup_size=(1, 1, 128)), "128 threads in z, the device"),
    ],
)
def test_each_kind_of_mismatch(needs, message):
    (reason,) = vulkan_mismatches(needs, PHONE)
    assert message in reason


def test_a_device_that_fits():
    needs = DeviceRequirements(
        subgroup_size=128,
        max_workgroup_size=(1024, 1024, 64),
        max_workgroup_invocations=1024,
        max_workgroup_memory_bytes=32768,
        features=frozenset({"float16", "subgroup-arithmetic"}),
    )
    assert vulkan_mismatches(needs, PHONE) == []
    assert vulkan_mismatches(DeviceRequirements(), PHONE) == []


def test_requirements_survive_json():
    for name in ("cpu", "adreno", "vp_android_baseline_2022"):
        needs = resolve_target(name).requirements
        assert DeviceRequirements.from_json(json.loads(json.dumps(needs.to_json()))) == needs


@pytest.mark.skipif(not devices.usable_devices(), reason="no Vulkan device")
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
