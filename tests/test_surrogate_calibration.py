"""Intervals against another implementation, seed noise against its own definition."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.surrogate.calibration import LEVELS, Residuals, Stretch
from rnn_warmstart.surrogate.noise import LEAST, SeedNoise, repeated_runs
from rnn_warmstart.surrogate.targets import LossScale, random_runs, rank_quantiles, setup_codes, usable_loss


def _calibration(n=4000):
    random = np.random.default_rng(3)
    predicted, spread = random.normal(size=n), np.exp(random.normal(size=n) / 2)
    return predicted, spread, predicted + spread * random.standard_t(3, size=n)


@pytest.mark.parametrize("level", LEVELS)
def test_intervals_are_those_of_crepes(level):
    """crepes: a Mondrian conformal predictive system with normalised residuals, groups of similar prediction."""
    crepes = pytest.importorskip("crepes")
    predicted, spread, true = _calibration()
    ours = Residuals.fit(predicted[:3000], spread[:3000], true[:3000])
    low, _, high = ours.bounds(predicted[3000:], spread[3000:], level)
    bins = np.searchsorted(ours.edges, predicted)
    system = crepes.ConformalPredictiveSystem()
    system.fit(residuals=(true - predicted)[:3000], sigmas=spread[:3000], bins=bins[:3000])
    theirs = system.predict_percentiles(
        predicted[3000:], sigmas=spread[3000:], bins=bins[3000:],
        lower_percentiles=[100 * (1 - level) / 2], higher_percentiles=[100 * (1 + level) / 2],
    )  # fmt: skip
    np.testing.assert_allclose(low, theirs[:, 0], atol=1e-9)
    np.testing.assert_allclose(high, theirs[:, 1], atol=1e-9)


def test_errors_of_uneven_size_are_covered_everywhere():
    predicted, spread, true = _calibration(20_000)
    low, middle, high = Residuals.fit(predicted[:10_000], spread[:10_000], true[:10_000]).bounds(
        predicted[10_000:], spread[10_000:], 0.9
    )
    inside = (true[10_000:] >= low) & (true[10_000:] <= high)
    small, large = spread[10_000:] < 0.7, spread[10_000:] > 1.4
    assert inside[small].mean() == pytest.approx(0.9, abs=0.02)  # 3 standard errors of 3,000 runs
    assert inside[large].mean() == pytest.approx(0.9, abs=0.02)
    assert np.abs(np.median(true[10_000:] - middle)) < 0.05


def test_errors_that_a_group_has_larger_than_predicted_are_stretched():
    random = np.random.default_rng(4)
    sizes, names = np.repeat(np.log([1e3, 1e4, 1e5]), 6000), np.tile(np.array(["gru", "rnn"], dtype=object), 9000)
    factors = np.repeat([1.0, 2.0, 0.5], 6000) * np.where(names == "rnn", 1.5, 1.0)
    errors = np.abs(random.normal(size=18_000)) * factors
    stretch = Stretch.fit(errors, sizes, names, np.log([3e3, 3e4]))
    found = stretch(sizes, names)
    np.testing.assert_allclose(found / found[0], factors, rtol=0.1)
    assert (stretch(np.log([3e3, 3.1e3, 1e9]), np.array(["lstm"] * 3, dtype=object)) == stretch.sizes).all()
    few = Stretch.fit(errors[5970:6030], sizes[5970:6030], names[5970:6030], np.log([3e3, 3e4]))
    assert 1 < few.sizes[1] / few.sizes[0] < 1.5  # half of 60 runs say 2, too few to be believed


def _repeats(n, seeds, noise, rng):
    """Return runs of n configurations, `seeds` each, whose loss scores have noise of a given standard deviation."""
    level = np.repeat(rng.normal(size=n), seeds)
    runs = pd.DataFrame(
        {
            "source": "x",
            "architecture": "gru",
            "task_type": "rcf",
            "n_layers": 1,
            "max_params": 1000,
            "seed": np.tile(np.arange(seeds), n),
            "hp_lr_init": np.repeat(rng.random(n), seeds),
        }
    )
    return runs, level + noise * rng.normal(size=n * seeds), level


@pytest.mark.parametrize("seeds", [2, 5])
def test_seed_noise_has_the_spread_it_was_learned_from(seeds):
    rng = np.random.default_rng(0)
    runs, scores, _ = _repeats(3000 // seeds, seeds, 0.3, rng)
    noise = SeedNoise.fit(runs, scores)
    drawn = noise.draw(np.zeros(20_000), np.full(20_000, "rcf"), np.ones(20_000), rng)
    assert drawn.mean() == pytest.approx(0, abs=0.03)
    assert drawn.std() == pytest.approx(0.3, rel=0.08)  # quantiles cut the tails a little
    again = SeedNoise.from_dict(json.loads(json.dumps(noise.to_dict())))
    same = [x.draw(scores, runs["task_type"], runs["n_layers"], np.random.default_rng(1)) for x in (noise, again)]
    np.testing.assert_array_equal(*same)


def test_runs_without_repeats_teach_no_noise():
    runs, scores, _ = _repeats(200, 1, 0.3, np.random.default_rng(0))
    noise = SeedNoise.fit(runs, scores)
    assert noise.tasks == ()
    with pytest.raises(ValueError, match=rf"seed noise of rcf is unknown: the corpus holds fewer than {LEAST} runs"):
        noise.draw(np.zeros(3), np.full(3, "rcf"), np.ones(3), np.random.default_rng(0))


def test_depths_have_noise_of_their_own_and_few_runs_share_that_of_the_next_depth():
    rng = np.random.default_rng(0)
    parts = [_repeats(count, 2, noise, rng)[:2] for count, noise in ((500, 0.1), (500, 0.3), (5, 0.3), (500, 0.9))]
    tables = [runs.assign(n_layers=depth) for (runs, _), depth in zip(parts, (1, 2, 4, 8), strict=True)]
    noise = SeedNoise.fit(pd.concat(tables, ignore_index=True), np.concatenate([scores for _, scores in parts]))
    for depth, spread in ((1, 0.1), (2, 0.3), (3, 0.9), (4, 0.9), (8, 0.9), (16, 0.9)):
        drawn = noise.draw(np.zeros(20_000), np.full(20_000, "rcf"), np.full(20_000, depth), rng)
        assert drawn.std() == pytest.approx(spread, rel=0.25), depth


def test_repeats_are_runs_that_differ_in_their_seed_alone():
    runs = load_builtin().runs
    repeats = repeated_runs(runs)
    mine = runs[repeats >= 0].assign(number=repeats)
    assert mine.groupby("number").size().min() >= 2
    assert mine.groupby("number")["hp_lr_init"].nunique().max() == 1
    assert (mine.groupby("number")["seed"].nunique() == mine.groupby("number").size()).all()
    assert (runs[runs["source"] == "trainer/replicate"].index.isin(mine.index)).all()


def test_chosen_runs_are_ranked_among_random_ones_and_change_none_of_them(runs):
    one = runs[setup_codes(runs) == 0].reset_index(drop=True)
    chosen = one.iloc[:2].assign(source="trainer/recommended", diverged=False)
    chosen["eval_loss"] = [usable_loss(one).min() / 2, np.sort(usable_loss(one))[3]]
    both = pd.concat([one, chosen], ignore_index=True)
    quantiles, alone, n = rank_quantiles(both), rank_quantiles(one), len(one)
    np.testing.assert_array_equal(quantiles[:n], alone)
    assert quantiles[n] == 1 / (4 * n)  # better than all
    assert quantiles[n + 1] == pytest.approx((3 + 0.5) / n)  # as good as the fourth
    assert random_runs(both).tolist() == [True] * n + [False] * 2
    assert random_runs(chosen).all()  # a setup without random runs


def test_ranks_among_random_runs_agree_with_counting():
    rng = np.random.default_rng(5)
    n = 400
    runs = pd.DataFrame(
        {
            "source": rng.choice(["a", "b/recommended"], n),
            "architecture": rng.choice(["gru", "rnn"], n),
            "task_type": "rcf",
            "n_layers": 1,
            "max_params": 1000,
            "eval_loss": rng.integers(0, 30, n) / 10,
            "diverged": rng.random(n) < 0.1,
        }
    )
    loss, codes, random = usable_loss(runs), setup_codes(runs), random_runs(runs)
    quantiles = rank_quantiles(runs)
    for row in range(0, n, 7):
        mates = loss[random & (codes == codes[row])]
        lower, equal = (mates < loss[row]).sum(), (mates == loss[row]).sum()
        expected = np.clip((lower + equal / 2) / len(mates), 1 / (4 * len(mates)), 1 - 1 / (4 * len(mates)))
        assert quantiles[row] == pytest.approx(expected)


def test_the_scale_of_losses_is_fitted_on_all_runs(runs):
    scale = LossScale.fit(runs)
    assert set(scale.knots) == set(runs["task_type"])
