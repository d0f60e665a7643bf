"""Splits, metrics and the protocol: who may see what, and whether the figures are what they say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from rnn_warmstart.__main__ import app
from rnn_warmstart.corpus import SETUP, as_corpus, write_parquet
from rnn_warmstart.surrogate import NetworkSettings, Settings, score_setups
from rnn_warmstart.surrogate.boosting import setup_folds
from rnn_warmstart.surrogate.calibration import LEVELS
from rnn_warmstart.surrogate.metrics import CUT, predicted_mean, score_divergence
from rnn_warmstart.surrogate.protocol import (
    evaluate_split,
    judge_split,
    lead,
    noise_ceiling,
    predict_levels,
    predict_with,
    summarise_split,
)
from rnn_warmstart.surrogate.quality import COLUMNS, quality_row
from rnn_warmstart.surrogate.splits import run_ids, split_runs, split_table
from rnn_warmstart.surrogate.targets import setup_codes, usable_loss
from scipy.stats import kendalltau, spearmanr
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score
from typer.testing import CliRunner

QUICK = Settings(trees=10, diverge_trees=5, folds=2, network=NetworkSettings(units=8, layers=1, members=1, epochs=2))


@pytest.mark.parametrize("name", ["random", "by-setup", "task", "architecture"])
def test_every_run_is_held_out_once(runs, name):
    parts = split_runs(runs, name)
    assert (np.sum(list(parts.values()), axis=0) == 1).all()


@pytest.mark.parametrize(
    ("name", "column"), [("task", "task_type"), ("architecture", "architecture"), ("largest", "max_params"),
                         ("deepest", "n_layers"), ("longest", "hp_train_steps"), ("late", "hyper_iter")]
)  # fmt: skip
def test_what_is_held_out_is_seen_nowhere_else(runs, name, column):
    for rows in split_runs(runs, name).values():
        assert not set(runs[column][rows]) & set(runs[column][~rows])
    if name in ("largest", "deepest", "longest", "late"):
        (rows,) = split_runs(runs, name).values()
        assert runs[column][rows].min() > runs[column][~rows].max()


def test_setups_are_not_torn_apart_and_the_seed_matters(runs):
    codes = setup_codes(runs)
    for rows in split_runs(runs, "by-setup").values():
        assert not set(codes[rows]) & set(codes[~rows])
    one, two = (split_runs(runs, "by-setup", seed)["fold 0"] for seed in (0, 1))
    assert (one != two).any()
    np.testing.assert_array_equal(one, next(setup_folds(runs, 5, 0)))


def test_other_seeds_of_a_configuration_are_held_out_with_it(runs):
    twins = pd.concat([runs, runs.assign(seed=runs["seed"] + 1, source="twin")], ignore_index=True)
    for rows in split_runs(twins, "random").values():
        first, second = np.split(rows, 2)
        np.testing.assert_array_equal(first, second)
        assert 0.1 < first.mean() < 0.3


def test_unknown_and_empty_splits_are_refused(runs):
    with pytest.raises(ValueError, match=r"Unknown split 'by-setups'; known: random, .*Did you mean 'by-setup'"):
        split_runs(runs, "by-setups")
    with pytest.raises(ValueError, match=r"The split 'task' \(leave one task out\) does not part this corpus"):
        split_runs(runs[runs["task_type"] == "rcf"].reset_index(drop=True), "task")
    with pytest.raises(ValueError, match=r"The split 'late' .* does not part this corpus"):
        split_runs(runs.drop(columns="hyper_iter"), "late")


def test_run_ids_follow_the_run_and_not_its_row(runs):
    ids = run_ids(runs)
    assert len(set(ids)) == len(runs)
    order = np.random.default_rng(0).permutation(len(runs))
    np.testing.assert_array_equal(run_ids(runs.iloc[order].reset_index(drop=True)), ids[order])


def test_the_table_of_splits_gives_the_parts_back(runs):
    splits = {name: split_runs(runs, name) for name in ("by-setup", "longest")}
    table = split_table(runs, splits)
    for name, parts in splits.items():
        for part, rows in parts.items():
            np.testing.assert_array_equal((table[name] == part).to_numpy(), rows)
    assert table["longest"].isna().any()


def test_scores_agree_with_the_libraries(runs, small):
    predicted = predict_levels(small, runs)
    table, loss, codes = score_setups(runs, predicted), usable_loss(runs), setup_codes(runs)
    medians = pd.Series(loss).where(np.isfinite(loss)).groupby(runs["task_type"].to_numpy()).median()
    for setup in (3, 50, 200):
        rows = np.flatnonzero(codes == setup)
        row, mine, score = table.iloc[setup], loss[rows], predicted["score"].to_numpy()[rows]
        limit = CUT * medians[runs["task_type"][rows[0]]]
        assert row["spearman"] == pytest.approx(spearmanr(mine, score).statistic)
        assert row["kendall"] == pytest.approx(kendalltau(mine, score).statistic)
        guess = predicted["predicted_loss"].to_numpy()[rows]
        assert row["tau_1"] == pytest.approx(kendalltau(mine, guess.round(1)).statistic, nan_ok=True)
        cut, bold = np.minimum(mine, limit), np.minimum(guess, limit)
        assert row["mae"] == pytest.approx(mean_absolute_error(cut, bold))
        assert row["r2"] == pytest.approx(r2_score(cut, predicted_mean(predicted.iloc[rows], limit)))
        order = np.argsort(score)
        assert row["better_than_first"] == pytest.approx((mine < mine[order[0]]).mean())
        for k in (1, 5):
            expected = (cut[order[:k]].min() - cut.min()) / (np.median(cut) - cut.min())
            assert row[f"regret_{k}"] == pytest.approx(expected)
        low, high = (predicted[f"{end}_0.8"].to_numpy()[rows] for end in ("low", "high"))
        assert row["coverage_0.8"] == pytest.approx(((mine >= low) & (mine <= high)).mean())
        pinball = [mean_pinball_loss(cut, np.minimum(x, limit), alpha=a) for x, a in ((low, 0.1), (high, 0.9))]
        assert row["pinball_0.8"] * medians[runs["task_type"][rows[0]]] == pytest.approx(np.mean(pinball))


def test_perfect_predictions_score_perfectly(runs):
    fine = runs[~runs["diverged"]].reset_index(drop=True)
    loss = usable_loss(fine)
    table = score_setups(fine, pd.DataFrame({"score": loss, "predicted_loss": loss}))
    many = table[table["runs"] > 4]
    np.testing.assert_allclose(many[["spearman", "kendall", "r2"]], 1)
    assert (many[["mae", "regret_1", "better_than_first"]] == 0).all(axis=None)


def test_divergence_scores():
    rng = np.random.default_rng(0)
    risk = rng.random(5000)
    diverged = rng.random(5000) < risk
    scores = score_divergence(diverged, risk)
    assert scores["brier"] == pytest.approx((risk * (1 - risk)).mean(), abs=0.01)
    assert scores["auc"] == pytest.approx(0.83, abs=0.02)  # P(u > v | densities 2u and 2(1 - v)) = 5/6
    for entry in scores["reliability"]:
        assert entry["predicted"] == pytest.approx(entry["diverged"], abs=4 / np.sqrt(entry["runs"]))
    assert score_divergence(np.zeros(9, bool), np.full(9, 0.1))["auc"] is None


def test_a_split_is_computed_once(runs, tmp_path):
    calls = []

    def predict(known, unseen):
        calls.append(len(unseen))
        assert not set(known["task_type"]) & set(unseen["task_type"])
        return pd.DataFrame({"score": np.arange(len(unseen), dtype=float)})

    parts = split_runs(runs, "task")
    first = pd.concat(evaluate_split(runs, parts, predict, {"name": "x"}, cache=tmp_path))
    assert len(calls) == 6 and sorted(first["row"]) == list(range(len(runs)))
    again = pd.concat(evaluate_split(runs, parts, predict, {"name": "x"}, cache=tmp_path))
    assert len(calls) == 6
    pd.testing.assert_frame_equal(first, again)
    list(evaluate_split(runs, parts, predict, {"name": "y"}, cache=tmp_path))
    assert len(calls) == 12
    list(evaluate_split(runs, split_runs(runs, "by-setup"), lambda a, b: pd.DataFrame({"score": np.zeros(len(b))}),
                        {"name": "x"}, cache=tmp_path))  # fmt: skip
    assert len(calls) == 12


@pytest.mark.parametrize("name", ["task", "architecture"])
def test_what_the_surrogate_has_never_seen_is_predicted_as_unknown(runs, name):
    part = next(iter(split_runs(runs, name).values()))
    unseen = runs[part].reset_index(drop=True)
    predicted = predict_with(QUICK)(runs[~part].reset_index(drop=True), unseen)
    assert predicted["score"].notna().all() and predicted["p_diverge"].between(0, 1).all()
    assert predicted["predicted_loss"].isna().all() == (name == "task")
    scores = score_setups(unseen, predicted)
    assert scores["spearman"].mean() > 0.2  # chance gives 0
    assert ("r2" in scores) == (name == "architecture")


def test_the_ceiling_falls_as_noise_grows(runs):
    def repeated(noise):
        rng = np.random.default_rng(0)
        few = runs[runs["task_type"] == "rcf"]
        copies = pd.concat([few.assign(seed=seed) for seed in range(3)], ignore_index=True)
        copies["eval_loss"] *= np.exp(noise * rng.normal(size=len(copies)))
        return copies

    quiet, loud = (noise_ceiling(few, few).mean() for few in map(repeated, (0.001, 1.0)))
    assert 0.95 < quiet <= 1 and loud < 0.9  # on the plateau of constant answers even little noise hides the order
    none = runs[runs["task_type"] == "rcf"].reset_index(drop=True)
    assert noise_ceiling(none, none).empty


def test_the_mean_is_that_of_the_predicted_distribution():
    rng = np.random.default_rng(0)
    draws = np.exp(rng.normal(size=10**6))  # its mean is exp(1/2), its median 1
    levels = {"predicted_loss": np.median(draws)}
    for level in LEVELS:
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        levels |= {f"low_{level}": low, f"high_{level}": high}
    table = pd.DataFrame([levels])
    assert predicted_mean(table, np.inf)[0] == pytest.approx(np.exp(0.5), rel=0.1)
    assert predicted_mean(table, 2.0)[0] == pytest.approx(np.minimum(draws, 2).mean(), rel=0.05)
    assert predicted_mean(table[["predicted_loss"]], np.inf)[0] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0])
@pytest.mark.parametrize(("plateau", "slack"), [(0.0, 0.02), (0.3, 0.02), (0.7, 0.15)])
def test_the_ceiling_is_what_the_truth_reaches_or_more_where_it_does_not_matter(noise, plateau, slack):
    rng = np.random.default_rng(0)
    setup = np.repeat(np.arange(40), 120)
    truth = np.where(rng.random(4800) < plateau, 1 + 0.02 * rng.normal(size=4800), 0.5 * rng.normal(size=4800))
    rows = np.repeat(np.arange(4800), np.where(rng.random(4800) < 0.1, 5, 1))  # a tenth is trained with five seeds
    copies = pd.DataFrame({
        "source": "x", "architecture": "gru", "task_type": "rcf", "n_layers": 1, "max_params": 1000 + setup[rows],
        "eval_loss": np.exp(truth[rows] + noise * rng.normal(size=len(rows))), "diverged": False,
        "seed": np.arange(len(rows)), "hp_a": rows.astype(float),
    })  # fmt: skip
    real = [spearmanr(part["eval_loss"], truth[rows[part.index]]).statistic for _, part in copies.groupby("max_params")]
    assert -0.02 < noise_ceiling(copies, copies).mean() - np.mean(real) < slack


@pytest.mark.parametrize(("column", "values"), [("n_layers", [1, 2, 4]), ("architecture", ["gru", "irnn", "lstm"])])
def test_a_depth_or_architecture_has_its_own_ceiling_where_it_was_repeated_often_enough(column, values):
    rng = np.random.default_rng(0)
    truth, kind = rng.normal(size=600), np.repeat([0, 1, 2], [280, 300, 20])
    noise = np.array([0.1, 1.0, 0.1])[kind]
    copies = pd.DataFrame({
        "source": "x", "architecture": "gru", "task_type": "rcf", "n_layers": 1, "max_params": 1000,
        "eval_loss": np.exp(np.tile(truth, 2) + np.tile(noise, 2) * rng.normal(size=1200)), "diverged": False,
        "seed": np.repeat([0, 1], 600), "hp_a": np.tile(truth, 2),
    }).assign(**{column: np.tile(np.array(values)[kind], 2)})  # fmt: skip
    one, two, four = noise_ceiling(copies, copies)
    assert one > 0.98 and two < 0.75 and two < four < one


def test_the_ratio_to_the_ceiling_is_that_of_random_runs():
    rng = np.random.default_rng(0)
    n = 200
    chosen = np.arange(2 * n) >= n  # as many chosen configurations, all good: telling them apart from the rest is easy
    loss = np.where(chosen, 0.01, 1.0) * np.exp(rng.normal(size=2 * n) / 10)
    score = np.log(loss) + 0.1 * rng.normal(size=2 * n)
    table = pd.DataFrame({
        "source": np.where(chosen, "trainer/recommended", "trainer/random"), "architecture": "gru", "task_type": "rcf",
        "n_layers": 1, "max_params": 1000, "eval_loss": loss, "diverged": False,
    })  # fmt: skip
    scores = score_setups(table, pd.DataFrame({"score": score})).iloc[0]
    assert scores["spearman_random"] == pytest.approx(spearmanr(loss[:n], score[:n]).statistic)
    assert scores["spearman"] > scores["spearman_random"] + 0.1
    means = {name: {"mean": value} for name, value in scores.items()} | {"ceiling": {"mean": 0.9}}
    summary = {"groups": {"all": means | {"setups": 1, "spearman_min_many": scores["spearman"]}}}
    cells = dict(zip(COLUMNS, quality_row(summary), strict=True))
    assert cells["rho / ceiling"] == f"{scores['spearman_random'] / 0.9:.3f}"


def test_the_lead_is_the_mean_gain_over_setups_and_its_interval(runs):
    rng = np.random.default_rng(0)
    loss = np.minimum(usable_loss(runs), 1e9)

    def guess(noise):
        score = np.log(loss) + noise * rng.normal(size=len(runs))
        return judge_split(runs, [pd.DataFrame({"row": np.arange(len(runs)), "score": score})])

    close, far = guess(0.1), guess(1.0)
    found = lead(close, far)
    setups = runs.groupby(list(SETUP))
    gain = [
        spearmanr(loss[rows], close.predictions["score"].iloc[rows]).statistic
        - spearmanr(loss[rows], far.predictions["score"].iloc[rows]).statistic
        for rows in setups.indices.values()
        if len(rows) >= 8
    ]
    mean, low, high = found["spearman"]
    assert mean == pytest.approx(np.mean(gain))
    assert (high - low) / 2 == pytest.approx(1.96 * np.std(gain) / np.sqrt(len(gain)), rel=0.15)
    assert all(values[0] > 0 for values in found.values())
    assert lead(far, close)["spearman"][0] == pytest.approx(-mean)
    assert lead(close, close) == {name: [0.0, 0.0, 0.0] for name in found}


def test_the_summary_describes_setups(runs, tmp_path):
    parts = split_runs(runs, "by-setup")
    found = list(evaluate_split(runs, parts, predict_with(QUICK), {}, cache=tmp_path))
    summary = summarise_split(judge_split(runs, found))
    assert summary["setups_judged"] == runs[list(SETUP)].drop_duplicates().shape[0]
    assert set(runs["task_type"]) | set(runs["architecture"]) | {"all"} == set(summary["groups"])
    joined = pd.concat(found).sort_values("row").reset_index(drop=True)
    expected = score_setups(runs, joined)["spearman"].mean()
    assert summary["groups"]["all"]["spearman"]["mean"] == pytest.approx(expected)
    assert len(quality_row(summary)) == len(COLUMNS)


def test_the_command_writes_what_it_prints(runs, tmp_path, monkeypatch):
    few = runs[runs["task_type"].isin(["rcf", "text8"])].reset_index(drop=True)
    write_parquet(as_corpus(few), tmp_path / "few.parquet")
    monkeypatch.setattr("rnn_warmstart.surrogate.Settings", lambda seed: QUICK)
    arguments = ["evaluate", "--corpus", str(tmp_path / "few.parquet"), "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, "--split", "task", "--split", "by-setup", "--folds", "2"])
    assert result.exit_code == 0, result.output
    assert "| by-setup |" in result.output and "| rcf, by setup |" in result.output
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(data["splits"]) == {"task", "by-setup"} and data["corpus"]["rows"] == len(few)
    table = pd.read_parquet(tmp_path / "out" / "splits.parquet")
    assert set(table["task"]) == {"rcf", "text8"} and len(table) == len(few)


def test_the_command_refuses_unknown_splits(tmp_path):
    result = CliRunner().invoke(app, ["evaluate", "--out", str(tmp_path), "--split", "tasks"])
    assert result.exit_code == 1 and "Unknown split 'tasks'" in result.output
