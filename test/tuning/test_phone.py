"""The record of what phones' compilers make of kernels: it is of today's, and is read as it was.

No such compiler is needed. ``python benchmarks/phone/golden.py`` writes the record again.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "phone"))

from compilers import GPUS, Compiled
from figures import figures_of, totals
from golden import NETWORKS, RECORD, export_network, title_of
from shaders import read_kernel
from turnip_assembly import issue_of

_RECORD: dict[str, Any] = json.loads(RECORD.read_text())
_EXAMPLES = [(gpu, found) for gpu, rows in _RECORD.items() for found in rows["examples"]]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_record_is_of_the_kernels_of_today(network: str, tmp_path: Path) -> None:
    kernels = export_network(network, GPUS["g610"], tmp_path)
    recorded = [row["name"] for row in _RECORD["g610"]["kernels"][network]]
    assert [title_of(kernel.name) for kernel in kernels] == recorded
    assert all((tmp_path / f"{kernel.name}.spv").stat().st_size for kernel in kernels)


@pytest.mark.parametrize(("gpu", "example"), _EXAMPLES)
def test_what_a_driver_says_is_read_as_it_was(gpu: str, example: dict[str, Any]) -> None:
    kernel, compiled = read_kernel(example["kernel"]), Compiled(**example["compiled"])
    found = figures_of(kernel, compiled, GPUS[gpu])
    assert json.loads(json.dumps(asdict(found))) == example["figures"]
    assert totals([found]).dispatches == kernel.dispatches


_LOOP = """\
@const(c4.x)\t0x00000040, 0x00000004, 0x00000000, 0x00000000
mov.u32u32 r0.x, 0
l1:
(rpt1)mad.f32 r1.x, r2.x, r3.x, r1.x
isam (f32)(xyzw)r2.x, r0.x, s#0, t#0
(nop2) add.u r0.x, r0.x, c4.y
cmps.u.ge p0.x, r0.x, c4.x
br !p0.x, #l1
{inside}
end
"""


def test_loops_count_as_often_as_they_run() -> None:
    """From 0 to 64 by 4: 16 rounds, in each a repeated instruction and two delays."""
    issue = issue_of(_LOOP.format(inside="mul.f r1.x, r1.x, r1.x"))
    assert (issue.loops, issue.unknown) == (1, 0)
    assert issue.instructions["fma"] == 32
    assert issue.instructions["texture"] == 16
    assert issue.instructions["nop"] == 32
    assert issue.instructions["float"] == 1


def test_a_loop_of_unknown_length_is_reported() -> None:
    issue = issue_of(_LOOP.format(inside="").replace("c4.x\nbr", "r9.x\nbr"))
    assert (issue.loops, issue.unknown) == (1, 1)
    assert issue.instructions["texture"] == 1


def test_a_refused_kernel_has_no_figures() -> None:
    example = _EXAMPLES[0][1]
    kernel = read_kernel(example["kernel"])
    found = figures_of(
        kernel, Compiled(kernel.name, "signal 11", 1.0, {}, "", ""), GPUS["a740"]
    )
    assert (found.error, found.cycles, found.spilling) == ("signal 11", {}, False)
    assert totals([found]).refused == 1
