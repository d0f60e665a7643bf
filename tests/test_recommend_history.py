"""Learning from the user's trials: every form of a history, what is refused, and what it changes."""

from __future__ import annotations

import numpy as np
import optuna
import pandas as pd
import pytest
from rnn_warmstart import recommend
from rnn_warmstart.recommend.history import Corrected
from rnn_warmstart.recommend.limits import Limits
from rnn_warmstart.recommend.query import build_query
from rnn_warmstart.surrogate.library import get_surrogate

optuna.logging.set_verbosity(optuna.logging.ERROR)

QUERY = {"arch": "rnn", "task": "rcf", "params": 3e3, "depth": 2}


@pytest.fixture(scope="module")
def query():
    return build_query(get_surrogate(), "rnn", "rcf", 3e3, 2, 5, Limits.check(), 0)


@pytest.fixture(scope="module")
def configs(query):
    return query.space.configurations(query.space.sample(12, np.random.default_rng(1)))


@pytest.fixture(scope="module")
def losses(configs):
    """Losses that fall with the L2 decay, whatever the surrogate thinks."""
    return [-np.log(config["l2_decay"]) for config in configs]


def as_study(query, configs, losses, direction="minimize"):
    study = optuna.create_study(direction=direction)
    space = query.space.distributions()
    for config, loss in zip(configs, losses, strict=True):
        study.add_trial(optuna.create_trial(params=config, distributions=space, value=loss))
    return study


def test_every_form_of_a_history_teaches_the_same(query, configs, losses):
    pairs = list(zip(configs, losses, strict=True))
    dicts = [config | {"loss": loss} for config, loss in pairs]
    forms = [
        pairs,
        dicts,
        pd.DataFrame(dicts),
        as_study(query, configs, losses),
        as_study(query, configs, [-loss for loss in losses], "maximize"),
    ]
    points = query.space.sample(50, np.random.default_rng(2))
    found = [Corrected.by(form, get_surrogate(), query)(points) for form in forms]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_the_recommendation_learns(query, configs, losses):
    before = recommend(**QUERY, n=3)
    after = recommend(**QUERY, n=3, history=list(zip(configs, losses, strict=True)))
    assert after.trials == 12 and 0 <= after.believed < 1
    decay = [np.mean([np.log(item.hparams["l2_decay"]) for item in found]) for found in (before, after)]
    assert decay[1] > decay[0]
    assert after.to_dict()["history"] == {"trials": 12, "believed": after.believed}
    assert "12 trials leave the surrogate believed to" in repr(after)
    assert "history" not in before.to_dict() and before.trials == 0 and before.believed == 1


def test_trials_that_bear_the_surrogate_out_keep_it_believed(query, configs):
    surrogate = get_surrogate()
    units = query.space.sample(25, np.random.default_rng(3))
    said = Corrected(surrogate, query)(units)
    known = query.space.configurations(units)
    right, wrong = (
        Corrected.by(list(zip(known, (sign * said).tolist(), strict=True)), surrogate, query) for sign in (1, -1)
    )
    assert right.weight > 0.75 and wrong.weight < 0.25
    fresh = query.space.sample(300, np.random.default_rng(4))
    prior = Corrected(surrogate, query)(fresh)
    assert np.corrcoef(right(fresh), prior)[0, 1] > 0.9
    assert np.corrcoef(wrong(fresh), prior)[0, 1] < 0


def test_an_empty_history_changes_nothing():
    assert recommend(**QUERY, n=2, history=[]).to_json() == recommend(**QUERY, n=2).to_json()


def test_diverged_trials_and_values_outside_count(query, configs, losses):
    pairs = [
        (config, None if row < 3 else loss) for row, (config, loss) in enumerate(zip(configs, losses, strict=True))
    ]
    pairs[0] = (pairs[0][0] | {"lr_init": 50.0}, float("nan"))
    pairs[1] = (pairs[1][0], float("inf"))
    points = query.space.sample(20, np.random.default_rng(2))
    clipped = [(pairs[0][0] | {"lr_init": 1.0}, None), *pairs[1:]]
    first, second = (Corrected.by(item, get_surrogate(), query)(points) for item in (pairs, clipped))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, Corrected.by(pairs[3:], get_surrogate(), query)(points))


def test_what_is_fixed_may_be_left_out(configs, losses):
    fixed = {"optimizer": "Adam"}
    adam = [config for config in configs if config["optimizer"] == "Adam"]
    bare = [{name: value for name, value in config.items() if name != "optimizer"} for config in adam]
    found = [
        recommend(**QUERY, n=1, fixed=fixed, history=[(config, float(row)) for row, config in enumerate(form)])
        for form in (adam, bare)
    ]
    assert found[0].to_json() == found[1].to_json()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: "trials.csv", "history must be a list of .* pairs, .* or an Optuna study, but got str"),
        (lambda c: 3, "but got int"),
        (lambda c: [c], r"history\[0\] lacks 'loss'; it has .*lr_init"),
        (lambda c: [(c, 1.0), (c, 1.0, 2.0)], r"history\[1\] must be a \(configuration, loss\) pair"),
        (lambda c: [(c | {"lr": 0.1}, 1.0)], r"Unknown hyperparameter in history\[0\]: 'lr'"),
        (lambda c: [({"lr_init": 0.1}, 1.0)], r"history\[0\] lacks .*optimizer.*every hyperparameter that varies"),
        (lambda c: [(c, "low")], r"The loss of history\[0\] must be a number, or None if it diverged, but got 'low'"),
        (lambda c: [(c, True)], "must be a number, .* but got True"),
        (lambda c: [(c, None), (c, float("nan"))], "history has 2 trials, but no finite loss"),
        (lambda c: [(c | {"optimizer": "Lion"}, 1.0)], r"history\[0\] has optimizer='Lion', but the search knows Adam"),
        (lambda c: [(c | {"lr_init": "fast"}, 1.0)], r"history\[0\] has lr_init='fast', but the search knows numbers"),
    ],
)
def test_bad_histories_are_refused(configs, change, message):
    with pytest.raises(ValueError, match=message):
        recommend(**QUERY, history=change(configs[0]))


def test_a_study_of_two_objectives_is_refused():
    with pytest.raises(ValueError, match="history must be a study with one objective, but got one with 2"):
        recommend(**QUERY, history=optuna.create_study(directions=["minimize", "minimize"]))


def test_the_depth_is_part_of_a_history_where_the_search_chooses_it(configs):
    with pytest.raises(ValueError, match=r"history\[0\] lacks n_layers"):
        recommend("rnn", "rcf", 3e3, history=[(configs[0], 1.0)])
    assert recommend("rnn", "rcf", 3e3, n=1, history=[(configs[0] | {"n_layers": 2}, 1.0)]).trials == 1
