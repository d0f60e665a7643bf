"""Pages, the report on one, and the commands report and seed, with the shipped models. In a browser: test_browser."""

from __future__ import annotations

import base64
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart import recommend, warm_study
from rnn_warmstart.__main__ import app
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.pages import Page
from rnn_warmstart.pages.report import make_report
from rnn_warmstart.pages.sensitivity import trace_curves
from rnn_warmstart.pages.style import COLOURS
from rnn_warmstart.surrogate.library import get_surrogate
from typer.testing import CliRunner

optuna.logging.set_verbosity(optuna.logging.ERROR)

QUERY = {"arch": "gru", "task": "rcf", "params": 1e4}
ARGUMENTS = ["--arch", "gru", "--task", "rcf", "--params", "1e4", "--depth", "2"]
EVIL = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;\""


class Reader(HTMLParser):
    """What a browser would see: elements with their attributes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._scripts = False
        self.scripts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._scripts = tag in ("script", "style")

    def handle_endtag(self, tag):
        self._scripts = False

    def handle_data(self, data):
        (self.scripts if self._scripts else self.texts).append(data)

    def all(self, tag, **having):
        return [attrs for name, attrs in self.elements if name == tag and having.items() <= attrs.items()]


def read_figures(text: str) -> list[dict]:
    """Return the figures' JSON, numbers as arrays."""
    found = re.findall(r'<script type="application/json" id="figure-\d+-data">(.*?)</script>', text, re.DOTALL)
    return [decode(json.loads(item)) for item in found]


def decode(value):
    if isinstance(value, dict) and set(value) >= {"dtype", "bdata"}:
        return np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"])
    if isinstance(value, dict):
        return {name: decode(item) for name, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def found():
    return recommend(**QUERY)


@pytest.fixture(scope="module")
def report(found):
    return make_report(found).to_html()


def line():
    return go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="a line"))


def filled(text):
    page = Page(text, text)
    page.add_text(text, heading=text)
    page.add_warning(text)
    page.add_table(pd.DataFrame({text: [text], "other": [text]}), text)
    return page


texts = st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(str.strip)


@given(texts)
@settings(deadline=None)
def test_whatever_is_given_is_text(text):
    seen, plain = Reader(filled(text).to_html()), Reader(filled("x").to_html())
    assert [tag for tag, _ in seen.elements] == [tag for tag, _ in plain.elements]
    assert "".join(seen.texts).count(text) >= 8


def test_a_figure_cannot_leave_its_script():
    page = Page("t")
    figure = line().update_layout(title=EVIL)
    page.add_figure(figure, EVIL, EVIL)
    seen = Reader(page.to_html())
    assert not seen.all("img") and len(seen.all("script")) == 3
    assert seen.all("div", role="img")[0]["aria-label"] == EVIL
    (read,) = read_figures(page.to_html())
    assert read["layout"]["title"]["text"] == EVIL


def test_a_page_asks_no_network(report):
    seen = Reader(report)
    (policy,) = [item["content"] for item in seen.all("meta") if item.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "connect-src" not in policy
    assert "http" not in policy
    for _, attributes in seen.elements:
        assert not {"src", "srcset", "background", "action"} & set(attributes)
        assert attributes.get("href", "data:,").startswith("data:")
    assert not re.search(r"@import|url\(", "".join(script for script in seen.scripts if len(script) < 100_000))


def test_plotly_is_inlined_once_and_only_for_figures(report):
    from plotly.offline import get_plotlyjs

    assert report.count(get_plotlyjs()) == 1
    assert len(filled("x").to_html()) < 10_000


def test_a_figure_stays_as_it_is_and_is_drawn_in_the_page_s_look():
    figure, page = line().update_layout(width=900, height=333), Page("t")
    before = figure.to_json()
    page.add_figure(figure, "alt", "caption", min_width=700)
    assert figure.to_json() == before
    layout = read_figures(page.to_html())[0]["layout"]
    assert layout["height"] == 333 and layout.get("width") is None
    assert layout["template"]["layout"]["colorway"] == list(COLOURS)
    assert "min-width:700px" in Reader(page.to_html()).all("div", role="img")[0]["style"]


def test_a_table_shows_numbers_shortly_and_nulls_as_nothing():
    page = Page("t")
    frame = pd.DataFrame(
        {
            "name": ["a", "b"],
            "whole": [12345, 2],
            "number": [0.123456, np.nan],
            "large": [123456.7, np.inf],
            "flag": [True, False],
            "text": ["x", None],
        }
    )
    page.add_table(frame, "A table")
    cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page.to_html())
    assert cells[6:12] == ["a", "12,345", "0.1235", "123,457", "yes", "x"]
    assert cells[12:] == ["b", "2", "", "inf", "no", ""]
    seen = Reader(page.to_html())
    assert seen.all("div", role="region", tabindex="0") and len(seen.all("th", scope="row")) == 2


