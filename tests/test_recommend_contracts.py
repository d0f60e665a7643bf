"""Exports with the real packages: each target's own optimizer evaluates exactly the exported configurations first.

A target whose package is not installed is skipped; `docs/exports.md` says how to install each.
"""

from __future__ import annotations

import math
import statistics
import time
import warnings
from dataclasses import replace

import pytest
from rnn_warmstart import recommend
from rnn_warmstart.features import Condition

TRIALS = 3


@pytest.fixture(scope="module")
def found():
    return recommend("gru", "any", 3e3, n=TRIALS)


@pytest.fixture(scope="module")
def conditional(found):
    """The same, were the matrix's scale to exist only where the matrix is drawn at random."""
    condition = Condition(PARENT, ("normal", "orthogonal"))
    dimensions = tuple(
        replace(item, condition=condition) if item.name == CHILD else item for item in found.query.space.dimensions
    )
    space = replace(found.query.space, dimensions=dimensions)
    items = list(found)
    for index, choice in enumerate(("identity", "normal")):
        items[index] = replace(items[index], hparams=items[index].hparams | {PARENT: choice})
    items = [
        replace(
            item, hparams={n: v for n, v in item.hparams.items() if n != CHILD or item.hparams[PARENT] != "identity"}
        )
        for item in items
    ]
    assert {CHILD in item.hparams for item in items} == {True, False}
    return replace(found, configurations=tuple(items), query=replace(found.query, space=space))


def loss(config):
    """A toy objective: a number from the learning rate and the bias, with a penalty for some optimizers."""
    return abs(math.log(config["lr"] / 0.01)) + config["forget_gate_bias_hack"] + len(config["optimizer"])


NAMES = {"lr_init": "lr"}
MOMENTUM = {
    "names": NAMES | {"optimizer_logit_momentum": "momentum"},
    "transforms": {"optimizer_logit_momentum": "sigmoid", "optimizer": str.lower, "l2_decay": "log10"},
}
USERS = {
    "names": NAMES,
    "space": {
        "lr": (1e-4, 1e-1),
        "forget_gate_bias_hack": (0.0, 6.0),
        "optimizer": ["Adam", "RMSProp", "SGD", "Momentum"],
        "train_steps": (500, 3000),  # clipped: exactly the upper end
        "n_layers": (1, 8),
    },
    "on_mismatch": "clip",
}
OPTIONS = {
    "narrowed": {"names": NAMES},
    "whole": {"names": NAMES, "space": "whole"},
    "transformed": MOMENTUM,
    "fitted": USERS,
}
CHILD, PARENT = "recurrent_matrix_scale_c", "recurrent_matrix_init_type"


def run_optuna(export, folder):
    import optuna

    study = export.enqueue(optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0)))
    for _ in range(TRIALS + 1):
        trial = study.ask(export.distributions)
        study.tell(trial, loss(trial.params))
    return [trial.params for trial in study.trials]


def run_smac(export, folder):
    from smac import HyperparameterOptimizationFacade, Scenario

    seen = []

    def objective(config, seed=0):
        seen.append(dict(config))
        return loss(config)

    scenario = Scenario(export.space, n_trials=TRIALS + 1, deterministic=True, output_directory=folder, seed=0)
    facade = HyperparameterOptimizationFacade(
        scenario, objective, initial_design=export.initial_design(scenario), logging_level=False
    )
    facade.optimize()
    return seen


def run_neps(export, folder):
    import neps

    seen = []

    def evaluate_pipeline(**config):
        seen.append(config)
        return loss(config)

    neps.run(
        evaluate_pipeline,
        pipeline_space=export.pipeline_space,
        root_directory=folder / "neps",
        optimizer=("pibo", {"sample_prior_first": True}),
        total_evaluations_to_spend=TRIALS,
    )
    return seen


def run_raytune(export, folder):
    import ray
    from ray import tune
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    ray.init(num_cpus=1, include_dashboard=False, logging_level="error", log_to_driver=False)
    try:
        search = OptunaSearch(points_to_evaluate=export.points_to_evaluate, metric="loss", mode="min", seed=0)
        tuner = tune.Tuner(
            lambda config: {"loss": loss(config), "at": time.time()},  # Ray's own time stamp has whole seconds
            param_space=export.param_space,
            tune_config=tune.TuneConfig(
                search_alg=ConcurrencyLimiter(search, 1), num_samples=TRIALS + 1, metric="loss", mode="min"
            ),
            run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
        )
        results = sorted(tuner.fit(), key=lambda result: result.metrics["at"])
    finally:
        ray.shutdown()
    return [result.config for result in results]


def run_synetune(export, folder):
    from syne_tune.optimizer.baselines import BORE
    from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler

    scheduler = AskTellScheduler(
        BORE(export.config_space, metric="loss", random_seed=0, points_to_evaluate=export.points_to_evaluate)
    )
    seen = []
    for _ in range(TRIALS + 1):
        trial = scheduler.ask()
        seen.append(trial.config)
        scheduler.tell(trial, {"loss": loss(trial.config)})
    return seen


