"""Code for 64-bit Arm: what is in the module, on a machine that cannot run it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

import smartmem

AARCH64 = 183
"""EM_AARCH64 of the ELF specification."""


@pytest.mark.parametrize("cpu", ["", ":cortex-x2"])
def test_a_module_for_arm_holds_code_for_arm(onnx_file: Path, tmp_path: Path, cpu: str) -> None:
    path = tmp_path / "arm.vmfb"
    compiled = smartmem.compile(onnx_file, target=f"cpu:aarch64-none-linux-android30{cpu}")
    compiled.save(path)
    content = path.read_bytes()
    machines = [
        struct.unpack_from("<H", content, match.start() + 18)[0]
        for match in re.finditer(b"\x7fELF\x02\x01\x01", content)
    ]
    assert machines and {*machines} == {AARCH64}
