"""Comparisons of samplers: regret, ranks, the critical difference, figures, and the command."""

from __future__ import annotations

import json
import sys

import numpy as np
import optuna
import pytest
from rnn_warmstart import Benchmark
from rnn_warmstart.__main__ import app
from rnn_warmstart.surrogate.comparison import Comparison, Ranking, compare_samplers, critical_difference, search
from rnn_warmstart.surrogate.plots import plot_critical_difference, plot_regret
from rnn_warmstart.surrogate.samplers import NEEDS, make_sampler
from scipy.stats import friedmanchisquare, rankdata
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def benchmarks():
    return [Benchmark("gru", "rcf", 2, 1e4), Benchmark("rnn", "mem_thru", 1, 1e3), Benchmark("lstm", "text8", 4, 1e5)]


@pytest.fixture(scope="module")
def found(benchmarks):
    return compare_samplers(benchmarks, ["tpe", "random"], 15, 2)


def made_up(regret):
    """A comparison with given regrets, shape (N, k, S, T)."""
    regret = np.asarray(regret, dtype=float)
    names = tuple(f"s{i}" for i in range(regret.shape[1]))
    here = tuple(Benchmark("gru", "rcf", depth, 1e4) for depth in (1, 2, 4, 8) * 5)[: len(regret)]
    return Comparison(here, names, 2 + 3 * regret, np.full(len(regret), 2.0), np.full(len(regret), 5.0), False)


def run(*arguments):
    return CliRunner().invoke(app, ["benchmark", *arguments], env={"COLUMNS": "100", "TERM": "dumb"})


# Regret


def test_a_study_s_incumbents_are_those_that_optuna_would_name(benchmarks):
    benchmark = benchmarks[0]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    best = []
    for _ in range(12):
        study.optimize(benchmark.trial_objective, n_trials=1)
        best.append(study.best_value)
    np.testing.assert_allclose(search(benchmark, "random", 12, 3, noise=False), best, rtol=1e-5)  # float32 networks


def test_regret_is_against_the_best_known_and_never_grows(found, benchmarks):
    regret = found.regret
    assert regret.shape == (3, 2, 2, 15) and (regret >= 0).all() and (np.diff(regret, axis=-1) <= 0).all()
    for row, benchmark in enumerate(benchmarks):
        assert found.best[row] == min(benchmark.optimum.loss, found.losses[row].min())
        random = benchmark.batch(benchmark.sample(2000, seed=0))
        expected = (found.losses[row] - found.best[row]) / (np.median(random) - found.best[row])
        np.testing.assert_allclose(regret[row], expected)


def test_until_a_trial_succeeds_regret_is_that_of_a_middling_configuration():
    comparison = made_up(np.full((1, 1, 1, 3), 0.5))
    comparison.losses[0, 0, 0, :2] = np.nan
    assert comparison.regret[0, 0, 0].tolist() == [1.0, 1.0, 0.5]


def test_samplers_and_seeds_make_a_difference_and_workers_none(found, benchmarks):
    assert not np.array_equal(found.losses[:, 0], found.losses[:, 1])
    assert not np.array_equal(found.losses[:, :, 0], found.losses[:, :, 1])
    calls = []
    again = compare_samplers(benchmarks, ["tpe", "random"], 15, 2, workers=2, progress=calls.append)
    np.testing.assert_allclose(again.losses, found.losses, atol=1e-6)  # workers have one thread each for float32 sums
    assert sum(calls) == 3 * 2 * 2


def test_with_noise_a_search_goes_astray(found, benchmarks):
    noisy = compare_samplers(benchmarks, ["tpe", "random"], 15, 2, noise=True)
    assert noisy.noise and not np.array_equal(noisy.losses, found.losses)
    assert (np.diff(noisy.losses, axis=-1) > 0).any()  # the best observed loss may be a worse configuration's


def test_optuna_s_verbosity_is_left_alone(benchmarks):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    search(benchmarks[0], "random", 1, 0, noise=False)
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


# Ranks


