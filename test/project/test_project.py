"""The project's own rules: one pass, one file, one flag, one test."""

from __future__ import annotations

from pathlib import Path

import pytest

from smartmem.passes import PASSES, PIPELINE, Pass
from smartmem.passes.materialize_layouts import MaterializeLayouts
from smartmem.passes.place_computations import PlaceComputations

ROOT = Path(__file__).resolve().parents[2]
NOT_PASSES = {"__init__", "base"}


@pytest.mark.parametrize("pass_", PASSES, ids=lambda p: p.argument)
def test_pass_has_one_name_in_four_spellings(pass_: type[Pass]) -> None:
    name = pass_.argument.removeprefix("smartmem-")
    file = name.replace("-", "_")
    assert (ROOT / "passes" / f"{file}.py").is_file()
    assert (ROOT / "test" / "passes" / f"{name}.mlir").is_file()
    assert pass_.__name__ == "".join(word.capitalize() for word in file.split("_"))
    assert pass_.__module__ == f"smartmem.passes.{file}"


def test_every_file_in_passes_is_a_pass() -> None:
    files = {p.stem for p in (ROOT / "passes").glob("*.py")} - NOT_PASSES
    assert files == {p.argument.removeprefix("smartmem-").replace("-", "_") for p in PASSES}


def test_pipeline_begins_passes_in_the_order_of_the_table() -> None:
    steps = [step for _, steps in PIPELINE for step in steps if not isinstance(step, str)]
    assert list(dict.fromkeys(steps)) == [p for p in PASSES if p in steps]


def test_pipeline_repeats_only_what_others_make_work_for() -> None:
    """The search of formats writes layouts, too; upstream's fusion makes new pairs to fuse."""
    steps = [step for _, steps in PIPELINE for step in steps if not isinstance(step, str)]
    assert {p for p in steps if steps.count(p) > 1} == {MaterializeLayouts, PlaceComputations}
