"""The report and the real optuna-dashboard, opened in headless Chromium; skips where browser or driver is absent."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from rnn_warmstart import recommend
from rnn_warmstart.__main__ import app
from typer.testing import CliRunner

webdriver = pytest.importorskip("selenium.webdriver")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
DASHBOARD = shutil.which("optuna-dashboard", path=str(Path(sys.executable).parent)) or shutil.which("optuna-dashboard")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM or not DRIVER, reason="needs Chromium and chromedriver"),
]
QUESTION = ["--arch", "gru", "--task", "text8", "--params", "1e6", "--n", "3"]
FLAGS = """--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync""".split()
WAIT = 60.0
"""Seconds after which what has not appeared counts as missing."""

UNDRAWN = """
return [...document.querySelectorAll(".plot")].filter((plot) => {
  const shapes = [...plot.querySelectorAll(".cartesianlayer .trace path, .cartesianlayer .trace use")];
  const drawn = shapes.some((shape) => { const box = shape.getBBox(); return box.width + box.height > 0; });
  return plot.dataset.drawn !== "true" || !drawn;
}).map((plot) => plot.id)"""
CUT = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll("h1, h2, p, figcaption, .scroll, footer")].filter((part) => {
  const box = part.getBoundingClientRect();
  return box.left < 0 || box.right > width + 0.5;
}).map((part) => part.textContent.slice(0, 40))"""
SMALL = """
return [...document.querySelectorAll("p, td, th, figcaption, .plot text")].filter(
  (part) => part.textContent.trim() && parseFloat(getComputedStyle(part).fontSize) < arguments[0]
).map((part) => part.textContent.slice(0, 40))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


def open_page(browser, url, width, height=900):
    """Open a page of a screen of that many pixels, with what earlier pages logged forgotten."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(url)


def wait_for(what, found):
    """Return what a function finds, as soon as it finds anything."""
    start = time.monotonic()
    while not (result := found()):
        if time.monotonic() - start > WAIT:
            pytest.fail(f"{what} did not appear")
        time.sleep(0.05)
    return result


def errors(browser):
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requests(browser):
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def text_of(browser):
    return browser.execute_script("return document.body.innerText")


@pytest.fixture(scope="module")
def found():
    return recommend("gru", "text8", 1e6, n=3)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert CliRunner().invoke(app, ["report", *QUESTION, "--out", str(path)]).exit_code == 0
    return path.as_uri()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_draws_every_plot_without_errors_or_network(browser, report, found, width):
    open_page(browser, report, width)
    plots = wait_for("a figure", lambda: browser.execute_script("return document.querySelectorAll('.plot').length"))
    assert plots == 2 + len(found.query.space.dimensions)
    wait_for("every figure", lambda: not browser.execute_script(UNDRAWN))
    assert errors(browser) == []
    asked = requests(browser)
    assert report in asked and {url.split(":")[0] for url in asked} <= {"file", "data", "blob"}


@pytest.mark.parametrize("width", [390, 1280])
def test_the_report_is_readable_and_does_not_scroll_sideways(browser, report, width):
    open_page(browser, report, width)
    wait_for("every figure", lambda: not browser.execute_script(UNDRAWN))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script(CUT) == []
    assert browser.execute_script(SMALL, 10) == []


def test_the_report_shows_the_recommendation(browser, report, found):
    open_page(browser, report, 1280)
    shown = [line.split("\t") for line in text_of(browser).splitlines()]
    for label, *values in found.table().itertuples(name=None):
        assert [label, *values] in shown
    names = browser.execute_script("return [...document.querySelectorAll('[role=img]')].map((x) => x.ariaLabel)")
    assert len(names) > 10 and all(names)


def test_a_script_in_a_text_is_not_run(browser, tmp_path):
    from rnn_warmstart.pages import Page

    evil = (
        "</title></script><script>document.body.id = 'broken'</script><img src=x onerror=\"document.body.id='broken'\">"
    )
    page = Page(evil, evil)
    page.add_text(evil, heading=evil)
    open_page(browser, page.write(tmp_path / "evil.html").as_uri(), 390)
    assert browser.execute_script("return document.body.id") == ""
    assert browser.title == evil and evil in text_of(browser)


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory):
    """The address of an optuna-dashboard that shows a seeded study."""
    if not DASHBOARD:
        pytest.skip("needs optuna-dashboard")
    storage = f"sqlite:///{tmp_path_factory.mktemp('storage') / 'warm.db'}"
    done = CliRunner().invoke(app, ["seed", *QUESTION, "--storage", storage, "--study-name", "gru-text8"])
    assert done.exit_code == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [DASHBOARD, "--host", "127.0.0.1", "--port", str(port), storage]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        url = f"http://127.0.0.1:{port}/dashboard"
        wait_for("the dashboard", lambda: _answers(url) or server.poll() is not None)
        yield url
        server.terminate()


def _answers(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_the_dashboard_shows_what_was_asked_and_when_to_stop(browser, dashboard, found):
    open_page(browser, f"{dashboard}/studies/1", 1280)
    wait_for("the study", lambda: "Study User Attributes" in text_of(browser) and "stop_after" in text_of(browser))
    told = dict(line.split("\t") for line in text_of(browser).splitlines() if line.count("\t") == 1)
    assert told["question"] == "arch=gru, task=text8, params=1000000, n=3, seed=0"
    assert told["stop_after"] == str(found.stop_after)
    assert found.warnings[0] in told["warnings"]
    assert errors(browser) == []


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_dashboard_shows_each_configuration_with_its_evidence(browser, dashboard, found, number):
    open_page(browser, f"{dashboard}/studies/1/trials?numbers={number}", 1280)
    wait_for("the trial", lambda: f"Trial {number} (trial_id=" in text_of(browser) and "evidence" in text_of(browser))
    shown, item = text_of(browser), found[number]
    for name, value in item.hparams.items():
        assert f"{name} {value}" in shown
    assert f"rank {number + 1}" in shown and f"predicted_loss {item.predicted_loss}" in shown
    assert f"interval {json.dumps(list(item.interval))}" in shown
    for rank, run in enumerate(item.evidence, start=1):
        assert f"evidence_{rank} loss {run['eval_loss']:.4g}: {run['architecture']} on {run['task_type']}" in shown
    assert errors(browser) == []