def test_an_index_may_head_the_rows():
    page = Page("t")
    page.add_table(pd.DataFrame({"a": [1]}, index=pd.Index(["first"], name="which")), "A table", index=True)
    assert '<th scope="col">which</th>' in page.to_html() and '<th scope="row">first</th>' in page.to_html()


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_empty_texts_are_refused(empty):
    with pytest.raises(ValueError, match="title must be a text that is not empty, but got"):
        Page(empty)
    page = Page("t")
    with pytest.raises(ValueError, match="alt must be a text that is not empty"):
        page.add_figure(line(), empty, "caption")
    with pytest.raises(ValueError, match="caption must be a text that is not empty"):
        page.add_table(pd.DataFrame({"a": [1]}), empty)


def test_writing_needs_a_folder_and_replaces_whole(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere does not exist; make it"):
        Page("t").write(tmp_path / "nowhere" / "page.html")
    for title in ("first", "second"):
        path = Page(title).write(tmp_path / "page.html")
    assert "<h1>second</h1>" in path.read_text(encoding="utf-8") and list(tmp_path.iterdir()) == [path]


def test_without_plotly_the_extra_is_named(monkeypatch, found):
    figure = line()
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rnn-warmstart\[pages\]'"):
        Page("t").add_figure(figure, "alt", "caption")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rnn-warmstart\[pages\]'"):
        make_report(found)
    done = CliRunner().invoke(app, ["report", *ARGUMENTS, "--out", "never.html"])
    assert done.exit_code == 1 and "rnn-warmstart[pages]" in done.stderr


def test_the_report_has_its_parts_in_order(report, found):
    heads = re.findall(r"<h[12]>(.*?)</h[12]>", report)
    assert heads == [
        "Where to start: gru on rcf, 10,000 parameters, any depth",
        "The configurations",
        "Predicted losses beside real runs",
        "Sensitivity of each hyperparameter",
        "What good configurations have in common",
        "The real runs behind it",
    ]
    seen = Reader(report)
    assert len(seen.all("div", role="img")) == 2 + len(found.query.space.dimensions)
    assert all(len(item["aria-label"]) > 30 for item in seen.all("div", role="img"))
    for text in found.table().to_numpy().ravel():
        assert text in seen.texts or text == ""
    for item in found:
        for run in item.evidence:
            assert f"{run['eval_loss']:,.4g}" in seen.texts and run["source"] in seen.texts


def test_the_losses_are_the_predicted_ones_beside_real_runs(report, found):
    figure = read_figures(report)[0]
    traces = {trace["name"]: trace for trace in figure["data"]}
    predicted = traces["predicted, 90 % interval"]
    assert list(predicted["x"]) == [item.predicted_loss for item in found]
    high = predicted["x"] + predicted["error_x"]["array"]
    low = predicted["x"] - predicted["error_x"]["arrayminus"]
    assert np.column_stack([low, high]) == pytest.approx(np.array([item.interval for item in found]))
    shown = set(np.round(traces["runs of random configurations"]["x"], 12))
    runs = load_builtin().runs
    setup = {"architecture": "gru", "task_type": "rcf", "n_layers": found[0].n_layers, "max_params": 10_000}
    mine = runs[(runs[list(setup)] == pd.Series(setup)).all(axis=1) & ~runs["diverged"]]
    near = mine.loc[mine["source"].isin(["lab", "trainer/random"]), "eval_loss"].dropna()
    assert len(near) > 3 and set(np.round(near, 12)) <= shown
    low, high = 10 ** np.array(figure["layout"]["xaxis"]["range"])
    assert low < min(item.interval[0] for item in found) and high > max(item.interval[1] for item in found)


def test_a_curve_passes_through_the_configuration_and_stays_low_where_tolerated(found):
    first = found[0]
    curves = trace_curves(found, first)
    # 5 % of the loss are tolerated, or of a hundredth of the task's typical loss where the loss is next to nothing
    (typical,) = get_surrogate().scale.losses(np.zeros(1), np.array(["rcf"], dtype=object))
    rise = 0.05 * max(first.predicted_loss, 0.01 * typical)
    assert {curve.dimension.name for curve in curves} == {item.name for item in found.query.space.dimensions}
    for curve in curves:
        assert curve.own_prediction == pytest.approx(first.predicted_loss)
        if curve.tolerance is None:
            place = [str(value) for value in curve.places].index(str(curve.own))
            assert curve.predictions[place] == pytest.approx(first.predicted_loss)
            continue
        low, high = curve.tolerance
        inside = (curve.places >= low) & (curve.places <= high)
        # between the points that were tried the curve may bend above the straight line by a little
        assert (curve.predictions[inside] <= first.predicted_loss + 1.25 * rise).all(), curve.dimension.name
    named = [curve.dimension.name for curve in curves if curve.tolerance]
    assert named == list(first.tolerance)


def test_the_elites_are_optuna_s_plot_with_whole_names(report, found):
    elites = read_figures(report)[-1]
    text = json.dumps(elites["layout"]) + json.dumps([trace.get("dimensions") for trace in elites["data"]], default=str)
    varying = {name for name in found.study.trials[0].params if len({t.params[name] for t in found.study.trials}) > 1}
    assert len(varying) > 5 and all(f'"{name}"' in text for name in varying)


def test_only_colours_of_the_palette_or_grey_tell_things_apart(report):
    told = [figure["data"] for figure in read_figures(report)[:-1]]
    colours = {colour.upper() for colour in re.findall(r'"color": "(#\w+)"', json.dumps(told, default=str))}
    assert colours <= {*COLOURS, "#595959"} and len(colours) == 4


def test_warnings_and_tasks_without_a_common_unit_are_told():
    found = recommend("irnn", "any", 1e9, depth=1, n=2, fixed={"optimizer": "SGD"})
    page = make_report(found).to_html()
    assert len(Reader(page).all("p", **{"class": "warning"})) == len(found.warnings) == 2
    losses = [figure for figure in read_figures(page) if len(figure["data"]) == 4]
    assert [figure["layout"]["xaxis"]["title"]["text"] for figure in losses] == [
        f"loss on {task}" for task in found.query.weights
    ]
    assert "ranking score against lr_init" in page and "predicted loss against" not in page


def test_the_command_writes_the_report_of_its_options(tmp_path):
    out = tmp_path / "report.html"
    options = ["--n", "2", "--max-train-steps", "700", "--seed", "3"]
    done = CliRunner().invoke(app, ["report", *ARGUMENTS, *options, "--out", str(out)])
    assert done.exit_code == 0 and str(out) in done.stdout
    found = recommend(**QUERY, depth=2, n=2, max_train_steps=700, seed=3)
    assert out.read_text(encoding="utf-8") == make_report(found).to_html()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["report", *ARGUMENTS, "--out", "/nowhere/report.html"], 1, "The folder /nowhere does not exist"),
        (["report", *ARGUMENTS, "--out", "x.html", "--models", "/nowhere"], 1, "holds no surrogate"),
        (["report", *ARGUMENTS, "--out", "x.html", "--depth", "0"], 2, "depth must be"),
        (["report", *ARGUMENTS], 2, "Missing option"),
        (["seed", *ARGUMENTS, "--study-name", "s", "--storage", "sqlite:////nowhere/s.db"], 1, "cannot be opened"),
        (["seed", *ARGUMENTS, "--study-name", "s", "--storage", "warm"], 1, "Could not parse"),
        (["seed", *ARGUMENTS, "--study-name", "s"], 2, "Missing option"),
    ],
)
def test_refusals_have_a_code_and_a_reason_on_stderr(arguments, code, message):
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == code
    assert message in done.stderr and done.stdout == "" and "Traceback" not in done.stderr


