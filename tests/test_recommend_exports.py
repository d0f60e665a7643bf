"""Exports: one list of invariants for all targets, and what each does with names, values and a user's space."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import tomllib
from dataclasses import replace

import ConfigSpace
import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from rnn_warmstart import recommend, warm_space
from rnn_warmstart.__main__ import app
from rnn_warmstart.features import Condition, Dimension, Space
from rnn_warmstart.recommend.exports import TARGETS, TEXTS, export
from rnn_warmstart.recommend.exports.belief import Belief, believe
from rnn_warmstart.recommend.search import Elites
from scipy import stats
from typer.testing import CliRunner

optuna.logging.set_verbosity(optuna.logging.ERROR)

LIGHT = ["optuna", "configspace", "wandb", "json", "yaml", "toml", "pandas"]
EXACT = {} if pd.__version__ >= "3" else {"float_precision": "round_trip"}
NAMES = {"lr_init": "lr", "optimizer_logit_momentum": "momentum"}
MOMENTUM = {"optimizer_logit_momentum": "sigmoid"}
LR = Dimension("lr_init", "log", 1e-4, 1.0)
STEPS = Dimension("train_steps", "log", 100, 4000, integer=True)
OPTIMIZER = Dimension("optimizer", "category", choices=("Adam", "Momentum", "SGD"))
LOGIT = Dimension("optimizer_logit_momentum", "logit", 1.0, 7.0, condition=Condition("optimizer", ("Momentum",)))
DEPTH = Dimension("n_layers", "linear", choices=(1, 2, 4))


@pytest.fixture(scope="module")
def found():
    return recommend("gru", "rcf", 3e3, n=4)


@pytest.fixture(scope="module")
def toy(found):
    """A small recommendation: a hyperparameter with a condition, a free depth, a fixed value."""
    space = Space((LR, STEPS, OPTIMIZER, LOGIT, DEPTH), {"l2_decay": 1e-6}, {})
    rows = [
        [0.5, 0.9, 0.4, 0.5, 0.1],
        [0.6, 0.8, 0.1, 0.3, 0.5],
        [0.55, 0.85, 0.5, 0.25, 0.5],
        [0.4, 0.95, 0.1, 0.2, 0.1],
    ]
    elites = Elites(np.array(rows), np.array([-3.0, -2.5, -2.0, -1.0]))
    items = []
    for item, config in zip(found, space.configurations(elites.units), strict=True):
        depth = config.pop("n_layers")
        items.append(replace(item, hparams=config, n_layers=depth))
    query = replace(found.query, space=space)
    return replace(found, query=query, configurations=tuple(items[:3]), elites=elites)


def points_of(target, made):
    """Read the points back out of what the target itself would take."""
    if target == "optuna":
        study = made.enqueue(optuna.create_study())
        return [trial.system_attrs["fixed_params"] for trial in study.trials]
    if target == "configspace":
        return [dict(item) for item in made.configurations]
    if target == "pandas":
        table = pd.read_csv(io.StringIO(made.text), index_col="rank", **EXACT).astype(object)
        rows = [{name: row[name] for name in made.frame if row[name] == row[name]} for _, row in table.iterrows()]
        return [{name: value for name, value in row.items() if name not in ABOUT} for row in rows]
    reader = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}[target]
    return [point["parameters"] for point in reader(made.text)["points"]]


ABOUT = ("predicted_loss", "low", "high", "p_diverge", "expected_rank", "gain")


def space_of(target, made):
    """Return parameter -> (low, high, log) or its choices, as the target has them."""
    if target == "optuna":
        return {name: _entry(item) for name, item in made.distributions.items()}
    if target == "configspace":
        return {name: _entry(item) for name, item in made.space.items()}
    if target == "wandb":
        told = yaml.safe_load(made.text)["parameters"]
        return {name: _sweep(item) for name, item in told.items()}
    reader = {"json": json.loads, "yaml": yaml.safe_load, "toml": tomllib.loads}[target]
    told = reader(made.text)["space"]
    return {
        name: tuple(item["choices"]) if "choices" in item else (item["low"], item["high"], item["scale"] == "log")
        for name, item in told.items()
    }


def _entry(item):
    if hasattr(item, "choices"):
        return tuple(item.choices)
    if hasattr(item, "value"):
        return (item.value,)
    ends = ("low", "high") if hasattr(item, "low") else ("lower", "upper")
    return (*(getattr(item, end) for end in ends), item.log)


def _sweep(item):
    if "value" in item or "values" in item:
        return tuple(item.get("values", [item.get("value")]))
    return item["min"], item["max"], "log" in item["distribution"]


def inside(value, entry):
    if len(entry) == 3 and isinstance(entry[2], bool):
        return entry[0] <= value <= entry[1]
    return value in entry


OPTIONS = {
    "narrowed": {},
    "whole": {"space": "whole"},
    "renamed": {"names": NAMES},
    "transformed": {"names": NAMES, "transforms": MOMENTUM | {"optimizer": {"Adam": "adam"}, "l2_decay": "log10"}},
}


@pytest.mark.parametrize("source", ["found", "toy"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("target", [name for name in LIGHT if name != "wandb"])
def test_the_points_come_back_from_the_target(target, options, source, request):
    found = request.getfixturevalue(source)
    made = found.export(target, **options)
    read = points_of(target, made)
    assert made.target == target
    assert read == list(made.points)
    new = options.get("names", {})
    for point, item in zip(read, found, strict=True):
        expected = item.hparams | {"n_layers": item.n_layers}
        assert set(point) == {new.get(name, name) for name in expected}
        for name, value in expected.items():
            if name == "optimizer_logit_momentum" and "transforms" in options:
                value = 1 / (1 + math.exp(-value))
            elif name == "l2_decay" and "transforms" in options:
                value = math.log10(value)
            elif value == "Adam" and "transforms" in options:
                value = "adam"
            rel = 1e-5 if target == "configspace" else 1e-12  # ConfigSpace keeps 13 decimal places
            assert point[new.get(name, name)] == (value if isinstance(value, str) else pytest.approx(value, rel=rel))


@pytest.mark.parametrize("source", ["found", "toy"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("target", [name for name in LIGHT if name != "pandas"])
def test_the_space_holds_the_points(target, options, source, request):
    made = request.getfixturevalue(source).export(target, **options)
    space = space_of(target, made)
    for point in made.points:
        assert set(point) <= set(space)
        assert all(inside(value, space[name]) for name, value in point.items())
    assert set().union(*made.points) == set(space)


@pytest.mark.parametrize("target", LIGHT)
def test_nothing_is_shared_with_the_recommendation(target, toy):
    before = toy.to_json()
    made = toy.export(target)
    made.points[0]["lr_init"] = 99
    assert toy.to_json() == before and toy.export(target).points[0]["lr_init"] != 99


def test_the_narrowed_space_is_warm_space_and_the_constants(found):
    made = found.export("optuna").distributions
    expected = warm_space(found)
    assert set(made) == set(expected)
    assert all(made[name] == item for name, item in expected.items())
    fixed = recommend("gru", "rcf", 3e3, n=2, depth=2, fixed={"optimizer": "SGD", "lr_init": 0.02}).export("optuna")
    assert fixed.distributions["optimizer"] == CategoricalDistribution(["SGD"])
    assert fixed.distributions["lr_init"] == CategoricalDistribution([0.02])
    assert "n_layers" not in fixed.distributions


def test_the_whole_space_is_that_of_the_search(found):
    assert found.export("optuna", space="whole").distributions == found.query.space.distributions()


# names and values


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"names": {"lr": "x"}}, "Unknown hyperparameter in names: 'lr'"),
        ({"names": {"lr_init": "optimizer"}}, "names gives 'optimizer' to several hyperparameters"),
        ({"transforms": {"lr": "log"}}, "Unknown hyperparameter in transforms: 'lr'"),
        (
            {"transforms": {"lr_init": "ln"}},
            r"transforms\['lr_init'\]='ln' is no transform; give one of log, log10, sig",
        ),
        (
            {"transforms": {"lr_init": lambda x: (x - 0.1) ** 2}},
            "The transform of lr_init must rise or fall throughout",
        ),
        ({"transforms": {"lr_init": lambda x: 1 / (x - 0.0001)}}, "The transform of lr_init must rise or fall"),
        ({"transforms": {"optimizer": {"Adam": "SGD"}}}, r"transforms\['optimizer'\] makes two choices the same"),
        ({"space": "narrow"}, "space must be a mapping, 'whole' or None, but got 'narrow'"),
        ({"on_mismatch": "clip"}, r"on_mismatch='clip' needs space=..., the space into which to fit"),
        ({"on_mismatch": "ignore", "space": {}}, "Unknown on_mismatch: 'ignore'"),
        ({"prior": "normal"}, "prior='normal' is for configspace and smac, but the target is 'json'"),
        ({"prior": "cauchy"}, "Unknown prior 'cauchy'"),
    ],
)
def test_what_is_wrong_is_refused(toy, options, message):
    with pytest.raises(ValueError, match=message):
        toy.export("json", **options)


def test_an_unknown_target_is_refused_with_the_nearest(toy):
    with pytest.raises(ValueError, match=r"Unknown target 'smack'.*Did you mean 'smac'"):
        toy.export("smack")


def test_the_function_is_the_method(toy):
    assert export(toy, "json", names=NAMES) == toy.export("json", names=NAMES)


def test_a_transform_moves_the_range_and_says_what_scale_is_lost(toy):
    made = toy.export("optuna", transforms=MOMENTUM, space="whole")
    item = made.distributions["optimizer_logit_momentum"]
    assert (item.low, item.high) == pytest.approx((1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-7))))
    told = "optimizer_logit_momentum is searched on a linear scale after its transform, no longer on its logit."
    assert made.dropped == (told,)


def test_the_ends_of_a_range_are_transformed_exactly(toy):
    end = replace(toy, configurations=tuple(replace(i, hparams=i.hparams | {"lr_init": 1e-4}) for i in toy))
    made = end.export("optuna", transforms={"lr_init": lambda lr: lr * 3}, space="whole")
    assert made.points[0]["lr_init"] == made.distributions["lr_init"].low


def test_a_function_keeps_the_scale_or_turns_the_range_around(toy):
    half = toy.export("optuna", transforms={"lr_init": lambda lr: lr / 2}, space="whole").distributions["lr_init"]
    assert (half.low, half.high, half.log) == (5e-5, 0.5, True)
    minus = toy.export("optuna", transforms={"lr_init": lambda lr: -lr}, space="whole").distributions["lr_init"]
    assert (minus.low, minus.high, minus.log) == (-1.0, -1e-4, False)
    log = toy.export("optuna", transforms={"lr_init": "log10"}, space="whole").distributions["lr_init"]
    assert (log.low, log.high, log.log) == (pytest.approx(-4), pytest.approx(0), False)
    whole = toy.export("optuna", transforms={"train_steps": lambda n: 2 * n}, space="whole").distributions[
        "train_steps"
    ]
    assert whole == IntDistribution(200, 8000, log=True)
    part = toy.export("optuna", transforms={"train_steps": lambda n: n / 1000}, space="whole").distributions[
        "train_steps"
    ]
    assert part == FloatDistribution(0.1, 4.0, log=True)


def test_other_names_of_choices_reach_the_conditions(toy):
    made = toy.export(
        "json", names=NAMES, transforms={"optimizer": {"Momentum": "sgd+m", "Lion": "lion"}}, space="whole"
    )
    told = json.loads(made.text)
    assert told["space"]["momentum"]["condition"] == {"parent": "optimizer", "choices": ["sgd+m"]}
    assert told["space"]["optimizer"]["choices"] == ["Adam", "sgd+m", "SGD"]
    assert made.dropped == ("transforms['optimizer'] names 'Lion': no choice here.",)


# the user's own space

USERS = {"lr": (1e-4, 1.0), "train_steps": (100, 4000), "optimizer": ["Adam", "Momentum", "SGD"],
         "momentum": (0.0, 7.0), "n_layers": (1, 8), "l2_decay": (1e-8, 1e-3)}  # fmt: skip


@pytest.mark.parametrize("target", [name for name in LIGHT if name != "pandas"])
def test_a_users_space_is_exported_as_it_is(toy, target):
    made = toy.export(target, names=NAMES, space=USERS)
    space = space_of(target, made)
    assert space["lr"] == (1e-4, 1.0, True)
    assert space["n_layers"] == (1, 8, False)
    assert space["optimizer"] == ("Adam", "Momentum", "SGD")


def test_spaces_of_optuna_and_configspace_are_understood(toy):
    ours = toy.export("json", names=NAMES, space=USERS)
    theirs = {
        "lr": FloatDistribution(1e-4, 1.0, log=True),
        "train_steps": IntDistribution(100, 4000, log=True),
        "optimizer": CategoricalDistribution(["Adam", "Momentum", "SGD"]),
        "momentum": FloatDistribution(0.0, 7.0),
        "n_layers": IntDistribution(1, 8),
        "l2_decay": FloatDistribution(1e-8, 1e-3),
    }
    made = json.loads(toy.export("json", names=NAMES, space=theirs).text)
    expected = json.loads(ours.text)
    expected["space"]["momentum"]["scale"] = "linear"
    assert made["points"] == expected["points"]
    assert made["space"] == expected["space"]
    space = ConfigSpace.ConfigurationSpace(
        {"lr": (1e-4, 1.0), "train_steps": (100, 4000), "optimizer": ["Adam", "Momentum"], "momentum": (0.0, 7.0),
         "n_layers": (1, 8), "l2_decay": 1e-6}
    )  # fmt: skip
    made = json.loads(toy.export("json", names=NAMES, space=space).text)
    assert made["space"]["lr"] == {"low": 1e-4, "high": 1.0, "scale": "linear", "integer": False}
    assert made["space"]["optimizer"]["choices"] == ["Adam", "Momentum"]
    assert made["space"]["n_layers"] == {"low": 1, "high": 8, "scale": "linear", "integer": True}
    assert made["space"]["l2_decay"]["choices"] == [1e-6]


def test_a_misfit_is_an_error_that_names_everything(toy):
    space = {name: entry for name, entry in USERS.items() if name != "l2_decay"} | {"batch_size": (1, 64)}
    space |= {"lr": (1e-4, 1e-3), "optimizer": ["Adam"]}
    with pytest.raises(ValueError, match="The recommendation does not fit into space") as error:
        toy.export("json", names=NAMES, space=space)
    text = str(error.value)
    assert "'l2_decay' is recommended, but not in space." in text
    assert "'batch_size' is in space, but nothing is recommended for it." in text
    assert "point 1: lr=0.01 is not in 0.0001 to 0.001." in text.replace("0.010000000000000004", "0.01")
    assert "point 1: optimizer='Momentum' is not one of 'Adam'." in text
    assert "on_mismatch='clip' or 'drop'" in text


def test_clip_moves_numbers_and_tells(toy):
    made = toy.export(
        "json", names=NAMES, space=USERS | {"lr": (1e-4, 1e-2), "train_steps": (50, 2000)}, on_mismatch="clip"
    )
    assert [point["lr"] for point in made.points] == [pytest.approx(1e-2)] * 3
    assert [point["train_steps"] for point in made.points] == [2000, 1913, 2000]
    assert [point["optimizer"] for point in made.points] == ["Momentum", "Adam", "Momentum"]
    assert any(text.startswith("point 2: lr=") and text.endswith("Moved to the nearer end.") for text in made.dropped)


def test_drop_leaves_out_points_and_parameters_and_tells(toy):
    space = {name: entry for name, entry in USERS.items() if name != "momentum"} | {"optimizer": ["Adam", "SGD"]}
    for how in ("drop", "clip"):
        made = toy.export("json", names=NAMES, space=space, on_mismatch=how)
        assert [point["optimizer"] for point in made.points] == ["Adam"]
        assert all("momentum" not in point for point in made.points)
        assert "'momentum' is recommended, but not in space." in made.dropped
        assert "point 1: optimizer='Momentum' is not one of 'Adam', 'SGD'. The point is left out." in made.dropped
        assert json.loads(made.text)["points"][0]["rank"] == 2
        assert (
            made.dropped[-1] == "2 of the 4 best configurations lie outside space: the priors are those of the others."
        )
    assert json.loads(made.text)["priors"]["optimizer"]["weights"] == [3 / 4, 1 / 4]  # two elites with Adam, and 1 each


def test_points_that_become_the_same_are_one(toy):
    space = {"n_layers": [1, 2, 4], "optimizer": ["Adam", "Momentum", "SGD"]}
    made = toy.export("json", space=space, on_mismatch="drop")
    assert made.points == ({"n_layers": 1, "optimizer": "Momentum"}, {"n_layers": 2, "optimizer": "Adam"},
                           {"n_layers": 2, "optimizer": "Momentum"})  # fmt: skip
    made = toy.export("json", space={"optimizer": ["Adam", "Momentum", "SGD"]}, on_mismatch="drop")
    assert made.points == ({"optimizer": "Momentum"}, {"optimizer": "Adam"})
    assert "point 3: without what is not in space, the same as one before it. It is left out." in made.dropped


def test_no_point_left_is_an_error_under_every_policy(toy):
    for how in ("clip", "drop"):
        with pytest.raises(ValueError, match=r"No point fits into space: point 1: optimizer='Momentum' is not one of"):
            toy.export("json", space={"optimizer": ["SGD"]}, on_mismatch=how)


def test_a_condition_without_its_parent_is_told(toy):
    made = toy.export("json", names=NAMES, space={"momentum": (0.0, 7.0), "lr": (1e-4, 1.0)}, on_mismatch="drop")
    assert "condition" not in json.loads(made.text)["space"]["momentum"]
    assert any("momentum exists only where optimizer is 'Momentum', but optimizer is not in space" in text
               for text in made.dropped)  # fmt: skip


@pytest.mark.parametrize("target", LIGHT)
def test_what_can_never_exist_is_left_out_and_told(toy, target):
    made = toy.export(target, names=NAMES, space=USERS | {"optimizer": ["Adam", "SGD"]}, on_mismatch="drop")
    assert any(text.startswith("momentum never exists, as optimizer has no choice left") for text in made.dropped)
    assert all("momentum" not in point for point in made.points)
    assert target == "pandas" or "momentum" not in space_of(target, made)


@pytest.mark.parametrize("target", LIGHT)
def test_what_no_elite_has_has_a_flat_prior_in_the_whole_space(toy, target):
    rows = toy.elites.units.copy()
    rows[:, 2] = 0.9  # SGD: no momentum
    items = [{n: v for n, v in item.hparams.items() if n != "optimizer_logit_momentum"} for item in toy]
    plain = replace(
        toy,
        elites=Elites(rows, toy.elites.scores),
        configurations=tuple(replace(a, hparams=b | {"optimizer": "SGD"}) for a, b in zip(toy, items, strict=True)),
    )
    made = plain.export(target, space="whole")
    if target == "json":
        prior = json.loads(made.text)["priors"]["optimizer_logit_momentum"]
        assert prior == {"centre": 4.0, "mean": 0.5, "spread": pytest.approx(1 / math.sqrt(12))}
    if target != "pandas":
        assert "optimizer_logit_momentum" in space_of(target, made)
    narrow = plain.export(target)
    assert any(text.startswith("optimizer_logit_momentum exists in none of the best") for text in narrow.dropped)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ((1.0, 0.5), r"space\['lr_init'\]=\(1.0, 0.5\): low < high must hold"),
        ((0, 1), "must be positive, as lr_init is searched on a logarithmic scale"),
        (0.1, r"space\['lr_init'\] must be \(low, high\), a list of choices, an Optuna distribution"),
        (("a", "b"), r"space\['lr_init'\] must be \(low, high\)"),
        (FloatDistribution(0.1, 1.0, step=0.1), "has steps, which are not supported"),
    ],
)
def test_a_malformed_space_is_refused(toy, entry, message):
    with pytest.raises(ValueError, match=message):
        toy.export("json", space={"lr_init": entry}, on_mismatch="drop")


# priors


def test_priors_are_those_of_the_elites(toy):
    priors = json.loads(toy.export("json", space="whole").text)["priors"]
    assert priors["lr_init"]["mean"] == pytest.approx(np.mean([0.5, 0.6, 0.55, 0.4]))
    assert priors["lr_init"]["spread"] == pytest.approx(np.std([0.5, 0.6, 0.55, 0.4]))
    assert priors["lr_init"]["centre"] == pytest.approx(1e-4 * 1e4 ** np.mean([0.5, 0.6, 0.55, 0.4]))
    assert priors["optimizer"] == {"centre": "Adam", "weights": [3 / 7, 3 / 7, 1 / 7]}
    assert priors["optimizer_logit_momentum"]["mean"] == pytest.approx(np.mean([0.5, 0.25]))  # where it exists
    assert priors["l2_decay"] == {"centre": 1e-6, "weights": [1.0]}


def test_configspace_draws_from_the_priors(toy):
    """Means and spreads of draws, on the axis, against the elites': normal for the logit, beta for the rate."""
    made = toy.export("configspace", space="whole", prior="normal")
    assert any("normal distribution has no spread on a logarithmic scale: lr_init, train_steps have beta" in text
               for text in made.dropped)  # fmt: skip
    made.space.seed(0)
    draws = made.space.sample_configuration(4000)
    rates = np.array([np.log10(config["lr_init"]) / 4 + 1 for config in draws])
    units = np.array([0.5, 0.6, 0.55, 0.4])
    assert rates.mean() == pytest.approx(units.mean(), abs=0.01)  # standard error 0.001
    assert rates.std() == pytest.approx(units.std(), rel=0.1)
    share = np.mean([config["optimizer"] == "SGD" for config in draws])
    assert share == pytest.approx(1 / 7, abs=0.03)  # standard error 0.006
    logits = np.array([config["optimizer_logit_momentum"] for config in draws if config["optimizer"] == "Momentum"])
    assert logits.mean() == pytest.approx(1 + 6 * 0.375, abs=0.1) and logits.std() == pytest.approx(0.75, rel=0.1)
    uniform = toy.export("configspace", space="whole")
    uniform.space.seed(0)
    flat = [np.log10(config["lr_init"]) / 4 + 1 for config in uniform.space.sample_configuration(2000)]
    assert np.std(flat) == pytest.approx(1 / math.sqrt(12), rel=0.1)


