"""The report in a real browser: it loads without errors, its figures show, and its table filters and sorts."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

pytestmark = pytest.mark.browser
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
]
ERRORS = """
window.problems = [];
addEventListener("error", (event) => window.problems.push(event.message || event.target.outerHTML), true);
addEventListener("unhandledrejection", (event) => window.problems.push(String(event.reason)));
const said = console.error;
console.error = (...words) => { window.problems.push(words.join(" ")); said(...words); };
"""
FILTER = """
const box = document.querySelector("#cell-table_wrapper .dt-search input");
box.value = arguments[0];
box.dispatchEvent(new Event("input"));
return [...document.querySelectorAll("#cell-table tbody tr")].map((row) => [...row.cells].map((c) => c.textContent));
"""
SORT = """
const [order, done] = arguments;
const head = document.querySelectorAll("#cell-table thead th")[4];
const values = () => [...document.querySelectorAll("#cell-table tbody tr")].map((row) => +row.cells[4].textContent);
const sorted = () => head.getAttribute("aria-sort") === order ? done(values()) : setTimeout(sorted, 20);
head.click();
sorted();
"""
READY = """
const done = arguments[0];
const ready = () => document.querySelector("#cell-table[data-ready]") ? done(true) : setTimeout(ready, 20);
setTimeout(() => done(false), 20000);
ready();
"""
INFO = "return document.querySelector('#cell-table_wrapper .dt-info').textContent"
Run = Callable[..., Any]


def call(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a WebDriver session of a headless Chromium."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if not (driver and browser):
        if os.environ.get("NML_BROWSER") == "required":
            pytest.fail("NML_BROWSER=required, but chromium and chromedriver are not both installed")
        pytest.skip("chromium and chromedriver are not both installed: the page is not looked at in a browser")
    process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        lines = iter(process.stdout.readline, "")
        port = next(line.split()[-1].strip(".") for line in lines if "started successfully on port" in line)
        flags = [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]
        options = {"binary": browser, "args": flags}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        address = f"http://127.0.0.1:{port}/session"
        address = f"{address}/{call(address, wanted)['sessionId']}"
        yield address
        call(address, method="DELETE")
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def run(session: str, report: Path) -> Run:
    """Open the report, watching for errors, and return what runs JavaScript in it."""
    watch = {"cmd": "Page.addScriptToEvaluateOnNewDocument", "params": {"source": ERRORS}}
    call(f"{session}/goog/cdp/execute", watch)
    call(f"{session}/url", {"url": report.resolve().as_uri()})
    assert call(f"{session}/execute/async", {"script": READY, "args": []}), "the table of cells did not get ready"
    return lambda script, *values: call(f"{session}/execute/sync", {"script": script, "args": list(values)})


def test_it_loads_without_errors_and_its_figures_show(run):
    assert run("return window.problems") == []
    shown = run("return [...document.images].map((image) => image.complete && image.naturalWidth > 300)")
    assert len(shown) > 5 and all(shown)
    loaded = run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert [name for name in loaded if not name.startswith(("data:", "blob:"))] == []


def test_the_filter_filters(run):
    rows = run(FILTER, "resnet-mini/symmetric-20 NMTUNE task-03")
    assert [row[:3] for row in rows] == [["emoji/resnet-mini/symmetric-20/s0", "task-03", "nmtune"]]
    command = "snakemake --cores 1 --force results/cells/emoji/resnet-mini/symmetric-20/s0/task-03/nmtune.parquet"
    assert rows[0][3] == "done" and rows[0][7:] == ["metadata", command]
    link = run("return document.querySelector('#cell-table tbody a').href")
    assert link.endswith("results/cells/emoji/resnet-mini/symmetric-20/s0/task-03/nmtune.meta.json")
    assert run(INFO).startswith("1 to 1 of 1 cells")
    assert [row[0] for row in run(FILTER, "no such cell")] == ["No matching records found"]
    assert len(run(FILTER, "")) == 25 and run(INFO) == "1 to 25 of 720 cells"


def test_a_click_on_a_heading_sorts(session, run):
    run(FILTER, "lp task-")
    script = {"script": SORT, "args": ["ascending"]}, {"script": SORT, "args": ["descending"]}
    up, down = (call(f"{session}/execute/async", one) for one in script)
    assert len(up) == len(down) == 25
    assert up == sorted(up) and down == sorted(down, reverse=True) and up[0] < down[0]


def test_a_small_screen_scrolls_tables_and_not_the_page(session, run):
    metrics = {"width": 380, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    call(f"{session}/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
    # The window itself grows with what is too wide.
    assert run("return document.documentElement.scrollWidth") == 380