def test_seed_writes_what_warm_study_would_and_only_once(tmp_path):
    url = f"sqlite:///{tmp_path}/warm.db"
    command = ["seed", *ARGUMENTS, "--n", "3", "--storage", url, "--study-name", "s"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0 and "3 trials wait" in first.stdout and f"optuna-dashboard {url}" in first.stdout
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0 and "3 trials, nothing enqueued" in again.stdout
    assert "arch=gru, task=rcf, params=10000, depth=2, n=3, seed=0" in again.stdout
    study, expected = optuna.load_study(study_name="s", storage=url), warm_study(**QUERY, depth=2, n=3)
    assert study.user_attrs == expected.user_attrs
    assert [trial.user_attrs for trial in study.trials] == [trial.user_attrs for trial in expected.trials]
    assert [trial.system_attrs for trial in study.trials] == [trial.system_attrs for trial in expected.trials]


def test_a_seeded_study_says_what_stands_behind_it():
    found = recommend(**{**QUERY, "params": 1e9}, depth=2, n=2)
    study = warm_study(**{**QUERY, "params": 1e9}, depth=2, n=2)
    assert study.user_attrs["stop_after"] == found.stop_after
    assert study.user_attrs["warnings"] == list(found.warnings) != []
    assert study.user_attrs["question"] == "arch=gru, task=rcf, params=1000000000, depth=2, n=2, seed=0"
    for trial, item in zip(study.trials, found, strict=True):
        for rank, run in enumerate(item.evidence, start=1):
            text = trial.user_attrs[f"evidence_{rank}"]
            assert text.startswith(f"loss {run['eval_loss']:.4g}: gru on rcf, {run['n_layers']} layer")
            assert text.endswith(f"{run['similarity']:.0%} alike, from {run['source']}")