def test_configspace_keeps_conditions_and_starts_from_the_first_point(toy):
    made = toy.export("configspace")
    assert [len(made.space.conditions), made.space.conditions[0].child.name] == [1, "optimizer_logit_momentum"]
    assert dict(made.space.get_default_configuration()) == made.points[0]
    again = ConfigSpace.ConfigurationSpace.from_serialized_dict(json.loads(made.text))
    assert again == made.space


def test_what_configspace_cannot_hold_is_refused(toy):
    with pytest.raises(
        ValueError, match="lr_init begins at 1e-14, and ConfigSpace keeps 13 decimal places; transform it"
    ):
        toy.export("configspace", space={"lr_init": (1e-14, 1.0)}, on_mismatch="drop")


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), st.floats(0.02, 0.6))
def test_the_beta_has_the_mean_and_the_spread_or_says_that_it_is_narrower(mean, spread):
    belief = Belief(0.0, mean, spread)
    alpha, beta = belief.beta
    assert min(alpha, beta) >= 1
    held = min(max(mean, 0.02), 0.98)
    assert stats.beta(alpha, beta).mean() == pytest.approx(held, rel=1e-6)
    made = stats.beta(alpha, beta).std()
    assert made < spread if belief.bounded else made == pytest.approx(spread, rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(1e-4, 1.0), min_size=1, max_size=20))
