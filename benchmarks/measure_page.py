"""How long the page of a report takes to open in headless Chromium, and how large it is.

smartmem compile model.onnx --report model.report.json
python benchmarks/measure_page.py model.report.json --picture model.png
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from smartmem.page.page import read_report, write_page

_READY_MS = 120_000


def main() -> None:
    """Prints operators, bytes, and the median and least seconds until the page can be used."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--picture", type=Path, help="save what is shown as PNG")
    parser.add_argument(
        "--choose", default="", help="part of a layer to choose for the picture"
    )
    parser.add_argument("--dark", action="store_true")
    arguments = parser.parse_args()
    report = read_report(arguments.report)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder, "page.html")
        write_page(report, path)
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox"],
        )
        seconds = [opened(browser, path, arguments.dark)[1] for _ in range(arguments.runs)]
        operators = sum(n["kind"] == "operator" for n in report["graphs"]["before"]["nodes"])
        print(
            f"{operators} operators, {path.stat().st_size / 1e6:.1f} MB, opens in "
            f"{statistics.median(seconds):.2f} s (median of {arguments.runs}; least "
            f"{min(seconds):.2f} s)"
        )
        if arguments.picture is not None:
            page, _ = opened(browser, path, arguments.dark)
            page.locator("#search").fill(arguments.choose)
            page.locator("#search").press("Enter")
            page.locator("#search").fill("")
            page.wait_for_timeout(500)
            page.screenshot(path=arguments.picture)
        browser.close()


def opened(browser: Browser, path: Path, dark: bool) -> tuple[Page, float]:
    """The page, and the seconds until it could be used."""
    page = browser.new_page(
        viewport={"width": 1500, "height": 1150}, color_scheme="dark" if dark else "light"
    )
    start = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready]", timeout=_READY_MS)
    return page, time.perf_counter() - start


if __name__ == "__main__":
    main()
