"""What recommend() answers, what it refuses, and where it warns. With the shipped models and corpus."""

from __future__ import annotations

import json

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from rnn_warmstart import recommend
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.features import ARCHITECTURES, Condition, Dimension, Space
from rnn_warmstart.recommend.forecast import query_rows
from rnn_warmstart.recommend.limits import Limits
from rnn_warmstart.recommend.portfolio import choose_portfolio
from rnn_warmstart.recommend.query import build_query
from rnn_warmstart.recommend.search import search_elites
from rnn_warmstart.surrogate import NetworkSettings
from rnn_warmstart.surrogate.library import get_surrogate

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)

QUERY = {"arch": "gru", "task": "text8", "params": 2e4}


@pytest.fixture(scope="module")
def found():
    return recommend(**QUERY)


def coverage(arch):
    return get_surrogate().coverage.architectures[arch]


@pytest.mark.parametrize("arch", sorted(ARCHITECTURES))
@pytest.mark.parametrize("task", ["text8", "per_cap"])
def test_configurations_are_complete_different_and_best_first(arch, task):
    found = recommend(arch, task, 1e4)
    domains = coverage(arch).domains
    assert len(found) == 5
    for item in found:
        assert set(item.hparams) == set(domains)
        for name, value in item.hparams.items():
            domain = domains[name]
            assert value in domain.choices if domain.choices else domain.low <= value <= domain.high
        low, high = item.interval
        assert low <= item.predicted_loss <= high
        assert 0 <= item.p_diverge <= 1 and 0 <= item.expected_rank <= 1
        assert item.n_layers in coverage(arch).depths
    assert len({json.dumps(item.to_dict()["hparams"]) for item in found}) == 5
    assert found[0].expected_rank == min(item.expected_rank for item in found)


def test_the_width_is_the_one_that_the_budget_buys():
    item = recommend("lstm", "text8", 1_268_217, depth=4, n=1)[0]
    assert (item.n_layers, item.hidden_units, item.num_params) == (4, 210, 1_268_217)


def test_the_first_is_predicted_far_above_random_ones(found):
    surrogate = get_surrogate()
    query = build_query(surrogate, "gru", "text8", 2e4, None, 5, Limits(), 0)
    units = query.space.sample(500, np.random.default_rng(5))
    scores = surrogate.predict(query_rows(query, units))["score"]
    assert search_elites(surrogate, query).scores[0] < scores.quantile(0.01)
    assert found[0].expected_rank < 0.05


def test_the_same_question_has_the_same_answer_and_the_seed_matters(found):
    assert recommend(**QUERY).to_json() == found.to_json()
    assert recommend(**QUERY, seed=1).to_dict()["recommendations"] != found.to_dict()["recommendations"]


def test_every_option_is_obeyed():
    fixed = {"optimizer": "SGD", "lr_init": 0.05}
    found = recommend("ugrnn", "rcf", 3e3, depth=2, n=3, fixed=fixed, max_train_steps=700)
    assert len(found) == 3
    for item in found:
        assert item.hparams["optimizer"] == "SGD" and item.hparams["lr_init"] == 0.05
        assert item.hparams["train_steps"] <= 700 and item.n_layers == 2
    assert found.warnings == ()


def test_everything_fixed_leaves_one_configuration():
    fixed = recommend("irnn", "rcf", 3e3, depth=1, n=1)[0].hparams
    found = recommend("irnn", "rcf", 3e3, depth=1, fixed=fixed)
    assert [item.hparams for item in found] == [fixed]