def test_a_centre_lies_among_the_values(values):
    belief = believe(LR, values)
    assert min(values) * (1 - 1e-9) <= belief.centre <= max(values) * (1 + 1e-9)
    assert belief.spread >= 0.02


# single targets


def test_optunas_source_study_has_the_elites_in_the_exported_space(toy):
    made = toy.export("optuna", names=NAMES)
    assert [trial.value for trial in made.study.trials] == [-3.0, -2.5, -2.0, -1.0]
    for trial in made.study.trials:
        assert trial.state == optuna.trial.TrialState.COMPLETE
        assert all(made.distributions[name] == item for name, item in trial.distributions.items())
    assert set(made.source_trials()[0].params) == {"lr", "train_steps"}
    with pytest.raises(
        ValueError, match="CMA-ES cannot start from momentum: it takes numbers that vary and always exist"
    ):
        made.source_trials("momentum")


def test_enqueued_trials_say_what_to_expect(toy):
    study = toy.export("optuna").enqueue(optuna.create_study())
    assert [trial.user_attrs["rank"] for trial in study.trials] == [1, 2, 3]
    assert study.trials[1].user_attrs["predicted_loss"] == toy[1].predicted_loss


def test_wandb_has_no_points_and_says_so(toy):
    made = toy.export("wandb", space="whole")
    sweep = yaml.safe_load(made.text)
    assert sweep == made.sweep
    assert sweep["method"] == "bayes" and sweep["metric"] == {"name": "loss", "goal": "minimize"}
    assert sweep["parameters"]["lr_init"] == {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0}
    assert sweep["parameters"]["train_steps"] == {"distribution": "q_log_uniform_values", "min": 100, "max": 4000}
    assert sweep["parameters"]["l2_decay"] == {"value": 1e-6}
    assert made.probabilities["optimizer"] == pytest.approx([3 / 7, 3 / 7, 1 / 7])
    assert "l2_decay" not in made.probabilities
    assert [text.split(":")[0] for text in made.dropped] == [
        "optimizer_logit_momentum exists only where optimizer is 'Momentum'",
        "A sweep takes no starting points",
        "A Bayesian sweep takes no priors",
        "train_steps is a whole number, but W&B may give it as a float such as 4000.0",
    ]
    assert made.points[1]["optimizer_logit_momentum"] == pytest.approx(1 + 6 * 0.375)  # the prior's centre


