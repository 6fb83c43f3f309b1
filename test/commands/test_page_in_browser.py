"""The report's page in headless Chromium: what a person clicks, and what is shown then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from smartmem.compiler.compile import CompiledModel
from smartmem.page.page import write_page
from smartmem.report.graphs import Edge

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)
expect = playwright.expect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium: apt-get install chromium", allow_module_level=True)

MANY = 5000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


def opened(browser: Browser, path: Path, theme: Any = "light") -> Page:
    """The page, ready; whatever its script or the network says against it fails the test."""
    page = browser.new_page(viewport={"width": 1400, "height": 1200}, color_scheme=theme)
    page.on("pageerror", lambda error: pytest.fail(f"the page's script failed: {error}"))
    page.on("console", lambda message: pytest.fail(f"the page said {message.text}"))
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]")
    assert [url for url in requested if not url.startswith(("data:", "blob:"))] == [
        path.as_uri()
    ]
    return page


@pytest.fixture(scope="module")
def report(compiled_attention: CompiledModel) -> dict[str, Any]:
    return json.loads(json.dumps(compiled_attention.report.to_json()))


@pytest.fixture(scope="module")
def written(report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    write_page(report, path)
    return path


@pytest.fixture
def page(browser: Browser, written: Path) -> Iterator[Page]:
    found = opened(browser, written)
    yield found
    found.close()


def click(page: Page, side: str, node: int) -> None:
    """Clicks on a node of a graph, where it is drawn."""
    page.evaluate(
        "([side, id]) => { window.smartmem[side].center(`#${id}`); }",
        [side, str(node)],
    )
    place = page.evaluate(
        "([side, id]) => window.smartmem[side].getElementById(id).renderedPosition()",
        [side, str(node)],
    )
    box = page.locator(f"#{side}").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + place["x"], box["y"] + place["y"])
    page.wait_for_selector("#details dl")


def chosen(page: Page, side: str) -> set[int]:
    ids = page.evaluate(f"window.smartmem.{side}.nodes('.chosen').map((node) => node.id())")
    return {int(number) for number in ids}


def test_totals_are_the_reports(page: Page, report: dict[str, Any]) -> None:
    operators = [n for n in report["graphs"]["before"]["nodes"] if n["kind"] == "operator"]
    assert page.locator("[data-total=operators] b").inner_text() == str(len(operators))
    first, last = report["before"]["kernels"]["count"], report["kernels"]["kernels"]
    assert page.locator("[data-total=kernels] b").inner_text() == f"{first} → {last}"
    first, last = (report[s]["operations"]["data_movement"] for s in ("before", "after"))
    assert page.locator("[data-total=movements] b").inner_text() == f"{first} → {last}"
    assert page.locator(".bar div").count() == len(report["stages"])


def test_a_layer_chosen_in_one_graph_is_chosen_everywhere(
    page: Page, report: dict[str, Any]
) -> None:
    before, after = (report["graphs"][side]["nodes"] for side in ("before", "after"))
    matmul = next(node for node in before if node["name"] == "linalg.matmul")
    click(page, "before", matmul["id"])
    same = {n["id"] for n in before if n["layer"] == matmul["layer"]}
    computing = {n["id"] for n in after if matmul["layer"] in n["layers"]}
    assert computing and chosen(page, "before") == same and chosen(page, "after") == computing
    rows = page.locator("#table tr.chosen")
    assert rows.count() == len(same)
    details = page.locator("#details").inner_text()
    assert "linalg.matmul" in details and "computed" in details and "ild_variable" in details
    page.locator("#clear").click()
    assert not chosen(page, "before") and not chosen(page, "after")


def test_a_kernel_tells_its_cost_and_layers(page: Page, report: dict[str, Any]) -> None:
    before, after = (report["graphs"][side]["nodes"] for side in ("before", "after"))
    kernel = next(node for node in after if node["kind"] == "kernel")
    click(page, "after", kernel["id"])
    [cost] = [c for c in report["kernel_costs"] if c["number"] == kernel["number"]]
    details = page.locator("#details").inner_text()
    assert f"kernel {kernel['number']}" in details and f"{cost['flops']:,}" in details
    assert chosen(page, "before") == {n["id"] for n in before if n["layer"] in kernel["layers"]}


def test_an_eliminated_operator_tells_the_row_of_the_table(
    page: Page, report: dict[str, Any]
) -> None:
    fates = report["graphs"]["fates"]
    fate = next(f for f in fates if f["outcome"] == "eliminated" and "->" in f["reasons"][0])
    click(page, "before", fate["operator"])
    assert fate["reasons"][0] in page.locator("#details").inner_text()
    classes = page.evaluate(
        f"window.smartmem.before.getElementById('{fate['operator']}').classes()"
    )
    assert "eliminated" in classes


def test_search_filter_and_sort(page: Page, report: dict[str, Any]) -> None:
    before = report["graphs"]["before"]["nodes"]
    page.locator("#search").fill("matmul")
    names = [n["name"] for n in before if n["kind"] == "operator"]
    matching = [name for name in names if "matmul" in name]
    expect(page.locator("#table tbody tr")).to_have_count(len(matching))
    page.locator("#search").press("Enter")
    assert "linalg.matmul" in page.locator("#details h2").inner_text()
    page.locator("#search").fill("")
    fates = report["graphs"]["fates"]
    eliminated = [f for f in fates if f["outcome"] == "eliminated"]
    page.locator("#filter").select_option("eliminated")
    expect(page.locator("#table tbody tr")).to_have_count(len(eliminated))
    page.locator("#filter").select_option("")
    page.locator("[data-tab=kernels]").click()
    page.locator("th button", has_text="bytes").click()
    page.wait_for_selector("th[aria-sort=descending]")
    costs = {c["number"]: c["bytes"] for c in report["kernel_costs"]}
    numbers = page.locator("#table tbody tr:not(.chosen) td:first-child").all_inner_texts()
    shown = [costs[int(number)] for number in numbers if number.isdigit()]
    assert shown == sorted(shown, reverse=True) and len(shown) > 1


def test_weights_tell_their_packing(page: Page, report: dict[str, Any]) -> None:
    page.locator("[data-tab=weights]").click()
    [packed] = [t for t in report["layouts"] if t["kind"] == "weight"]
    row = page.locator("#table tbody tr", has_text=packed["name"])
    assert packed["reason"] in row.inner_text()
    page.locator("#weights").check()
    visible = page.evaluate("window.smartmem.after.nodes('.weight:visible').length")
    weights = [n for n in report["graphs"]["after"]["nodes"] if n["kind"] == "weight"]
    assert visible == len(weights)


def test_light_and_dark(browser: Browser, written: Path) -> None:
    page = opened(browser, written, "dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.locator("#theme").click()
    light = page.evaluate(colour)
    assert dark == "rgb(20, 22, 26)" and light == "rgb(250, 250, 250)"
    page.close()


def test_thousands_of_operators_can_be_used(
    browser: Browser, compiled_attention: CompiledModel, tmp_path: Path
) -> None:
    known = compiled_attention.report
    sample = known.graph_before.nodes[2]
    nodes = tuple(
        replace(sample, id=n, layer=f"layers.{n}", movement=None, is_constant=False)
        for n in range(MANY)
    )
    edges = tuple(Edge(n, n + 1) for n in range(MANY - 1))
    many = replace(known, graph_before=replace(known.graph_before, nodes=nodes, edges=edges))
    write_page(json.loads(json.dumps(many.to_json())), tmp_path / "many.html")
    page = opened(browser, tmp_path / "many.html")
    assert page.evaluate("window.smartmem.before.nodes().length") == MANY
    page.locator("#search").fill("layers.4321")
    page.locator("#search").press("Enter")
    page.wait_for_selector("#table tr.chosen")
    assert chosen(page, "before") == {4321}
    place = page.evaluate("window.smartmem.before.getElementById('4321').renderedPosition()")
    assert 0 < place["x"] < 700 and 0 < place["y"] < 560
    page.close()