def run_ax(export, folder):
    from ax.api.client import Client

    client = Client(random_seed=0)
    client.configure_experiment(parameters=export.parameters)
    client.configure_optimization(objective="-loss")
    indices = export.attach(client)
    pending = {index: client._experiment.trials[index].arm.parameters for index in indices}
    pending |= client.get_next_trials(max_trials=1)
    for index, config in pending.items():
        client.complete_trial(index, raw_data={"loss": loss(config)})
    return list(pending.values())


RUNS = {
    "optuna": ("optuna", run_optuna),
    "smac": ("smac", run_smac),
    "neps": ("neps", run_neps),
    "raytune": ("ray.tune", run_raytune),
    "synetune": ("syne_tune", run_synetune),
    "ax": ("ax", run_ax),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("target", RUNS)
def test_the_optimizer_evaluates_the_exported_configurations_first(target, options, found, tmp_path):
    package, run = RUNS[target]
    pytest.importorskip(package)
    export = found.export(target, **options)
    seen = run(export, tmp_path)
    assert len(seen) >= TRIALS
    assert seen[: len(export.points)] == list(export.points)
    assert all(set(config) == set(export.points[0]) for config in seen)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("target", [name for name in RUNS if name != "optuna"])
def test_conditions_are_kept_or_told(target, conditional, tmp_path):
    package, run = RUNS[target]
    pytest.importorskip(package)
    export = conditional.export(target, names=NAMES, space="whole")
    seen = run(export, tmp_path)
    assert seen[: len(export.points)] == list(export.points)
    told = [text for text in export.dropped if text.startswith(f"{CHILD} exists only where {PARENT} is 'normal' or")]
    if target == "smac":
        assert not told and [CHILD in point for point in export.points] == [
            CHILD in item.hparams for item in conditional
        ]
        assert all((CHILD in config) == (config[PARENT] != "identity") for config in seen)
    else:
        assert len(told) == 1 and all(CHILD in point for point in export.points)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("prior", ["normal", "beta"])
def test_smac_searches_a_space_with_priors(prior, found, tmp_path):
    pytest.importorskip("smac")
    export = found.export("smac", names=NAMES, space="whole", prior=prior)
    seen = run_smac(export, tmp_path)
    assert seen[:TRIALS] == list(export.points) and len(seen) == TRIALS + 1


def test_smac_refuses_points_of_another_space(found):
    smac = pytest.importorskip("smac")
    export = found.export("smac")
    scenario = smac.Scenario(found.export("smac", space="whole").space, n_trials=9)
    with pytest.raises(ValueError, match="The scenario has another space than the points"):
        export.initial_design(scenario)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
def test_the_search_of_wandb_takes_the_sweep_and_the_points(options, found):
    """Its own check of sweeps finds nothing, and its search goes on inside the space after the points."""
    sweeps = pytest.importorskip("sweeps")
    yaml = pytest.importorskip("yaml")
    export = found.export("wandb", **options)
    sweep = yaml.safe_load(export.text)
    assert sweeps.schema_violations_from_proposed_config(sweep) == []
    runs = [
        sweeps.SweepRun(
            name=str(rank),
            state=sweeps.RunState.finished,
            config={name: {"value": value} for name, value in point.items()},
            summary_metrics={"loss": loss(point)},
        )
        for rank, point in enumerate(export.points)
    ]
    proposed = sweeps.next_run(sweeps.SweepConfig(sweep), runs)
    config = {name: item["value"] for name, item in proposed.config.items()}
    assert set(config) == set(export.points[0])
    for name, item in sweep["parameters"].items():
        if "min" in item:
            assert item["min"] <= config[name] <= item["max"]
        else:
            assert config[name] in item.get("values", [item.get("value")])
    assert config["train_steps"] % 1 == 0 and not isinstance(config["train_steps"], int)
    assert any(text.startswith("train_steps is a whole number, but W&B may") for text in export.dropped)


def test_cmaes_starts_from_the_elites(found):
    """Its first population is drawn around the best elites: nearer to them than uniform draws of the same space."""
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("cmaes")
    export = found.export("optuna", names=NAMES, space="whole")
    names = ("lr", "forget_gate_bias_hack", "l2_decay")

    def distance(seed, **options):
        """Of the mean of the first population from that of the best elites, each number in units of its range."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.CmaEsSampler(seed=seed, n_startup_trials=0, **options)
        study = optuna.create_study(sampler=sampler)
        for _ in range(7):
            study.tell(study.ask({name: export.distributions[name] for name in names}), 0.0)
        return math.dist(middle(study.trials[1:]), middle(export.study.trials[:6]))

    def middle(trials):
        return [
            statistics.fmean(place(trial.params[name], export.distributions[name]) for trial in trials)
            for name in names
        ]

    def place(value, law):
        value, low, high = (math.log(x) if law.log else x for x in (value, law.low, law.high))
        return (value - low) / (high - low)

    warm = statistics.fmean(distance(seed, source_trials=export.source_trials(*names)) for seed in range(5))
    assert warm < 0.7 * statistics.fmean(distance(seed) for seed in range(5))


def test_source_trials_refuses_what_cmaes_cannot_take(found):
    export = found.export("optuna")
    with pytest.raises(ValueError, match="CMA-ES cannot start from optimizer, lr: it takes numbers that vary"):
        export.source_trials("optimizer", "lr", "lr_init")