def test_the_frame_has_the_documented_columns(toy):
    frame = toy.export("pandas", names=NAMES).frame
    assert frame.index.name == "rank" and list(frame.index) == [1, 2, 3]
    assert list(frame)[-6:] == list(ABOUT)
    assert frame["momentum"].isna().tolist() == [False, True, False]
    assert frame.loc[1, "low"] == toy[0].interval[0]


def test_no_parameter_hides_a_column_of_the_frame(toy):
    with pytest.raises(ValueError, match=r"called predicted_loss, low, .*, gain; give gain other names\."):
        toy.export("pandas", names={"lr_init": "gain"})


def test_the_documents_say_the_same(toy):
    told = json.loads(toy.export("json").text)
    assert yaml.safe_load(toy.export("yaml").text) == told
    toml = tomllib.loads(toy.export("toml").text)
    assert toml["space"] == told["space"] and toml["priors"] == told["priors"]
    assert told["schema"] == 1 and told["points"][0]["interval"] == list(toy[0].interval)


def test_an_unknown_loss_is_null_and_absent_from_toml(found):
    any_task = recommend("gru", "any", 3e3, n=2)
    assert json.loads(any_task.export("json").text)["points"][0]["predicted_loss"] is None
    assert "predicted_loss" not in tomllib.loads(any_task.export("toml").text)["points"][0]
    assert any_task.export("pandas").frame["low"].isna().all()


