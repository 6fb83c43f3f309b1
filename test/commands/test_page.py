"""The report as a page: what it holds, and what is no report."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smartmem.compiler.compile import CompiledModel
from smartmem.page.page import page, read_report
from smartmem.page.placement import ROW, place

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Json = dict[str, Any]

DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def report(compiled_attention: CompiledModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of ``attention_model`` as a file."""
    path = tmp_path_factory.mktemp("report") / "attention.report.json"
    compiled_attention.report.save(path)
    return path


def data_of(text: str) -> Json:
    found = DATA.search(text)
    assert found is not None
    return json.loads(found[1])


def test_the_page_holds_the_report_and_needs_nothing_else(
    cli: Cli, report: Path, tmp_path: Path
) -> None:
    done = cli("report", report, "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("wrote page.html: ")
    text = (tmp_path / "page.html").read_text()
    told, wanted = data_of(text)["report"], json.loads(report.read_text())
    remarks = told.pop("remarks")
    assert [r["reason"] for r in remarks] == [r["reason"] for r in wanted.pop("remarks")]
    assert told == wanted
    assert "default-src 'none'" in text  # the browser itself refuses to load anything
    assert not re.search(r"<(?:link|img|script)[^>]+(?:src|href)=", text)


def test_each_node_has_a_place(report: Path) -> None:
    data = data_of(page(read_report(report)))
    for side in ("before", "after"):
        graph, places = data["report"]["graphs"][side], data["places"][side]
        assert len(places) == len(graph["nodes"])
        assert len({tuple(point) for point in places}) == len(places)
        for edge in graph["edges"]:
            assert places[edge["source"]][1] < places[edge["target"]][1]


def test_names_cannot_end_the_script(report: Path) -> None:
    values = read_report(report)
    name = "</script><script>alert(1)</script><!--"
    values["graphs"]["before"]["nodes"][1]["layer"] = name
    values["model"] = "<b>x</b>"
    text = page(values)
    assert name not in text and "<b>x" not in text
    assert data_of(text)["report"]["graphs"]["before"]["nodes"][1]["layer"] == name


def test_a_profile_is_shown_as_measured(report: Path) -> None:
    values = read_report(report)
    number = values["kernel_costs"][0]["number"]
    told = data_of(page(values, {number: 0.25, 99999: 1.0}))["report"]["kernel_costs"]
    assert [c["measured_s"] for c in told if c["number"] == number] == [0.25]
    assert len(told) == len(values["kernel_costs"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no JSON", "is no report: not JSON"),
        ("[]", "is no report: it has no schema_version"),
        ('{"schema_version": 1}', "is a report of schema version 1, this SmartMem reads 4"),
        ('{"schema_version": 4}', "is no report: it lacks model, target, graphs"),
        (None, "cannot read bad.json: No such file"),
    ],
)
def test_what_is_no_report_is_refused(
    cli: Cli, tmp_path: Path, content: str | None, told: str
) -> None:
    if content is not None:
        (tmp_path / "bad.json").write_text(content)
    done = cli("report", "bad.json", "-o", "page.html")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ") and told in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_a_damaged_report_is_refused(cli: Cli, report: Path, tmp_path: Path) -> None:
    values = json.loads(report.read_text())
    values["graphs"]["after"]["edges"].append({"source": 10**6, "target": 0})
    del values["graphs"]["before"]["edges"][0]["source"]
    (tmp_path / "bad.json").write_text(json.dumps(values))
    done = cli("report", "bad.json", "-o", "page.html")
    assert done.returncode == 1 and "the report is damaged" in done.stderr
    assert not (tmp_path / "page.html").exists()


def test_another_file_is_not_overwritten(cli: Cli, report: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<!doctype html><p>mine")
    for output in ("mine.html", str(report)):
        done = cli("report", report, "-o", output)
        assert done.returncode == 1 and "name another file" in done.stderr
    assert (tmp_path / "mine.html").read_text() == "<!doctype html><p>mine"


def test_compile_writes_the_page(cli: Cli, mlir_file: Path, tmp_path: Path) -> None:
    done = cli("compile", mlir_file, "-t", "cpu", "--html", "page.html")
    assert done.returncode == 0, done.stderr
    told = data_of((tmp_path / "page.html").read_text())["report"]
    assert told["model"] == mlir_file.name
    outcomes = {f["outcome"] for f in told["graphs"]["fates"]}
    assert outcomes == {"none", "kept", "computed"}  # alone, IREE may still fuse it


def test_a_node_is_drawn_below_what_it_reads() -> None:
    skip = [(0, 1), (1, 2), (2, 3), (0, 3), (4, 3)]
    places = place(5, skip)
    assert [y / ROW for _, y in places] == [0, 1, 2, 3, 2]
    assert len(set(places)) == 5
    assert place(0, []) == []


def test_thousands_of_nodes_are_placed_apart() -> None:
    edges = [(n, n + 1) for n in range(4999)] + [(n, n + 40) for n in range(0, 4900, 3)]
    places = place(5000, edges)
    assert len(set(places)) == 5000
    assert all(places[a][1] < places[b][1] for a, b in edges)
