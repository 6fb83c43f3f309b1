"""Device profiles: written and read again, of Vulkan's own form, and broken."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from phone import PHONE

from smartmem.backend.device.devices import probe_vulkan
from smartmem.backend.targets import targets
from smartmem.backend.targets.device_file import read_device, write_device
from smartmem.backend.targets.targets import device_target, resolve_target
from smartmem.errors import TargetError


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