def test_the_caller_s_fixed_is_left_alone():
    fixed = {"n_layers": 2, "optimizer": "Adam"}
    assert recommend(**QUERY, fixed=fixed)[0].n_layers == 2
    assert fixed == {"n_layers": 2, "optimizer": "Adam"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "gruu"}, r"Unknown architecture 'gruu'\. Did you mean 'gru'\? Known: '\+rnn', 'gru'"),
        ({"arch": None}, "Unknown architecture None"),
        ({"task": "text"}, r"Unknown task 'text'\. Did you mean 'text8'\? Known: 'arithmetic'"),
        ({"params": 0}, "params must be a finite number of at least 1, but got 0"),
        ({"params": -5.0}, r"params must be .* but got -5\.0"),
        ({"params": float("nan")}, "params must be .* but got nan"),
        ({"params": float("inf")}, "params must be .* but got inf"),
        ({"params": True}, "params must be .* but got True"),
        ({"params": "1e6"}, "params must be .* but got '1e6'"),
        ({"params": 20}, "params=20 cannot hold one hidden unit: gru of 1 layers on text8 needs at least"),
        ({"depth": 0}, "depth must be a whole number of at least 1, but got 0"),
        ({"depth": 1.5}, r"depth must be a whole number of at least 1, but got 1\.5"),
        ({"n": 0}, "n must be a whole number of at least 1, but got 0"),
        ({"seed": -1}, "seed must be a whole number of at least 0, but got -1"),
        ({"max_train_steps": 0}, "max_train_steps must be a finite number of at least 1, but got 0"),
        ({"max_train_steps": float("nan")}, "max_train_steps must be .* but got nan"),
        ({"fixed": {"lr": 0.1}}, "Unknown hyperparameter of gru in fixed: 'lr'.*Known: 'forget_gate_bias_hack'"),
        ({"fixed": {"lr_initt": 0.1}}, "Did you mean 'lr_init'"),
        ({"fixed": {"optimizer": "adam"}}, "Unknown value of optimizer: 'adam'. Did you mean 'Adam'"),
        ({"fixed": {"lr_init": 5.0}}, r"fixed lr_init=5\.0 is outside the range .* 0\.0001 to 1; choose"),
        ({"fixed": {"lr_init": float("nan")}}, "fixed lr_init must be a finite number, but got nan"),
        ({"fixed": {"lr_init": "fast"}}, "fixed lr_init must be a finite number, but got 'fast'"),
        ({"fixed": {"train_steps": 200.5}}, r"fixed train_steps must be a whole number from .* but got 200\.5"),
        ({"fixed": {"activation": "relu"}}, "Unknown hyperparameter of gru in fixed: 'activation'"),
        (
            {"fixed": {"train_steps": 2000}, "max_train_steps": 1000},
            "fixed train_steps=2000 contradicts max_train_steps=1000; raise the limit or lower",
        ),
        ({"fixed": {"n_layers": 2}, "depth": 4}, r"depth=4 and fixed\['n_layers'\]=2 contradict each other"),
    ],
)
def test_bad_questions_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        recommend(**(QUERY | change))


def test_a_missing_models_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no surrogate: registry\.json is missing\. Fit it again"):
        recommend(**QUERY, models=tmp_path)


def test_a_size_beyond_the_corpus_is_answered_with_a_warning():
    largest = coverage("gru").sizes[-1]
    found = recommend("gru", "text8", 10 * largest)
    warning = found.warnings[0]
    assert f"params={10 * largest:,} lies outside the" in warning and "(10 times above)" in warning
    assert f"the surrogate was asked about {largest:,}" in warning
    inside = recommend("gru", "text8", largest)
    assert [item.hparams for item in found] == [item.hparams for item in inside]
    assert found[0].num_params > largest >= inside[0].num_params and inside.warnings == found.warnings[1:]


def test_a_size_that_few_runs_have_is_answered_with_a_warning():
    of_size = load_builtin().runs.query("architecture == 'gru' and max_params > 5e5").groupby("task_type").size()
    assert 0 < of_size["rcf"] < 8 and "text8" not in of_size
    (few,), (none,) = recommend("gru", "rcf", 1e6, n=1).warnings, recommend("gru", "text8", 1e6, n=1).warnings
    assert f" runs of gru on rcf, {of_size['rcf']} had between 500,000 and 2,000,000 parameters" in few
    assert " runs of gru on text8, none had between" in none and "extrapolated" in none
    assert recommend("gru", "any", 1e5, n=1).warnings == ()


