"""The portfolio and its gains, what configurations tolerate, and the portfolio for any task."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart import recommend
from rnn_warmstart.corpus import SETUP, load_builtin
from rnn_warmstart.corpus.schema import CHOSEN
from rnn_warmstart.features import Dimension, Space
from rnn_warmstart.recommend import search
from rnn_warmstart.recommend.forecast import Forecast, query_rows, scores
from rnn_warmstart.recommend.limits import Limits
from rnn_warmstart.recommend.portfolio import UNCERTAINTY, WORTH, Portfolio, choose_portfolio
from rnn_warmstart.recommend.query import build_query
from rnn_warmstart.recommend.search import Elites
from rnn_warmstart.recommend.tolerance import ladder, number_axes, points_on, strains, tolerated
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate
from rnn_warmstart.surrogate.library import get_surrogate
from scipy.stats import norm

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)
LINE = Space((Dimension("rate", "log", 1e-4, 1.0),), {}, {})
TASKS = ("arithmetic", "mem_thru", "parens_counting", "per_cap", "rcf", "text8")
elites = st.lists(st.tuples(st.floats(0, 1), st.floats(-3, 3)), min_size=1, max_size=12).map(
    lambda pairs: Elites(
        np.array([[place] for place, _ in pairs]), np.sort(np.array([score for _, score in pairs], dtype=np.float64))
    )
)


def query_of(surrogate, task="text8", arch="gru", **limits):
    return build_query(surrogate, arch, task, 1e4, None, 5, Limits.check(**limits), 0)


@pytest.fixture(scope="module")
def found():
    return recommend("gru", "text8", 1e4)


@pytest.fixture(scope="module")
def anywhere():
    return recommend("gru", "any", 1e4, n=3)


@settings(deadline=None)
@given(elites, st.integers(1, 12))
def test_each_adds_less_than_the_one_before(some, n):
    portfolio = choose_portfolio(some, LINE, n, 0)
    assert portfolio.chosen[0] == 0 and len(set(portfolio.chosen)) == len(portfolio.chosen) == min(n, len(some.scores))
    assert (np.diff(portfolio.gains[1:]) <= 1e-12).all() and (portfolio.gains[1:] >= -1e-12).all()
    shorter = choose_portfolio(some, LINE, max(n - 1, 1), 0)  # the best of the first k, whatever n
    assert portfolio.chosen[: len(shorter.chosen)].tolist() == shorter.chosen.tolist()
    np.testing.assert_allclose(portfolio.gains[: len(shorter.gains)], shorter.gains)


def test_gains_are_those_of_two_normal_variables():
    scores = np.array([-2.0, -1.7])
    first, second = choose_portfolio(Elites(np.array([[0.0], [1.0]]), scores), LINE, 2, 0).gains
    # E min(X, Y) of independent normal variables (Clark 1961)
    theta = UNCERTAINTY * np.sqrt(2)
    apart = (scores[1] - scores[0]) / theta
    best = scores[0] * norm.cdf(apart) + scores[1] * norm.cdf(-apart) - theta * norm.pdf(apart)
    error = 4 * UNCERTAINTY / np.sqrt(512)  # four standard errors of 512 draws
    assert first == pytest.approx(2.0, abs=error) and first + second == pytest.approx(-best, abs=error)


def test_a_twin_adds_nothing_and_a_distant_one_does():
    twins = Elites(np.array([[0.3], [0.3], [1.0]]), np.array([-2.0, -2.0, -1.9]))
    portfolio = choose_portfolio(twins, LINE, 3, 0)
    assert portfolio.chosen.tolist() == [0, 2, 1]
    assert portfolio.gains[1] > 0.1 > 0.01 > portfolio.gains[2]


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ([2.0, 0.2, 0.07, 0.015, 0.01], 3),
        ([2.0, 0.015], 1),
        ([2.0, 0.2, 0.1], 3),
        ([2.0], 1),
        ([-0.5, 0.3, 0.2], 1),
    ],
)
def test_it_says_after_which_it_stops_paying(gains, expected):
    assert Portfolio(np.arange(len(gains)), np.array(gains)).stop_after == expected


def test_every_form_shows_gains_and_where_to_stop():
    found = recommend("gru", "text8", 1e4, n=12)
    gains = [item.gain for item in found]
    assert gains[0] > 1 > gains[1] and gains[1:] == sorted(gains[1:], reverse=True)
    assert 1 < found.stop_after < 12
    assert gains[found.stop_after - 1] >= WORTH * gains[0] > gains[found.stop_after]
    data, frame = json.loads(found.to_json()), found.to_frame()
    assert data["stop_after"] == found.stop_after and [item["gain"] for item in data["recommendations"]] == gains
    assert frame["gain"].tolist() == gains and frame["pays"].sum() == found.stop_after
    assert frame["pays"].tolist() == sorted(frame["pays"], reverse=True)
    assert "gain of trying it" in repr(found) and f"Stop after {found.stop_after}:" in repr(found)
    assert f"Stop after {found.stop_after}:" in found._repr_html_()
    assert "Each of them is worth trying." in repr(recommend("gru", "text8", 1e4, n=1))


def test_configurations_tolerate_their_own_values(found):
    numbers = [item for item in found.query.space.dimensions if not item.choices]
    for config in found:
        assert set(config.tolerance) == {item.name for item in numbers} & set(config.hparams)
        for item in numbers:
            low, high = config.tolerance[item.name]
            assert item.low <= low <= config.hparams[item.name] <= high <= item.high
            assert isinstance(low, int) == item.integer
        share = {item.name: np.ptp(item.units(np.array(config.tolerance[item.name]))) for item in numbers}
        assert [share[name] for name in config.tolerance] == pytest.approx(sorted(share.values()), abs=1e-3)
    assert found.to_dict()["recommendations"][0]["tolerance"] == {k: list(v) for k, v in found[0].tolerance.items()}


def test_the_most_sensitive_three_are_in_the_table(found):
    shown = [label.removesuffix(" may be") for label in found.table().index if label.endswith(" may be")]
    assert shown == found.sensitive() and len(shown) == 3
    mean = {
        item.name: np.mean([np.ptp(item.units(np.array(config.tolerance[item.name]))) for config in found])
        for item in found.query.space.dimensions
        if not item.choices
    }
    assert shown == sorted(mean, key=mean.get)[:3]
    for label in shown:
        low, high = found[1].tolerance[label]
        text = f"{low:,} .. {high:,}" if isinstance(low, int) else f"{low:.2g} .. {high:.2g}"
        assert found.table().loc[f"{label} may be", "#2"] == text


@pytest.mark.parametrize(("arch", "task"), [("gru", "text8"), ("lstm", "rcf"), ("rnn", "arithmetic")])
def test_a_factor_of_1_5_in_the_learning_rate_is_tolerated(arch, task):
    surrogate, found = get_surrogate(), recommend(arch, task, 1e4, n=2)
    bounds = next(item for item in found.query.space.dimensions if item.name == "lr_init")
    runs = load_builtin().runs.query("task_type == @task")
    median = runs["eval_loss"].astype(float).where(~runs["diverged"].astype(bool), np.inf).fillna(np.inf).median()
    for config in found:
        rate, (low, high) = config.hparams["lr_init"], config.tolerance["lr_init"]
        assert low <= max(rate / 1.5, bounds.low) * (1 + 1e-6) and high >= min(rate * 1.5, bounds.high) * (1 - 1e-6)
        allowed = 0.05 * max(config.predicted_loss, 0.01 * median) * 1.02  # the surrogate's median is interpolated
        for moved in (rate, rate / 1.5, rate * 1.5):  # the second way: the surrogate asked about plain rows
            row = {f"hp_{name}": [value] for name, value in config.hparams.items()} | {"hp_lr_init": [moved]}
            row |= {"architecture": [arch], "task_type": [task], "n_layers": [config.n_layers], "max_params": [1e4]}
            assert surrogate.predict(row)["predicted_loss"].iloc[0] <= config.predicted_loss + allowed


def test_fragile_configurations_are_left_out_while_enough_others_remain(monkeypatch):
    surrogate = get_surrogate()
    query = query_of(surrogate, "rcf")
    sturdy = search.search_elites(surrogate, query)
    monkeypatch.setattr(search, "strains", lambda own, moved: fragile(own, 40))
    fewer = search.search_elites(surrogate, query)
    monkeypatch.setattr(search, "strains", lambda own, moved: fragile(own, 62))  # 2 are left, 5 are asked for
    everything = search.search_elites(surrogate, query)
    assert len(fewer.scores) == len(everything.scores) - 40 and set(fewer.scores) <= set(everything.scores)
    assert fewer.scores[0] == everything.scores[40]
    assert set(sturdy.scores) <= set(everything.scores)


def fragile(own, n):
    strain = np.zeros((len(own.mean("score")), 4))
    strain[:n, 2] = 1.5
    return strain


def forecast(losses, scores, typical=1.0, tasks=("text8",)):
    weights = dict.fromkeys(tasks, 1 / len(tasks))
    table = pd.DataFrame({"predicted_loss": losses, "score": scores})
    return Forecast(SimpleNamespace(weights=weights), dict.fromkeys(tasks, table), dict.fromkeys(tasks, typical))


def test_five_percent_of_the_loss_or_half_a_normal_score_are_tolerated():
    own, still = forecast([2.0, 1e-6], [-2.0, -2.0]), [-2.0, -2.0]
    rise = strains(own, forecast([2.1, 1e-6 + 0.0005], still))  # 5 % of 2, and of a hundredth of the median loss
    assert rise.ravel() == pytest.approx([1.0, 1.0])
    assert strains(own, forecast([2.4, 1e-6 + 0.0005], still)).ravel() == pytest.approx([4.0, 1.0])
    assert strains(own, forecast([2.0, 1e-6], [-1.5, -1.0])).ravel() == pytest.approx([1.0, 2.0])
    assert strains(own, forecast([1.0, 0.0], [-3.0, -2.25])).max() <= 0  # better is always tolerated
    assert strains(own, forecast([2.1] * 2 + [0.1] * 2, [-2.0] * 4)).shape == (2, 2)
    several = ("rcf", "text8")  # whose losses have no unit in common
    moved = forecast([9.0, 9.0], [-1.75, -2.5], tasks=several)
    assert strains(forecast([2.0, 1e-6], still, tasks=several), moved).ravel() == pytest.approx([0.5, -1.0])


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0.01, 2), st.floats(0.01, 2))
def test_a_linear_strain_is_cut_exactly(own, down, up):
    places = ladder(LINE, np.array([[own]]), [0])
    strain = np.where(places < own, (own - places) / down, (places - own) / up)
    ((ends,),) = tolerated(places, strain, np.array([[own]]))
    assert ends == pytest.approx([max(own - down, 0), min(own + up, 1)], abs=1e-9)


def test_the_first_break_counts_and_the_space_ends():
    places = np.array([[[[0.4, 0.2, 0.0], [0.6, 0.8, 1.0]]]])
    strain = np.array([[[[3.0, -1.0, 0.0], [-1.0, 0.2, 0.9]]]])
    ((ends,),) = tolerated(places, strain, np.array([[0.5]]))
    assert ends == pytest.approx([0.5 - 0.1 / 3, 1.0])


def test_one_number_moves_at_a_time():
    others = (Dimension("bias", "linear", -2.0, 2.0), Dimension("optimizer", "category", choices=("Adam", "SGD")))
    space = Space((*LINE.dimensions, *others), {}, {})
    units, axes = np.array([[0.5, 0.5, 0.2], [0.1, 0.9, 0.7]]), number_axes(space)
    assert axes == [0, 1]
    places = ladder(space, units, axes)
    assert places.min() == 0 and places.max() == 1
    rates = space.dimensions[0].values(places[0, 0, :, 1])  # one rung away
    assert rates == pytest.approx([0.01 / 1.5, 0.01 * 1.5])
    points = points_on(places, units, axes).reshape(*places.shape, 3)
    for row, unit in enumerate(units):
        for axis in axes:
            assert (points[row, axis, ..., axis] == places[row, axis]).all()
            rest = [other for other in range(3) if other != axis]
            assert (points[row, axis][..., rest] == unit[rest]).all()


def test_any_task_tells_losses_by_task(anywhere):
    assert anywhere.query.weights == pytest.approx(dict.fromkeys(TASKS, 1 / 6))
    for item in anywhere:
        assert item.predicted_loss is None and item.interval is None and item.hidden_units is None
        assert set(item.by_task) == set(TASKS)
        assert item.expected_rank == pytest.approx(np.mean([told["expected_rank"] for told in item.by_task.values()]))
        assert item.p_diverge == pytest.approx(np.mean([told["p_diverge"] for told in item.by_task.values()]))
        for told in item.by_task.values():
            assert told["interval"][0] <= told["predicted_loss"] <= told["interval"][1]
        tasks = [run["task_type"] for run in item.evidence]
        assert len(set(tasks)) == len(tasks) == 3
    data = json.loads(anywhere.to_json())
    assert data["query"]["task"] == "any" and data["recommendations"][0]["predicted_loss"] is None
    frame = anywhere.to_frame()
    assert frame["predicted_loss_rcf"].tolist() == [item.by_task["rcf"]["predicted_loss"] for item in anywhere]
    assert "loss on rcf" in repr(anywhere) and "predicted loss" not in repr(anywhere)
    assert "lr_init may be" in repr(anywhere)


def test_the_evidence_for_any_task_was_good_in_its_setup(anywhere):
    runs = load_builtin().runs
    random = runs[~runs["source"].str.endswith(CHOSEN)]
    for run in (run for item in anywhere for run in item.evidence):
        setup = (random[list(SETUP)] == [run[name] for name in SETUP]).all(axis=1)
        assert (random.loc[setup, "eval_loss"] < run["eval_loss"]).mean() <= 0.1


def test_one_task_tells_nothing_by_task(found):
    assert all(item.by_task == {} for item in found)
    assert not [name for name in found.to_frame() if name.startswith("predicted_loss_")]


def test_any_task_is_judged_by_the_mean_score(anywhere):
    surrogate = get_surrogate()
    query, units = anywhere.query, anywhere.elites.units[:4]
    each = [scores(surrogate, query_of(surrogate, task), units) for task in TASKS]
    np.testing.assert_allclose(scores(surrogate, query, units), np.mean(each, axis=0), atol=1e-5)  # float32 networks
    np.testing.assert_allclose(Forecast.of(surrogate, query, units).mean("score"), np.mean(each, axis=0), atol=1e-5)


def test_any_task_s_first_is_far_above_random_ones_on_every_task(anywhere):
    surrogate, units = get_surrogate(), anywhere.query.space.sample(300, np.random.default_rng(1))
    for task in TASKS:
        query = query_of(surrogate, task)
        (best,) = scores(surrogate, query, anywhere.elites.units[:1])
        assert best < np.quantile(scores(surrogate, query, units), 0.05)


def test_any_task_obeys_limits():
    found = recommend("rnn", "any", 3e3, n=2, fixed={"optimizer": "SGD"}, ranges={"train_steps": (200, 300)}, depth=1)
    for item in found:
        assert item.hparams["optimizer"] == "SGD" and 200 <= item.hparams["train_steps"] <= 300 and item.n_layers == 1


def test_any_task_must_exist_for_the_architecture_and_hold_the_network():
    with pytest.raises(ValueError, match="Unknown architecture 'gruu'"):
        recommend("gruu", "any", 1e4)
    with pytest.raises(ValueError, match="params=30 cannot hold one hidden unit: gru of 1 layers on"):
        recommend("gru", "any", 30)


def test_a_task_s_own_hyperparameter_is_absent_from_the_others(runs):
    table = runs[runs["architecture"] == "gru"].copy()
    mine = (table["task_type"] == "per_cap").to_numpy()
    table["hp_samples"] = np.where(mine, np.linspace(0.1, 10, len(table)), np.nan)
    surrogate = Surrogate.fit(table, Settings(trees=5, diverge_trees=5, folds=2, network=QUICK))
    query = query_of(surrogate, "any")
    rows = query_rows(query, query.space.sample(4, np.random.default_rng(0)))
    assert rows["task_type"].tolist() == np.repeat(TASKS, 4).tolist()
    has = np.array([value is not None for value in rows["hp_samples"]])
    assert (has == (rows["task_type"] == "per_cap")).all()
    assert "samples" not in query_of(surrogate, "text8").space.names
    assert np.isfinite(scores(surrogate, query, query.space.sample(4, np.random.default_rng(0)))).all()


def test_where_tasks_differ_each_gets_a_configuration_of_its_own():
    """The second is best for the task that the first is bad for, though its mean is worse than that of others."""
    by_task = np.array([[-3.0, -2.8, -0.5], [-1.0, -1.1, -3.0]])
    elites = Elites(np.array([[0.1], [0.15], [0.9]]), by_task.mean(axis=0), by_task, np.array([0.5, 0.5]))
    portfolio, blind = (choose_portfolio(each, LINE, 2, 0) for each in (elites, Elites(elites.units, elites.scores)))
    assert portfolio.chosen.tolist() == [0, 2]
    assert portfolio.gains[1] > 0.8 > 0.2 > blind.gains[1]


def test_the_best_of_each_task_are_among_the_elites(anywhere):
    elites, query = anywhere.elites, anywhere.query
    assert elites.by_task.shape == (len(query.weights), len(elites.scores)) and elites.scores[0] == elites.scores.min()
    np.testing.assert_allclose(np.array(list(query.weights.values())) @ elites.by_task, elites.scores, atol=1e-6)
    (alone,) = {len(recommend("gru", "rcf", 1e4, n=1).elites.scores)}
    assert len(elites.scores) > alone
