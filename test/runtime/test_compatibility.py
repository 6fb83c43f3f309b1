"""Needs of a module against what a device has."""

from __future__ import annotations

import json

import pytest
from phone import PHONE

from smartmem.backend.device.compatibility import cpu_mismatches, vulkan_mismatches
from smartmem.backend.targets.cpu import HostCpu, host_cpu
from smartmem.backend.targets.requirements import DeviceRequirements
from smartmem.backend.targets.targets import resolve_target


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