def test_depths_and_steps_beyond_the_corpus_are_answered_with_warnings():
    deepest = coverage("gru").depths[-1]
    found = recommend(**QUERY, depth=2 * deepest, n=1)
    assert f"depth={2 * deepest} is not among the depths" in found.warnings[0] and found[0].n_layers == 2 * deepest
    high = coverage("gru").domains["train_steps"].up_to(coverage("gru").longest_at(QUERY["params"])).high
    assert (
        f"allows more than the {high:.0f} training steps" in recommend(**QUERY, max_train_steps=10 * high).warnings[0]
    )
    short = recommend(**QUERY, max_train_steps=10, n=1)
    assert short[0].hparams["train_steps"] == 10 and "max_train_steps=10 lies outside" in short.warnings[0]
    long = recommend(**QUERY, fixed={"train_steps": 10 * high}, n=1)
    assert long[0].hparams["train_steps"] == 10 * high and "(10 times above)" in long.warnings[0]


def test_its_forms_tell_the_same(found):
    data = json.loads(found.to_json())
    assert data == found.to_dict()
    assert set(data) == {"query", "recommendations", "stop_after", "warnings"}
    first = data["recommendations"][0]
    assert list(first) == [
        "hparams", "n_layers", "hidden_units", "num_params", "predicted_loss", "interval", "p_diverge",
        "expected_rank", "gain", "tolerance", "by_task", "evidence",
    ]  # fmt: skip
    frame = found.to_frame()
    assert frame["predicted_loss"].tolist() == [item.predicted_loss for item in found]
    assert frame["optimizer"].tolist() == [item.hparams["optimizer"] for item in found]
    assert "5 configurations for gru on text8, 20,000 parameters" in repr(found) and "lr_init" in repr(found)
    assert "<table" in found._repr_html_()


def test_the_evidence_is_real(found):
    runs = load_builtin().runs
    for run in found[0].evidence:
        rows = (runs["architecture"] == "gru") & (runs["task_type"] == "text8") & (runs["source"] == run["source"])
        for name, value in run["hparams"].items():
            rows &= runs[f"hp_{name}"] == value
        assert run["eval_loss"] in runs.loc[rows, "eval_loss"].tolist()
    shares = [run["similarity"] for run in found[0].evidence]
    assert shares == sorted(shares, reverse=True) and 0 < shares[-1] <= shares[0] <= 1


def objective(trial):
    return trial.suggest_float("lr_init", 1e-4, 1.0, log=True)


def test_a_study_starts_with_the_recommendations(found):
    study = optuna.create_study()
    assert found.enqueue(study) is study
    study.optimize(objective, n_trials=5)
    assert [trial.params["lr_init"] for trial in study.trials] == [item.hparams["lr_init"] for item in found]


def test_a_parameter_that_the_study_lacks_is_an_error(found):
    study = optuna.create_study()
    study.optimize(objective, n_trials=1)
    with pytest.raises(
        ValueError, match=r"nothing was enqueued\..*'optimizer' is not one of its parameters \(lr_init\)"
    ):
        found.enqueue(study)
    assert len(study.trials) == 1


def test_a_value_outside_the_study_s_bounds_is_an_error(found):
    space = found.study.get_trials()[0].distributions
    narrow = space | {"lr_init": FloatDistribution(0.5, 1.0), "optimizer": CategoricalDistribution(["SGD"])}
    study = optuna.create_study()
    with pytest.raises(ValueError, match=r"lr_init=.* is outside FloatDistribution"):
        found.enqueue(study, narrow)
    assert study.get_trials() == []
    found.enqueue(study, space)
    assert len(study.get_trials()) == 5


def test_the_elites_are_trials_of_a_study(found):
    values = [trial.value for trial in found.study.trials]
    assert len(values) > 20 and values == sorted(values)
    assert found.study.best_trial.params["lr_init"] == found[0].hparams["lr_init"]