@pytest.mark.parametrize(("k", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (6, 2.850), (10, 3.164)])
def test_critical_difference_is_that_of_demsar_s_table(k, quantile):
    """Demsar 2006, table 5 (a): three decimals, not all of them rounded."""
    assert critical_difference(14, k) / np.sqrt(k * (k + 1) / (6 * 14)) == pytest.approx(quantile, abs=1e-3)


def test_ranking_is_friedman_s():
    regret = np.random.default_rng(0).random((8, 4, 3, 5))
    ranking = made_up(regret).ranking(5)
    final = regret[..., 4].mean(axis=2)
    np.testing.assert_allclose(ranking.mean_ranks, np.mean([rankdata(row) for row in final], axis=0))
    assert ranking.p_value == pytest.approx(friedmanchisquare(*final.T).pvalue)
    assert ranking.critical_difference == critical_difference(8, 4)
    first = made_up(regret).ranking(1)
    assert first.mean_ranks.tolist() != ranking.mean_ranks.tolist()


def test_what_cannot_be_tested_is_not():
    one, two = np.random.default_rng(0).random((1, 3, 2, 4)), np.random.default_rng(0).random((5, 2, 2, 4))
    assert made_up(one).ranking(4).p_value is None and made_up(one).ranking(4).critical_difference is None
    assert made_up(two).ranking(4).p_value is None and made_up(two).ranking(4).critical_difference is not None
    assert made_up(np.full((4, 3, 2, 4), 0.5)).ranking(4).p_value is None
    assert made_up(one).ranking(4).groups() == []


@pytest.mark.parametrize(
    ("ranks", "difference", "groups"),
    [
        ([1.0, 2.0, 3.0, 4.0], 1.5, [(0, 1), (1, 2), (2, 3)]),
        ([1.0, 2.0, 3.0, 4.0], 5.0, [(0, 1, 2, 3)]),
        ([1.0, 2.0, 3.0, 4.0], 0.5, []),
        ([3.5, 1.2, 1.0, 3.6], 1.0, [(2, 1), (0, 3)]),
    ],
)
def test_groups_are_the_largest_without_a_difference(ranks, difference, groups):
    assert Ranking(np.array(ranks), None, difference).groups() == groups


# Samplers


@pytest.mark.parametrize("name", NEEDS)
def test_every_sampler_searches(name, benchmarks):
    if NEEDS[name]:
        pytest.importorskip(NEEDS[name])
    losses = search(benchmarks[0], name, 12, 0, noise=False)
    assert losses.shape == (12,) and losses[-1] < losses[0]
    np.testing.assert_array_equal(search(benchmarks[0], name, 12, 0, noise=False), losses)