@pytest.mark.parametrize("target", [*sorted(set(TARGETS) - set(LIGHT)), "configspace", "yaml", "toml"])
def test_a_missing_package_is_named_with_its_extra(toy, target, monkeypatch):
    package = {"configspace": "ConfigSpace", "yaml": "yaml", "toml": "tomli_w", "raytune": "ray",
               "synetune": "syne_tune"}.get(target, target)  # fmt: skip
    modules = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    for name in {package, *modules, "ray.tune", "syne_tune.config_space", "ax.api.configs"}:
        monkeypatch.setitem(sys.modules, name, None)
    extra = {"yaml": "exports", "toml": "exports"}.get(target, target)
    with pytest.raises(
        ModuleNotFoundError, match=rf"{target}' needs the package {package}: pip install 'rnn-warmstart\[{extra}\]'"
    ):
        toy.export(target)


def test_exporting_plain_json_loads_no_optional_package():
    code = (
        "import sys, lightgbm; before = set(sys.modules);"  # LightGBM 4.5 imports dask, which imports yaml
        "from rnn_warmstart import recommend; recommend('gru', 'rcf', 3e3, n=1).export('json');"
        "print([name for name in ('ConfigSpace', 'yaml', 'tomli_w', 'smac', 'neps', 'ray', 'syne_tune', 'ax', 'torch') "
        "if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


# the command

QUESTION = ["recommend", "--arch", "gru", "--task", "rcf", "--params", "3e3", "--n", "2"]


def run(*arguments):
    return CliRunner().invoke(app, [*QUESTION, *arguments], env={"COLUMNS": "200", "TERM": "dumb"})


@pytest.mark.parametrize("target", TEXTS)
def test_the_command_prints_the_export(target):
    done = run("--to", target)
    made = recommend("gru", "rcf", 3e3, n=2).export(target)
    assert done.exit_code == 0
    assert done.stdout == made.text
    assert all(f"Dropped: {text}" in done.stderr for text in made.dropped)


def test_the_command_writes_a_file(tmp_path):
    path = tmp_path / "sweep.yaml"
    done = run("--to", "wandb", "--out", str(path))
    assert done.exit_code == 0 and done.stdout == "" and "sweep.yaml is written." in done.stderr
    assert yaml.safe_load(path.read_text())["method"] == "bayes"
    assert [item.name for item in tmp_path.iterdir()] == ["sweep.yaml"]


def test_the_command_takes_the_users_names():
    done = run("--to", "json", "--names", "lr_init=lr", "--names", "l2_decay=optim.wd")
    names = {"lr_init": "lr", "l2_decay": "optim.wd"}
    assert done.exit_code == 0
    assert done.stdout == recommend("gru", "rcf", 3e3, n=2).export("json", names=names).text
    assert {"lr", "optim.wd"} < set(json.loads(done.stdout)["points"][0]["parameters"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--out", "x.json"], 2, "--out needs --to NAME"),
        (["--names", "lr_init=lr"], 2, "--names needs --to NAME"),
        (["--to", "json", "--names", "lr_init"], 2, "--names needs NAME=YOURS, e.g. lr_init=lr, but got 'lr_init'."),
        (["--to", "json", "--names", "lr_ini=lr"], 2, "names: 'lr_ini'. Did you mean 'lr_init'?"),
        (["--to", "json", "--names", "lr_init=l2_decay"], 2, "names gives 'l2_decay' to several hyperparameters"),
        (["--to", "json", "--json"], 2, "--json and --to exclude each other"),
        (["--to", "smac"], 2, "in Python, recommend(...).export('smac') has objects of that package"),
        (["--to", "excel"], 2, "--to must be one of json, yaml, toml, pandas, wandb, configspace, but got 'excel'."),
        (["--to", "json", "--out", "/nowhere/x.json"], 1, "The folder /nowhere does not exist"),
    ],
)
def test_the_command_refuses(arguments, code, message):
    done = run(*arguments)
    assert done.exit_code == code
    assert message in done.stderr and done.stdout == ""