SPACE = Space(
    (
        Dimension("rate", "log", 1e-4, 1.0),
        Dimension("steps", "log", 100, 4000, integer=True),
        Dimension("bias", "linear", -2.0, 2.0),
        Dimension("optimizer", "category", choices=("Adam", "SGD")),
        Dimension("momentum", "logit", 1.0, 7.0, condition=Condition("optimizer", ("Adam",))),
    ),
    {"init": "normal"},
    {},
)


@given(st.lists(st.floats(0, 1), min_size=5, max_size=5))
def test_a_point_of_the_cube_is_a_configuration_of_the_space(point):
    (configuration,) = SPACE.configurations(np.array([point]))
    expected = {"rate", "steps", "bias", "optimizer", "init"}
    assert set(configuration) == expected | ({"momentum"} if configuration["optimizer"] == "Adam" else set())
    assert isinstance(configuration["steps"], int)
    for name, distribution in SPACE.distributions().items():
        if name in configuration:
            assert distribution._contains(distribution.to_internal_repr(configuration[name]))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=10))
def test_values_go_back_to_their_place(units):
    for item in SPACE.dimensions:
        values = item.values(np.array(units))
        again = item.values(item.units(values))
        if item.choices:
            assert list(again) == list(values)
        else:
            np.testing.assert_allclose(again, values, rtol=1e-9, atol=1e-12)


def test_whole_numbers_become_whole_distributions():
    assert isinstance(SPACE.distributions()["steps"], IntDistribution)


def test_different_choices_are_far_apart():
    units = np.array([[0.5, 0.5, 0.5, 0.2, 0.5], [0.5, 0.5, 0.5, 0.9, 0.5], [0.5, 0.5, 0.7, 0.2, 0.5]])
    distance = SPACE.distance(units, units)
    assert distance[0, 1] == pytest.approx(np.sqrt(1 / 5)) and distance[0, 2] == pytest.approx(np.sqrt(0.04 / 5))


def test_the_portfolio_starts_with_the_best_and_spreads():
    surrogate = get_surrogate()
    query = build_query(surrogate, "gru", "text8", 2e4, None, 5, Limits(), 0)
    elites = search_elites(surrogate, query)
    chosen = choose_portfolio(elites, query.space, 5, 0).chosen
    assert chosen[0] == 0 and len(set(chosen)) == 5
    spread = query.space.distance(elites.units[chosen], elites.units[chosen])[np.triu_indices(5, 1)].mean()
    top = query.space.distance(elites.units[:5], elites.units[:5])[np.triu_indices(5, 1)].mean()
    assert spread > top


def test_fixed_against_an_unmet_condition_is_a_contradiction(runs):
    from rnn_warmstart.surrogate import Settings, Surrogate

    table = runs.copy()
    table.loc[table["hp_optimizer"] == "SGD", "hp_optimizer_logit_momentum"] = np.nan
    surrogate = Surrogate.fit(table, Settings(trees=5, diverge_trees=5, folds=2, network=QUICK))
    fixed = {"optimizer": "SGD", "optimizer_logit_momentum": 3.0}
    with pytest.raises(ValueError, match=r"fixed optimizer_logit_momentum=3\.0 contradicts fixed optimizer='SGD'"):
        build_query(surrogate, "gru", "text8", 1e4, 1, 1, Limits(fixed), 0)
    query = build_query(surrogate, "gru", "text8", 1e4, 1, 1, Limits({"optimizer": "SGD"}), 0)
    (configuration,) = query.space.configurations(search_elites(surrogate, query).units[:1])
    assert "optimizer_logit_momentum" not in configuration and "lr_init" in configuration


def test_long_trainings_are_recommended_where_runs_were_long():
    runs = load_builtin().runs.query("architecture == 'gru'")
    longest = runs.groupby("max_params")["hp_train_steps"].max()
    assert longest[1000] > 10_000 > longest[10_000]  # the corpus trained small networks longer
    for size in (1000, 10_000):
        steps = [item.hparams["train_steps"] for item in recommend("gru", "rcf", size, depth=1, n=3)]
        assert max(steps) <= coverage("gru").domains["train_steps"].up_to(longest[size]).high
        assert (max(steps) > 4000) == (size == 1000)
