"""Insights: what they say of corpora and functions whose truth is known, in what form, and what they refuse."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rnn_warmstart.__main__ import app
from rnn_warmstart.corpus import as_corpus, write_parquet
from rnn_warmstart.corpus.schema import SETUP
from rnn_warmstart.features import Hyperparameter
from rnn_warmstart.insights import TABLES, find_insights, probe
from rnn_warmstart.insights.effects import correlations, explained, similar
from rnn_warmstart.insights.probe import Probe, score_twice
from rnn_warmstart.insights.replicates import configurations, hidden_share, seed_noise
from rnn_warmstart.insights.report import make_page
from rnn_warmstart.insights.sample import BEST, Sample, merge_hyperparameters
from rnn_warmstart.insights.sensitivity import latin_hypercube, sobol_indices
from rnn_warmstart.surrogate.targets import LossScale
from scipy.stats import spearmanr
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
OPTIMA = {"text8": 1e-3, "rcf": 1e-1}
"""Where the loss of `make_runs` is lowest, learning rate."""


def make_runs(seeds=1, noise=0.0, each=60, depths=(1, 2, 4)):
    """Runs whose loss is |log10(lr_init / optimum of the task)|, plus 1 for SGD; inert has no effect; known noise."""
    rng, setups = np.random.default_rng(0), []
    for task in OPTIMA:
        for arch in ("gru", "lstm"):
            for depth in depths:
                table = pd.DataFrame({"hp_lr_init": 10 ** rng.uniform(-4, 0, each), "hp_inert": rng.random(each)})
                table["hp_optimizer"] = rng.choice(["Adam", "SGD"], each)
                table = table.assign(
                    architecture=arch, task_type=task, n_layers=depth, max_params=1000, source="made/up"
                )
                setups.append(table.loc[table.index.repeat(seeds)])
    runs = pd.concat(setups, ignore_index=True)
    distance = np.abs(np.log10(runs["hp_lr_init"] / runs["task_type"].map(OPTIMA)))
    runs["eval_loss"] = 5 + distance + (runs["hp_optimizer"] == "SGD") + noise * rng.standard_normal(len(runs))
    return runs


@pytest.fixture(scope="module")
def made():
    return find_insights(as_corpus(make_runs()))


@pytest.fixture(scope="module")
def few(runs):
    """The runs of one task, two architectures."""
    kept = runs["architecture"].isin(["gru", "rnn"]) & (runs["task_type"] == "rcf")
    return as_corpus(runs[kept].reset_index(drop=True))


@pytest.fixture(scope="module")
def asked(few, small):
    return find_insights(few, small)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("insights") / "runs.parquet"
    write_parquet(make_runs(), path)
    return path


def run(*arguments, width="120"):
    return CliRunner().invoke(app, ["insights", *map(str, arguments)], env={"COLUMNS": width, "TERM": "dumb"})


# ---- importance ----


def test_indices_of_the_ishigami_function_are_those_in_closed_form():
    def ishigami(units):
        x = np.pi * (2 * units - 1)
        value = np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
        return np.column_stack([value, units @ [3.0, 4.0, 0.0], np.ones(len(units))])

    found = sobol_indices(ishigami, 3, 20_000, np.random.default_rng(0))
    # Ishigami and Homma (1990): a = 7, b = 0.1; the estimates' standard errors are about 0.01
    assert found.main[0] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.03)
    assert found.total[0] == pytest.approx([0.5576, 0.4424, 0.2437], abs=0.03)
    # linear: shares of the variance are 9 / 25 and 16 / 25, without interactions
    assert found.main[1] == pytest.approx([0.36, 0.64, 0.0], abs=0.03)
    assert found.total[1] == pytest.approx([0.36, 0.64, 0.0], abs=0.03)
    assert np.isnan(found.main[2]).all() and np.isnan(found.total[2]).all()


@given(n=st.integers(1, 40), dimensions=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_latin_hypercube_has_one_point_in_each_cell_of_every_axis(n, dimensions, seed):
    points = latin_hypercube(n, dimensions, np.random.default_rng(seed))
    assert points.shape == (n, dimensions)
    cells = np.sort(np.floor(points * n), axis=0)
    assert (cells == np.arange(n)[:, None]).all()


def test_explained_is_the_textbook_formula_in_every_setup_and_zero_by_chance():
    rng = np.random.default_rng(0)
    setups = np.repeat(np.arange(300), rng.integers(10, 60, 300))
    values, scores = rng.random(len(setups)), rng.standard_normal(len(setups))
    groups = similar(values, setups)
    found = explained(scores, groups, setups)
    for setup in range(300):
        y, g = scores[setups == setup], groups[setups == setup]
        if len(y) < 16:
            assert np.isnan(found[setup])
            continue
        parts = [y[g == each] for each in np.unique(g)]
        assert min(map(len, parts)) >= 8 and len(parts) <= 8
        within = sum(((part - part.mean()) ** 2).sum() for part in parts) / (len(y) - len(parts))
        assert found[setup] == pytest.approx(1 - within / y.var(ddof=1))
    known = found[~np.isnan(found)]
    assert abs(known.mean()) < 4 * known.std() / np.sqrt(len(known))  # unrelated: 0 but for chance
    assert explained(groups.astype(float), groups, setups)[np.bincount(setups) >= 16] == pytest.approx(1.0)


def test_correlations_are_scipys():
    rng = np.random.default_rng(0)
    setups = np.repeat([0, 1, 2], [20, 50, 5])
    x, y = rng.integers(0, 9, 75).astype(float), rng.standard_normal(75)
    found = correlations(x, y, setups)
    assert found[:2] == pytest.approx([spearmanr(x[setups == s], y[setups == s]).statistic for s in (0, 1)])
    assert np.isnan(found[2])


def test_the_runs_alone_tell_what_matters_from_what_does_not(made):
    table = made.tables["importance"].set_index("hyperparameter")
    assert list(table.index[:2]) == ["lr_init", "optimizer"]
    assert table.loc["lr_init", "scale"] == "log" and table.loc["optimizer", "scale"] == "category"
    assert abs(table.loc["inert", "runs_explained"]) < 3 * table.loc["inert", "runs_explained_se"]
    assert table["total"].isna().all() and (table["setups"] == 0).all()
    # in ranks, 0 to 2 decades off (uniform) have the variance 1/3 or 3/4, the optimizer's 1/4: both explain much
    assert table.loc[["lr_init", "optimizer"], "runs_explained"].between(0.15, 0.8).all()


def test_a_surrogate_that_sees_the_learning_rate_alone_gives_it_all(monkeypatch, runs, small):
    column = small.encoder.features.index("lr_init")

    def parts(surrogate, matrix):
        return np.column_stack([matrix[:, column]] * 2)

    monkeypatch.setattr(probe, "score_twice", parts)
    found = Probe(small, runs[list(SETUP)].drop_duplicates().head(3)).importance()
    assert found.loc["lr_init", ["total", "trees"]].tolist() == pytest.approx([1, 1], abs=0.15)
    assert found.loc["lr_init", "main"] == pytest.approx(1, abs=0.3)
    others = found.drop(index="lr_init")
    assert (others[["total", "main"]].abs().to_numpy() < 1e-9).all() and len(others) > 5


def test_the_second_opinion_is_the_trees(runs, small):
    matrix = small.encoder.transform(runs.head(50))
    score, trees = score_twice(small, matrix).T
    assert score == pytest.approx(small.score(matrix))
    rank, loss = (small.boosters.models[name].predict(matrix) for name in ("rank", "loss"))
    assert trees == pytest.approx((rank + loss) / 2) and not np.allclose(score, trees)


def test_setups_are_taken_from_every_architecture_and_task_in_turn(runs, small):
    chosen = Probe.of(small, runs).setups
    assert len(chosen) == probe.SETUPS < runs.groupby(list(SETUP)).ngroups
    first = chosen.head(36)[["architecture", "task_type"]]
    assert len(first.drop_duplicates()) == 36
    assert Probe.of(small, runs).setups.equals(chosen) and not Probe.of(small, runs, seed=1).setups.equals(chosen)


# ---- regions and optima ----


def test_the_best_part_is_where_the_loss_is_low(made):
    ranges = made.tables["ranges"].set_index("hyperparameter")
    assert ranges.loc["inert", "share"] == pytest.approx(0.8, abs=0.15)
    choices = made.tables["choices"].set_index("choice")
    assert choices.loc["Adam", "share"] == 1.0 and choices.loc["Adam", "all_share"] == pytest.approx(0.5, abs=0.1)
    alone = find_insights(as_corpus(make_runs(each=100)), task="rcf").tables["ranges"].set_index("hyperparameter")
    assert alone.loc["lr_init", "low"] > 0.05 and alone.loc["lr_init", "high"] < 0.2
    assert alone.loc["lr_init", "share"] < 0.2 and alone.loc["lr_init", "all_high"] > 0.3


def test_the_optimum_moves_with_the_task_and_with_nothing_else(made):
    numbers = made.tables["optimum_numbers"]
    tasks = numbers[(numbers["hyperparameter"] == "lr_init") & (numbers["by"] == "task_type")].set_index("group")
    assert tasks["setups"].tolist() == [6, 6]
    for task, optimum in OPTIMA.items():
        assert tasks.loc[task, "best"] == pytest.approx(optimum, rel=0.3)
        assert tasks.loc[task, "low"] < tasks.loc[task, "best"] < tasks.loc[task, "high"]
        assert tasks.loc[task, "all"] == pytest.approx(1e-2, rel=0.5)
    share = made.tables["optimum_explained"].set_index(["hyperparameter", "by"])["explained"]
    assert share["lr_init", "task_type"] > 0.9
    assert share["lr_init", "architecture"] < 0.1 and share["lr_init", "n_layers"] < 0.1
    assert ("lr_init", "max_params") not in share.index  # there is one size only


def test_a_sample_has_each_random_configuration_once_and_no_chosen_one():
    runs = make_runs(seeds=3)
    chosen = runs.groupby(list(SETUP)).head(3).assign(source="made/recommended", hp_inert=7.0)
    sample = Sample.from_runs(as_corpus(pd.concat([runs, chosen], ignore_index=True)).runs)
    assert len(sample.table) == len(runs) / 3 and (sample.table["hp_inert"] < 1).all()
    shares = pd.Series(sample.best).groupby(sample.setups).mean()
    assert shares.to_numpy() == pytest.approx(BEST)
    assert np.unique(sample.quantiles) == pytest.approx((np.arange(60) + 0.5) / 60)


# ---- seed noise ----


def test_hidden_is_one_minus_the_intraclass_correlation_of_a_balanced_design():
    runs = as_corpus(make_runs(seeds=4, noise=0.5, depths=(1,))).runs
    runs = runs[runs["task_type"] == "rcf"].reset_index(drop=True)
    found = configurations(runs)
    scores = LossScale.fit(runs).scores(runs)
    expected = []
    for arch in ("gru", "lstm"):  # one-way analysis of variance of each setup, pooled
        rows = (runs["architecture"] == arch).to_numpy()
        cells = pd.Series(scores[rows]).groupby(runs.loc[rows, "hp_lr_init"].to_numpy())
        expected.append([cells.var().sum() * 3, 4 * ((cells.mean() - scores[rows].mean()) ** 2).sum()])
    within, between = np.sum(expected, axis=0) / [2 * 60 * 3, 2 * 59]
    icc = (between - within) / (between + 3 * within)  # Shrout and Fleiss (1979), ICC(1), 4 runs each
    assert hidden_share(found)[0] == pytest.approx(1 - icc)
    assert len(found) == 120 and (found["runs"] == 4).all()


def test_seed_noise_of_a_known_size_is_found():
    rng = np.random.default_rng(0)
    frames = []
    for depth in range(1, 25):
        table = pd.DataFrame({"hp_x": rng.standard_normal(40)}).loc[np.repeat(np.arange(40), rng.integers(1, 5, 40))]
        frames.append(
            table.assign(n_layers=depth, eval_loss=10 + table["hp_x"] + 0.5 * rng.standard_normal(len(table)))
        )
    runs = pd.concat(frames, ignore_index=True).assign(architecture="gru", task_type="rcf", max_params=1000)
    found = seed_noise(as_corpus(runs).runs).set_index("by").loc["all"]
    true = 0.25 / 1.25
    assert found["hidden"] == pytest.approx(true, abs=3 * found["hidden_se"])
    assert 0.005 < found["hidden_se"] < 0.03
    # two configurations and two runs of each: how often the order is the same
    runs = rng.standard_normal((100_000, 2, 1)) + 0.5 * rng.standard_normal((100_000, 2, 2))
    same = ((runs[:, 0, 0] > runs[:, 1, 0]) == (runs[:, 0, 1] > runs[:, 1, 1])).mean()
    assert found["order_kept"] == pytest.approx(same, abs=0.02)
    assert found["spread"] == pytest.approx(0.04, abs=0.015)  # 0.5 / 10, less the bias of few seeds' median
    assert found["split"] == 0


def test_the_jackknife_leaves_out_one_setup_at_a_time():
    found = configurations(as_corpus(make_runs(seeds=2, noise=0.4)).runs)
    setups = found["setup"].unique()
    left = [hidden_share(found[found["setup"] != setup])[0] for setup in setups]
    n = len(setups)
    assert hidden_share(found)[1] == pytest.approx(np.sqrt((n - 1) / n * ((left - np.mean(left)) ** 2).sum()))


# ---- the whole ----

KEYS = {
    "importance": "hyperparameter scale total total_se main main_se trees setups runs_explained "
    "runs_explained_se runs_trend runs_trend_se runs_setups",
    "ranges": "hyperparameter best low middle high all_low all_middle all_high share source",
    "choices": "hyperparameter choice best share all_share source",
    "optimum_numbers": "hyperparameter by group setups best low high all source",
    "optimum_choices": "hyperparameter by group setups choice share share_se all_share source",
    "optimum_explained": "hyperparameter by explained source",
    "seed_noise": "by group configurations runs setups hidden hidden_se order_kept spread spread_good split",
}


def test_json_has_the_documented_keys(asked):
    found = json.loads(json.dumps(asked.to_dict(), allow_nan=False))
    assert list(found) == ["about", *TABLES, "notes"] and set(KEYS) == set(TABLES)
    assert list(found["about"]) == ["task", "arch", "runs", "setups", "corpus_sha256", "surrogate", "seed"]
    for name, keys in KEYS.items():
        assert list(asked.tables[name].columns) == keys.split()
        assert all(list(row) == keys.split() for row in found[name])
    documented = (ROOT / "docs" / "insights.md").read_text()
    assert all(f"`{key}`" in documented for keys in [*KEYS.values(), " ".join(found["about"])] for key in keys.split())
    for name in TABLES[1:-1]:
        # 8 runs a setup: too few for a best part of their own
        assert {row["source"] for row in found[name]} == {"surrogate"}
    assert found["about"]["surrogate"] is True and len(found["importance"]) > 20


def test_what_is_not_known_is_said(asked, made):
    assert any("No setup has 16 random runs" in note for note in asked.notes)
    assert any("Too few configurations were trained with several seeds" in note for note in asked.notes)
    assert any("one size only (1000)" in note for note in made.notes)
    assert any("No surrogate was asked" in note for note in made.notes)
    assert not any("tuner" in note for note in made.notes)


def test_the_same_question_gives_the_same_answer_and_progress_reaches_the_end(few, small, asked):
    seen = []
    again = find_insights(few, small, progress=lambda share, what: seen.append(share))
    assert again.to_dict() == asked.to_dict()
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) > 20


def test_runs_that_a_tuner_chose_are_noticed():
    runs = make_runs()
    runs["hyper_iter"] = runs.groupby(list(SETUP))["eval_loss"].rank(ascending=False).astype(int)
    assert any("a tuner chose them" in note for note in find_insights(as_corpus(runs)).notes)


def test_three_runs_are_enough_to_say_that_nothing_is_known():
    found = find_insights(as_corpus(make_runs().head(3)))
    assert all(table.empty for table in found.tables.values()) and len(found.notes) >= 7
    assert "What to keep in mind" in make_page(found).to_html()


def test_a_surrogate_of_other_setups_is_left_out(small):
    found = find_insights(as_corpus(make_runs().assign(architecture="bilstm")), small)
    assert found.about["surrogate"] is False
    assert any("knows none of these setups" in note for note in found.notes)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"task": "txt8"}, "Unknown task 'txt8'. Did you mean 'text8'"),
        ({"arch": "+rnn"}, "Unknown architecture '\\+rnn'.*'gru', 'lstm'"),
        ({"task": "text8", "arch": "gru"}, "no run of gru on text8"),
    ],
)
def test_what_the_corpus_lacks_is_refused(question, message):
    runs = make_runs()
    runs = runs[(runs["architecture"] == "lstm") | (runs["task_type"] == "rcf")]
    with pytest.raises(ValueError, match=message):
        find_insights(as_corpus(runs.reset_index(drop=True)), **question)


def test_a_number_here_and_a_choice_there_is_refused():
    number, choice = Hyperparameter("x", "log"), Hyperparameter("x", "category", choices=("1", "2"))
    with pytest.raises(ValueError, match="x is a number in the corpus, but a choice in the models"):
        merge_hyperparameters({"x": number}, {"x": choice})
    merged = merge_hyperparameters({"x": choice}, {"x": Hyperparameter("x", "category", choices=("3",)), "y": number})
    assert merged["x"].choices == ("1", "2", "3") and merged["y"] == number
    assert merge_hyperparameters({"x": number}, {"x": Hyperparameter("x", "linear")})["x"].scale == "linear"


# ---- the command and the page ----


def test_the_page_holds_every_finding_and_asks_no_network(asked, made):
    pytest.importorskip("plotly")
    text = make_page(asked).to_html()
    for heading in ("Which hyperparameters matter", "Where the good regions are", "How the optimum moves"):
        assert f"<h2>{heading}</h2>" in text
    assert "lr_init: the optimum, group by group" in text and 'aria-label="Bars of the importance' in text
    assert "How much seed noise hides" not in text  # nothing was repeated
    assert "default-src 'none'" in text and "by trees alone" in text
    assert "total effect by the surrogate" not in make_page(made).to_html()
    repeated = find_insights(as_corpus(make_runs(seeds=2, noise=0.1)))
    assert "<h2>How much seed noise hides</h2>" in make_page(repeated).to_html()


def test_the_command_prints_what_was_found(file):
    done = run("--corpus", file)
    assert done.exit_code == 0, done.output
    for text in ("Which hyperparameters matter", "lr_init", "Adam 100%", "by task", "Note: No surrogate was asked"):
        assert text in done.stdout
    assert "total effect" not in done.stdout.lower()
    narrow = run("--corpus", file, width="60")
    assert max(map(len, narrow.stdout.splitlines())) <= 60


def test_the_commands_json_is_the_findings_and_options_choose(file):
    pytest.importorskip("plotly")
    page = file.with_name("page.html")
    done = run("--corpus", file, "--task", "rcf", "--arch", "gru", "--json", "--html", page)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == find_insights(as_corpus(make_runs()), task="rcf", arch="gru").to_dict()
    assert f"Wrote {page}." in done.stderr and "Only architecture gru." in page.read_text()


def test_models_bring_their_own_runs(file, small, tmp_path):
    from rnn_warmstart.surrogate.storage import RUNS, save_surrogate

    save_surrogate(small, tmp_path)
    (tmp_path / RUNS).write_bytes(file.read_bytes())
    done = run("--models", tmp_path, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["about"]["runs"] == len(make_runs()) and found["about"]["surrogate"] is True
    assert "The surrogate was fitted on other runs than these." not in found["notes"]  # it does not say on which


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--task", "txt8"], 2, "Did you mean 'text8'"),
        (["--html", "/nowhere/page.html"], 1, "There is no folder /nowhere"),
        (["--models", "/nowhere"], 1, "holds no surrogate"),
    ],
)
def test_wrong_arguments_end_with_a_message(file, arguments, code, message):
    done = run("--corpus", file, *arguments)
    assert done.exit_code == code and message in done.stderr
    assert "Traceback" not in done.output


def test_a_missing_corpus_and_a_missing_plotly_are_named(file, monkeypatch):
    done = run("--corpus", "/nowhere.parquet")
    assert done.exit_code == 1 and "does not exist" in done.stderr
    monkeypatch.setitem(sys.modules, "plotly", None)
    done = run("--corpus", file, "--html", file.with_name("page.html"))
    assert done.exit_code == 1 and "rnn-warmstart[pages]" in done.stderr


# ---- its place ----


def test_insights_import_downwards_and_only_the_command_imports_them():
    folders = ("corpus", "features", "surrogate", "recommend", "pages", "training", "package", "insights")
    sources = {path: path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py")}
    above = {path.name for path, text in sources.items() if "from ..insights" in text}
    assert above == {"insights.py"}
    mine = "".join(text for path, text in sources.items() if path.parent.name == "insights")
    imported = {line.split()[1].split(".")[2] for line in mine.splitlines() if line.startswith("from ..")}
    assert imported <= {"corpus", "features", "surrogate", "recommend", "pages"}