@pytest.mark.parametrize(("name", "package"), [("cmaes", "cmaes"), ("gp", "torch")])
def test_a_sampler_without_its_package_says_what_to_install(name, package, monkeypatch):
    monkeypatch.setattr("rnn_warmstart.surrogate.samplers.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=rf"{name} needs the package {package}: pip install 'rnn-w.*samplers"):
        make_sampler(name, 0)
    assert run("--samplers", f"tpe,{name}", "--trials", "1").exit_code == 1


# Figures


def test_figures_show_every_benchmark_and_sampler(found):
    pytest.importorskip("matplotlib")
    figure = plot_regret(found)
    panels = figure.axes
    assert [panel.get_title().split(",")[0] for panel in panels] == ["gru on rcf", "rnn on mem_thru", "lstm on text8"]
    assert "trials" in figure.get_supxlabel() and "regret" in figure.get_supylabel()
    for row, panel in enumerate(panels):
        for column, line in enumerate(panel.get_lines()):
            np.testing.assert_array_equal(line.get_ydata(), np.median(found.regret[row, column], axis=0))
    assert [text.get_text() for text in panels[0].get_legend().get_texts()] == ["tpe", "random"]
    assert len({line.get_color() for line in panels[0].get_lines()}) == 2


def test_the_critical_difference_diagram_names_ranks_and_groups():
    pytest.importorskip("matplotlib")
    comparison = made_up(np.random.default_rng(0).random((6, 4, 2, 3)))
    ranking = comparison.ranking(3)
    axes = plot_critical_difference(comparison, ranking).axes[0]
    shown = {text.get_text().strip() for text in axes.texts}
    assert {f"s{i} {rank:.2f}" for i, rank in enumerate(ranking.mean_ranks)} <= shown
    assert f"CD {ranking.critical_difference:.2f}" in shown
    bars = [line for line in axes.get_lines() if line.get_linewidth() == 4]
    assert len(bars) == len(ranking.groups()) > 0


# The command

SMALL = ["--trials", "6", "--seeds", "2", "--workers", "1"]


def test_the_command_prints_regret_ranks_and_what_they_mean():
    done = run("--setup", "gru:rcf:2:1e4", "--setup", "rnn:mem_thru:1:1e3", "--samplers", "tpe, random", *SMALL)
    assert done.exit_code == 0, done.stderr
    assert "surrogate's world" in done.stdout and "setups: 2, seeds: 2" in done.stdout
    assert "after trials" in done.stdout and "mean rank" in done.stdout and "Nemenyi" in done.stdout


def test_the_command_s_json_is_the_comparison():
    done = run("--arch", "gru", "--task", "rcf", "--depth", "2", "--params", "1e4", "--json", *SMALL)
    assert done.exit_code == 0, done.stderr
    expected = compare_samplers([Benchmark("gru", "rcf", 2, 1e4)], ["tpe", "random"], 6, 2)
    assert json.loads(done.stdout) == expected.to_dict()
    assert json.loads(done.stdout)["trials"] == 6 and json.loads(done.stdout)["seeds"] == 2


def test_the_command_s_noise_is_that_of_seeds():
    done = run("--setup", "gru:rcf:2:1e4", "--json", "--noise", *SMALL)
    expected = compare_samplers([Benchmark("gru", "rcf", 2, 1e4)], ["tpe", "random"], 6, 2, noise=True)
    assert done.exit_code == 0 and json.loads(done.stdout) == expected.to_dict()


def test_the_command_writes_json_and_figures(tmp_path):
    pytest.importorskip("matplotlib")
    done = run("--setup", "gru:rcf:2:1e4", "--setup", "rnn:rcf:2:1e4", "--out", str(tmp_path / "a" / "b"), *SMALL)
    assert done.exit_code == 0, done.stderr
    files = sorted(path.name for path in (tmp_path / "a" / "b").iterdir())
    assert files == ["comparison.json", "critical_difference.png", "regret.png"]
    assert (tmp_path / "a" / "b" / "regret.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "a" / "b" / "comparison.json").read_text())["samplers"] == ["tpe", "random"]


def test_the_default_is_every_architecture_and_every_task():
    done = run("--json", "--samplers", "random", "--trials", "2", "--seeds", "1", "--workers", "1")
    assert done.exit_code == 0, done.stderr
    setups = json.loads(done.stdout)["benchmarks"]
    assert len({setup["arch"] for setup in setups}) == len({setup["task"] for setup in setups}) == 6


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["--arch", "gru"],
            2,
            "--depth and --params; --task, --depth, --params missing",
        ),
        (["--setup", "gru:rcf:2"], 2, "--setup needs ARCH:TASK:DEPTH:PARAMS, e.g. gru:rcf:2:1e4, but got 'gru:rcf:2'"),
        (["--setup", "gruu:rcf:2:1e4"], 2, "Did you mean 'gru'?"),
        (["--setup", "gru:rcf:3:1e4"], 2, "depth=3 is none of those"),
        (["--samplers", "tpe,bohb"], 2, "Unknown sampler 'bohb'"),
        (["--samplers", "tpe,tpe"], 2, "names a sampler twice"),
        (["--trials", "0"], 2, "Invalid value for '--trials'"),
        (["--models", "/nowhere"], 1, "holds no surrogate"),
    ],
)
def test_wrong_calls_have_a_code_and_a_reason_on_stderr(arguments, code, message):
    done = run(*arguments)
    assert done.exit_code == code
    assert message in done.stderr.replace("\n", " ") and done.stdout == "" and "Traceback" not in done.stderr


def test_without_matplotlib_nothing_is_computed_and_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("--out", str(tmp_path / "never"))
    assert done.exit_code == 1 and "pip install 'rnn-warmstart[plots]'" in done.stderr
    assert not (tmp_path / "never").exists()
