"""Benchmarks: the surrogate of one setup as an objective, its space, its optimum, its replay."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import joblib
import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rnn_warmstart import Benchmark
from rnn_warmstart.corpus import HP_PREFIX, as_corpus, configurations, load_builtin, write_parquet
from rnn_warmstart.features import Condition, Coverage, Encoder
from rnn_warmstart.features.row import RowEncoder
from rnn_warmstart.surrogate.forest import Forest
from rnn_warmstart.surrogate.library import get_surrogate
from rnn_warmstart.surrogate.network_row import NetworkRow
from rnn_warmstart.surrogate.pruning import prune_model
from rnn_warmstart.surrogate.replay import Replay
from rnn_warmstart.surrogate.storage import ModelError, save_surrogate

CLOSE = 1e-4
"""Relative tolerance between one configuration and the same in a batch: networks compute with float32, and their sums
depend on the order, which depends on the number of rows."""
SETUPS = [
    ("rnn", "parens_counting", 1, 1000),
    ("irnn", "arithmetic", 1, 1000),
    ("ugrnn", "mem_thru", 4, 3000),
    ("gru", "rcf", 2, 10_000),
    ("lstm", "text8", 2, 10_000),
    ("+rnn", "per_cap", 8, 100_000),
]


@pytest.fixture(scope="module")
def benchmark():
    return Benchmark("gru", "rcf", 2, 1e4)


@pytest.fixture(scope="module")
def conditional(small, tmp_path_factory):
    """A benchmark of models for which momentum exists only where the optimizer is Momentum."""
    gru = small.coverage.architectures["gru"]
    momentum = replace(gru.domains["optimizer_logit_momentum"], condition=Condition("optimizer", ("Momentum",)))
    gru = replace(gru, domains=gru.domains | {"optimizer_logit_momentum": momentum})
    folder = tmp_path_factory.mktemp("conditional")
    save_surrogate(replace(small, coverage=Coverage(small.coverage.architectures | {"gru": gru})), folder)
    return Benchmark("gru", "rcf", 2, 1e4, models=folder)


def sample(benchmark, n, seed=0):
    """Draw random configurations through Optuna, as a user would."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return [benchmark.suggest(study.ask()) for _ in range(n)]


def query(benchmark, configs):
    """Return rows for `Surrogate.predict`: the slow way to the same losses."""
    table = pd.DataFrame(configs).add_prefix(HP_PREFIX)
    if benchmark.arch == "irnn":  # the one architecture of which the corpus holds a hyperparameter fixed
        table["hp_recurrent_matrix_init_type"] = "identity"
    setup = {"architecture": benchmark.arch, "task_type": benchmark.task, "n_layers": benchmark.depth}
    return table.assign(**{"hp_train_steps": benchmark.fidelity.high} | setup, max_params=benchmark.params)


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


# The objective


@pytest.mark.parametrize("setup", SETUPS)
def test_objective_and_batch_are_the_surrogate_s_prediction(setup):
    benchmark = Benchmark(*setup)
    configs = sample(benchmark, 40)
    expected = get_surrogate().predict(query(benchmark, configs))["predicted_loss"].to_numpy()
    np.testing.assert_allclose([benchmark.objective(config) for config in configs], expected, rtol=CLOSE)
    np.testing.assert_allclose(benchmark.batch(pd.DataFrame(configs)), expected, rtol=CLOSE)
    np.testing.assert_allclose(benchmark.batch({k: [c[k] for c in configs] for k in configs[0]}), expected, rtol=CLOSE)


def test_a_size_between_those_of_the_corpus_is_a_benchmark_too():
    benchmark = Benchmark("gru", "rcf", 2, 7_777)
    configs = sample(benchmark, 5)
    expected = get_surrogate().predict(query(benchmark, configs))["predicted_loss"]
    np.testing.assert_allclose([benchmark.objective(config) for config in configs], expected, rtol=CLOSE)


def test_train_steps_is_a_fidelity(benchmark):
    fidelity = benchmark.fidelity
    assert (fidelity.name, fidelity.low, fidelity.high) == ("train_steps", 100, 4000)
    assert "train_steps" not in benchmark.space
    config = benchmark.optimum.config
    losses = [benchmark.objective(config | {"train_steps": steps}) for steps in (100, 400, 1600, 4000)]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]
    assert losses[-1] == benchmark.objective(config)
    frame = pd.DataFrame([config | {"train_steps": steps} for steps in (100, 400, 1600, 4000)])
    np.testing.assert_allclose(benchmark.batch(frame), losses, rtol=CLOSE)


def test_the_highest_fidelity_is_the_longest_training_of_the_setup_or_the_nearest_size():
    runs = load_builtin().runs.query("architecture == 'gru' and task_type == 'rcf' and n_layers == 1")
    for params, size in ((1_000, 1_000), (2_900, 3_000), (3_000, 3_000), (1_600, 1_000)):
        longest = runs.loc[runs["max_params"] == size, "hp_train_steps"].max()
        assert longest <= Benchmark("gru", "rcf", 1, params).fidelity.high < longest * 2


def test_of_no_configuration_there_is_no_loss(benchmark):
    assert benchmark.batch(pd.DataFrame(columns=list(benchmark.space))).shape == (0,)


# Space


@pytest.mark.parametrize("setup", SETUPS)
def test_space_holds_the_real_runs_and_what_optuna_suggests(setup):
    benchmark = Benchmark(*setup)
    space = benchmark.space
    runs = load_builtin().runs
    mine = runs[(runs["architecture"] == benchmark.arch) & (runs["task_type"] == benchmark.task)]
    for config in configurations(mine)[:50] + sample(benchmark, 5):
        assert all(space[name]._contains(space[name].to_internal_repr(config[name])) for name in space)
    study = optuna.create_study()
    trial = study.ask(benchmark.space)
    assert benchmark.objective(trial.params) > 0


def test_one_line_optimises_it(benchmark):
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(benchmark.trial_objective, n_trials=20)
    assert study.best_value == benchmark.objective(study.best_params)
    assert set(study.best_params) == set(benchmark.space)


def test_what_does_not_exist_is_not_suggested_and_makes_no_difference(conditional):
    assert conditional.conditions == {"optimizer_logit_momentum": Condition("optimizer", ("Momentum",))}
    configs = sample(conditional, 60)
    for config in configs:
        assert ("optimizer_logit_momentum" in config) == (config["optimizer"] == "Momentum")
    adam = next(config for config in configs if config["optimizer"] == "Adam")
    losses = {conditional.objective(adam | {"optimizer_logit_momentum": value}) for value in (1.0, 6.5, None, np.nan)}
    assert losses == {conditional.objective(adam)}
    momentum = next(config for config in configs if config["optimizer"] == "Momentum")
    assert len({conditional.objective(momentum | {"optimizer_logit_momentum": value}) for value in (1.0, 3, 6.5)}) > 1
    expected = [conditional.objective(config) for config in configs]
    np.testing.assert_allclose(conditional.batch(pd.DataFrame(configs)), expected, rtol=CLOSE)
    full = pd.DataFrame(configs).fillna({"optimizer_logit_momentum": 3.0})
    np.testing.assert_array_equal(conditional.batch(full), conditional.batch(pd.DataFrame(configs)))


def test_configspace_is_the_same_space(conditional):
    cs = pytest.importorskip("ConfigSpace")
    space = conditional.configspace()
    space.seed(0)
    assert set(space) == set(conditional.space)
    found = space.sample_configuration(60)
    for config in found:
        assert ("optimizer_logit_momentum" in config) == (config["optimizer"] == "Momentum")
        assert conditional.objective(config) == conditional.objective(dict(config)) > 0
    rate, distribution = space["lr_init"], conditional.space["lr_init"]
    assert (rate.lower, rate.upper, rate.log) == (distribution.low, distribution.high, True)
    assert isinstance(space.conditions[0], cs.InCondition)


def test_without_configspace_the_message_says_what_to_install(benchmark, monkeypatch):
    monkeypatch.setitem(sys.modules, "ConfigSpace", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rnn-warmstart\[configspace\]'"):
        benchmark.configspace()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr_initt": 0.1}, "Unknown hyperparameter 'lr_initt'. Did you mean 'lr_init'"),
        ({"lr_init": 5.0}, r"lr_init=5\.0 is outside the range that the corpus covers, 0\.0001 to 1; choose"),
        ({"lr_init": "fast"}, "lr_init must be a finite number, but got 'fast'"),
        ({"lr_init": True}, "lr_init must be a finite number, but got True"),
        ({"optimizer": "adam"}, "Unknown value of optimizer: 'adam'. Did you mean 'Adam'"),
        ({"lr_init": None}, "lacks lr_init: every hyperparameter of the space must have a value"),
        ({"train_steps": 99}, r"train_steps=99(\.0)? is outside the range .* 100 to 4000"),
        ({"train_steps": 200.5}, r"train_steps must be a whole number from 100 to 4000, but got 200\.5"),
    ],
)
def test_wrong_configurations_are_refused_one_by_one_and_in_batches(benchmark, change, message):
    good = sample(benchmark, 3)
    with pytest.raises(ValueError, match=message):
        benchmark.objective(good[1] | change)
    with pytest.raises(ValueError, match=message.replace("lacks", "in row 1 lacks")):
        benchmark.batch(pd.DataFrame([good[0], good[1] | change, good[2]]))


def test_a_hyperparameter_with_one_value_may_be_left_out_but_not_be_another():
    benchmark = Benchmark("irnn", "arithmetic", 1, 1000)
    config = sample(benchmark, 1)[0]
    assert "recurrent_matrix_init_type" not in benchmark.space
    assert benchmark.objective(config | {"recurrent_matrix_init_type": "identity"}) == benchmark.objective(config)
    with pytest.raises(ValueError, match=r"Unknown value of recurrent_matrix_init_type: 'normal'\. Known: 'identity'"):
        benchmark.objective(config | {"recurrent_matrix_init_type": "normal"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arch": "gruu"}, "Unknown architecture 'gruu'. Did you mean 'gru'"),
        ({"task": "text9"}, "Unknown task 'text9'. Did you mean 'text8'"),
        ({"depth": 3}, "depth=3 is none of those that the corpus covers for gru: 1, 2, 4, 8"),
        ({"depth": 2.0}, r"depth must be a whole number of at least 1, but got 2\.0"),
        ({"params": 1e7}, r"params=10000000\.0 lies outside the 1,000 to 1,000,000 parameters .* 2 layers on rcf"),
        ({"params": 1e6, "depth": 4}, r"params=1000000\.0 lies outside the 1,000 to 100,000 parameters .* 4 layers"),
        ({"params": "many"}, "params must be a finite number of at least 1, but got 'many'"),
        ({"models": "/nowhere"}, "/nowhere holds no surrogate"),
    ],
)
def test_a_setup_that_the_corpus_does_not_cover_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Benchmark(**{"arch": "gru", "task": "rcf", "depth": 2, "params": 1e4} | change)


def test_a_task_that_the_architecture_never_ran_is_refused(small, tmp_path):
    gru = small.coverage.architectures["gru"]
    gru = replace(gru, tasks={task: count for task, count in gru.tasks.items() if task != "rcf"})
    save_surrogate(replace(small, coverage=Coverage(small.coverage.architectures | {"gru": gru})), tmp_path)
    with pytest.raises(ValueError, match=r"No run of gru on rcf is in the corpus.* Choose one of arithmetic"):
        Benchmark("gru", "rcf", 2, 1e4, models=tmp_path)


# Seed noise and divergence


def risky(benchmark):
    """A configuration that diverges about half the time, and how often exactly, by the surrogate."""
    configs = benchmark.sample(3000).to_dict("records")
    risks = get_surrogate().predict(query(benchmark, configs))["p_diverge"].to_numpy()
    best = int(np.argmin(np.abs(risks - 0.5)))
    assert 0.1 < risks[best] < 0.9
    return configs[best], risks[best]


def scores(benchmark, losses):
    """Losses back on the scale on which noise is added."""
    scale, task = get_surrogate().scale, benchmark.task
    knots = scale.knots[task]
    return np.interp(losses, knots, np.linspace(scale.lowest[task], scale.highest[task], len(knots)))


def test_a_seed_changes_the_loss_and_the_same_seed_gives_it_again(benchmark):
    config, other = sample(benchmark, 2)
    drawn = [benchmark.objective(config, seed=seed) for seed in range(20)]
    assert len(set(drawn)) == 20 and drawn == [benchmark.objective(config, seed=seed) for seed in range(20)]
    assert min(drawn) < benchmark.objective(config) < max(drawn)
    shift = [benchmark.objective(each, seed=0) / benchmark.objective(each) for each in (config, other)]
    assert shift[0] != pytest.approx(shift[1])  # one seed does not move all configurations alike
    with pytest.raises(ValueError, match="seed must be a whole number of at least 0, but got -1"):
        benchmark.objective(config, seed=-1)


@pytest.mark.parametrize("setup", SETUPS)
def test_a_batch_has_the_noise_of_its_configurations(setup):
    benchmark = Benchmark(*setup)
    configs = sample(benchmark, 30)
    found = benchmark.batch(pd.DataFrame(configs), seed=7)
    np.testing.assert_allclose(found, [benchmark.objective(config, seed=7) for config in configs], rtol=CLOSE)
    assert not np.array_equal(found, benchmark.batch(pd.DataFrame(configs), seed=8))


def test_noise_is_as_between_real_runs_of_one_configuration():
    """Over all repeated configurations, draws spread as the seeds of the trainer did."""
    runs = load_builtin().runs
    runs = runs[(runs["source"] == "trainer/replicate") & ~runs["diverged"]]
    real, drawn = [], []
    for setup, group in runs.groupby(["architecture", "task_type", "n_layers", "max_params"]):
        benchmark = Benchmark(*setup)
        table = pd.DataFrame({"config": configurations(group), "score": scores(benchmark, group["eval_loss"])})
        for _, seeds in table.groupby(table["config"].map(repr)):
            config = seeds["config"].iloc[0]
            if len(seeds) >= 3:
                losses = [benchmark.objective(config, seed=seed) for seed in range(20)]
                real.append(seeds["score"].var())
                drawn.append(np.nanvar(scores(benchmark, losses), ddof=1))
    assert len(real) > 300
    assert np.sqrt(np.mean(drawn)) == pytest.approx(np.sqrt(np.mean(real)), rel=0.15)


def test_it_diverges_as_often_as_predicted():
    benchmark = Benchmark("rnn", "text8", 8, 1e4)
    config, risk = risky(benchmark)
    n = 1500
    failed = np.mean([np.isnan(benchmark.objective(config, seed=seed)) for seed in range(n)])
    assert abs(failed - risk) < 4 * np.sqrt(risk * (1 - risk) / n)
    assert np.isfinite(benchmark.objective(config))


def test_optuna_counts_a_divergence_as_a_failed_trial_and_goes_on():
    benchmark = Benchmark("rnn", "text8", 8, 1e4)
    config, _ = risky(benchmark)
    study = optuna.create_study()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study.optimize(lambda trial: benchmark.objective(config, seed=trial.number), n_trials=20)
    states = {trial.state for trial in study.trials}
    assert states == {optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.FAIL} and len(study.trials) == 20


def test_models_without_repeated_configurations_refuse_a_seed(conditional):
    config = sample(conditional, 1)[0]
    with pytest.raises(ValueError, match="The seed noise of rcf is unknown"):
        conditional.objective(config, seed=0)
    with pytest.raises(ValueError, match="The seed noise of rcf is unknown"):
        conditional.batch(pd.DataFrame([config]), seed=0)


# Optimum and replay


def test_no_search_finds_better_than_the_optimum(benchmark):
    best = benchmark.optimum
    assert benchmark.objective(best.config) == best.loss and best.source in {"run", "search"}
    assert best.loss < benchmark.batch(pd.DataFrame(sample(benchmark, 3000))).min()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=1))
    study.optimize(benchmark.trial_objective, n_trials=60)
    assert best.loss < study.best_value
    assert best.loss <= min(map(benchmark.objective, known(benchmark)))


def known(benchmark):
    """The configurations really run, at the highest fidelity."""
    return [{k: v for k, v in each.items() if k != "train_steps"} for each in benchmark.replay().configurations]


def test_the_optimum_is_a_real_run_where_the_search_finds_nothing_better(benchmark, monkeypatch):
    other = Benchmark("gru", "rcf", 2, 1e4)
    poor = sample(other, 1)[0]
    monkeypatch.setattr("rnn_warmstart.surrogate.benchmark.evolve", lambda judge, n, spreads, rng: _poor(other, judge))
    assert other.optimum.source == "run" and other.optimum.config in known(other)
    assert other.optimum.loss == min(map(other.objective, known(other))) < other.objective(poor)


def _poor(benchmark, judge):
    units = np.random.default_rng(0).random((1, len(benchmark.space)))
    return units, judge(units)


def test_the_optimum_cannot_be_spoilt_by_its_user(benchmark):
    benchmark.optimum.config["lr_init"] = 77.0
    assert benchmark.optimum.config["lr_init"] < 1


def test_replay_knows_the_real_runs_and_nothing_else(benchmark):
    replay = benchmark.replay()
    runs = load_builtin().runs
    mine = runs.query("architecture == 'gru' and task_type == 'rcf' and n_layers == 2 and max_params == 10000")
    assert len(replay) == len({frozenset(config.items()) for config in configurations(mine)})
    frame = mine.assign(key=[frozenset(config.items()) for config in configurations(mine)])
    medians = frame.groupby("key")["eval_loss"].median()
    for config, loss in zip(replay.configurations, replay.losses, strict=True):
        expected = medians[frozenset(config.items())]  # NaN where it diverged
        np.testing.assert_array_equal([replay.objective(config), loss], expected)
    assert replay.optimum.loss == np.nanmin(replay.losses) == replay.objective(replay.optimum.config)
    config = replay.configurations[0]
    with pytest.raises(ValueError, match=r"was not run in Benchmark.*train_steps included"):
        replay.objective(config | {"lr_init": config["lr_init"] * 1.0001})
    assert repr(replay).endswith(f"{len(replay)} configurations, {len(mine)} runs)")
    assert pickle.loads(pickle.dumps(replay)) == replay


def test_replay_of_own_models_is_of_their_runs_and_nan_where_half_of_the_seeds_diverged(small, runs, tmp_path):
    setup = runs.query("architecture == 'gru' and task_type == 'rcf' and n_layers == 2 and max_params == 10000")
    first, second = setup.iloc[[0]], setup.iloc[[1]]
    extra = [first.assign(diverged=True), second.assign(eval_loss=9.0), second.assign(eval_loss=9.5)]
    save_surrogate(small, tmp_path)
    write_parquet(as_corpus(pd.concat([setup, *extra], ignore_index=True)), tmp_path / "runs.parquet")
    replay = Benchmark("gru", "rcf", 2, 1e4, models=tmp_path).replay()
    assert len(replay) == len(setup)
    half, three = configurations(pd.concat([first, second]))
    assert np.isnan(replay.objective(half)) and np.isnan(replay.losses).sum() == 1
    assert replay.objective(three) == 9.0
    assert replay.optimum.loss == np.nanmin(replay.losses)
    dead = Replay.from_runs("here", first.assign(diverged=True))
    with pytest.raises(ValueError, match="All 1 configurations of here diverged"):
        _ = dead.optimum


def test_replay_without_runs_says_where_there_are_some():
    with pytest.raises(ValueError, match=r"No run of Benchmark\(.*it has runs of these sizes: 1,000, 3,000"):
        Benchmark("gru", "rcf", 2, 7_777).replay()


# Processes and threads


def _losses(benchmark, configs):
    """What a worker computes: one by one, and at once."""
    return [benchmark.objective(config) for config in configs], benchmark.batch(pd.DataFrame(configs)).tolist()


def test_repr_and_pickle_are_small_and_hold_no_model(benchmark):
    benchmark.objective(sample(benchmark, 1)[0])
    assert repr(benchmark) == "Benchmark(arch='gru', task='rcf', depth=2, params=10000, models=None)"
    assert len(pickle.dumps(benchmark)) < 500
    again = pickle.loads(pickle.dumps(benchmark))
    assert again == benchmark and hash(again) == hash(benchmark)
    assert Benchmark("gru", "rcf", 4, 1e4) != benchmark


def test_threads_give_the_same_numbers(benchmark):
    configs = sample(benchmark, 300)
    expected = [benchmark.objective(config) for config in configs]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(benchmark.objective, configs)) == expected


def test_loky_workers_give_the_same_numbers(benchmark):
    configs = sample(benchmark, 6)
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(benchmark.objective)(config, 3) for config in configs)
    np.testing.assert_array_equal(found, [benchmark.objective(config, 3) for config in configs])


SCRIPT = """
import multiprocessing
import pandas as pd
from rnn_warmstart import Benchmark
from rnn_warmstart.surrogate import library

def work(benchmark, configs):
    library._read_surrogate.cache_clear()  # the forked process, too, reads models
    Benchmark("rnn", "rcf", 2, 1e4).optimum
    return [benchmark.objective(c) for c in configs], benchmark.batch(pd.DataFrame(configs * 300)).tolist()[:6]

if __name__ == "__main__":
    configs = CONFIGS
    benchmark = Benchmark("gru", "rcf", 2, 1e4)
    here = work(benchmark, configs)
    with multiprocessing.get_context("METHOD").Pool(1) as pool:
        there = pool.apply_async(work, (benchmark, configs)).get(timeout=90)
    print(there == here and there[0])
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_other_processes_give_the_same_numbers(benchmark, method, tmp_path):
    """A forked one, too, though its parent has used OpenMP's threads, which do not survive the fork."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    configs = sample(benchmark, 6)
    path = tmp_path / "work.py"
    path.write_text(SCRIPT.replace("CONFIGS", repr(configs)).replace("METHOD", method))
    command = [sys.executable, "-W", "ignore", str(path)]  # Python 3.12 warns of forks
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=180, cwd="/", env=os.environ | {"OMP_NUM_THREADS": "2"}
    )
    assert done.stdout.strip() == repr(_losses(benchmark, configs)[0]), done.stderr


def test_where_it_is_unpickled_other_models_are_refused(small, tmp_path):
    save_surrogate(small, tmp_path)
    pickled = pickle.dumps(Benchmark("gru", "rcf", 2, 1e4, models=tmp_path))
    config = sample(Benchmark("gru", "rcf", 2, 1e4), 1)[0]
    assert pickle.loads(pickled).objective(config) > 0
    registry = tmp_path / "registry.json"
    registry.write_text(registry.read_text() + " ")
    with pytest.raises(ModelError, match=r"are not those that this benchmark was made with: SHA-256 .* expected"):
        pickle.loads(pickled).objective(config)
    registry.unlink()
    with pytest.raises(ModelError, match="got nothing"):
        pickle.loads(pickled).objective(config)


def test_a_relative_folder_of_models_is_found_from_elsewhere(small, tmp_path, monkeypatch):
    save_surrogate(small, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    benchmark = Benchmark("gru", "rcf", 2, 1e4, models="mine")
    monkeypatch.chdir("/")
    assert benchmark.objective(sample(benchmark, 1)[0]) > 0


# The fast ways


@pytest.mark.parametrize("architecture", ["rnn", "irnn", "ugrnn", "gru", "lstm", "+rnn"])
def test_rows_are_encoded_to_the_bit_as_in_a_table(runs, small, architecture):
    mine = runs[runs["architecture"] == architecture].iloc[::5]
    for setup, group in mine.groupby(["architecture", "task_type", "n_layers", "max_params"]):
        encode = RowEncoder(small.encoder, *setup)
        rows = np.array([encode(config) for config in configurations(group)])
        np.testing.assert_array_equal(rows, small.encoder.transform(group))


def test_null_hyperparameters_are_encoded_as_in_a_table(runs):
    changed = runs.copy()
    changed.loc[::3, "hp_optimizer_logit_momentum"] = np.nan
    changed.loc[::4, "hp_recurrent_matrix_init_type"] = None
    encoder, few = Encoder.fit(changed), changed.iloc[:40]
    setups = few[["architecture", "task_type", "n_layers", "max_params"]].itertuples(index=False)
    rows = [RowEncoder(encoder, *setup)(config) for setup, config in zip(setups, configurations(few), strict=True)]
    np.testing.assert_array_equal(np.array(rows), encoder.transform(few))


def test_networks_answer_single_rows_as_they_do_tables(small, runs):
    networks = small.predictors.networks
    matrix = small.encoder.transform(runs.iloc[::50])
    matrix[0, networks.inputs.numbers[0]] = 1e9  # beyond what networks look at
    for target, together in enumerate(np.stack(networks.predict(matrix), axis=-1).swapaxes(0, 1)):
        row = NetworkRow(networks, target)
        np.testing.assert_allclose([row(each) for each in matrix], together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["rank", "loss", "diverge"])
def test_pruned_models_predict_the_same_bits(small, runs, model):
    booster, encoder = small.boosters.models[model], small.encoder
    for _, group in runs[runs["n_layers"] == 2].groupby(["architecture", "task_type", "max_params"]):
        matrix = encoder.transform(group)
        constant = [len(np.unique(column)) == 1 for column in matrix.T]  # NaN is a value, too
        known = {name: matrix[0, i] for i, name in enumerate(encoder.features) if constant[i]}
        pruned = prune_model(booster.model_to_string(), known)
        assert len(pruned) < len(booster.model_to_string()) * 0.6
        forest = Forest(pruned)
        expected = booster.predict(matrix)
        np.testing.assert_array_equal(forest.many(matrix), expected)
        np.testing.assert_array_equal([forest.one(row) for row in matrix], expected)


@given(seed=st.integers(0, 10_000), known=st.sets(st.integers(0, 4)))
@settings(max_examples=25, deadline=None)
def test_pruning_is_exact_whatever_is_missing_or_a_category(forests, seed, known):
    """Models with every kind of split: missing as zero, missing as NaN, none missing, categories, unseen categories."""
    rng = np.random.default_rng(seed)
    matrix = _matrix(rng, 60)
    values = {f"x{column}": matrix[0, column] for column in known}
    for column in known:
        matrix[:, column] = matrix[0, column]
    for booster in forests:
        forest = Forest(prune_model(booster.model_to_string(), values))
        np.testing.assert_array_equal(forest.many(matrix), booster.predict(matrix))


def _matrix(rng, n):
    matrix = rng.normal(size=(n, 5)).round(1)
    matrix[:, 3] = rng.integers(-1, 70, size=n)
    matrix[:, 4] = rng.integers(0, 3, size=n)
    matrix[rng.random((n, 5)) < 0.2] = np.nan
    matrix[rng.random((n, 5)) < 0.2] = 0.0
    return matrix


@pytest.fixture(scope="module")
def forests():
    import lightgbm

    rng = np.random.default_rng(0)
    matrix = _matrix(rng, 2000)
    target = np.nansum(matrix[:, :3], axis=1) + np.nan_to_num(matrix[:, 3] % 5) * np.nan_to_num(matrix[:, 4], nan=4)
    names = [f"x{column}" for column in range(5)]
    found = []
    for options in ({}, {"zero_as_missing": True}, {"use_missing": False}):
        parameters = {"verbosity": -1, "num_leaves": 15, "num_threads": 1, "max_cat_to_onehot": 2} | options
        data = lightgbm.Dataset(
            np.where((matrix < 0) & (np.arange(5) > 2), np.nan, matrix), target, feature_name=names,
            categorical_feature=[3, 4], params=parameters,
        )  # fmt: skip
        found.append(lightgbm.train(parameters, data, 30))
    return found


def test_without_the_single_row_call_it_is_slower_and_the_same(benchmark, monkeypatch):
    matrix = np.random.default_rng(0).random((5, len(get_surrogate().encoder.features)))
    text = get_surrogate().boosters.models["diverge"].model_to_string()
    expected = [Forest(text).one(row) for row in matrix]
    monkeypatch.setattr("rnn_warmstart.surrogate.forest._NEEDED", ("LGBM_NoSuchFunction",))
    assert [Forest(text).one(row) for row in matrix] == expected


def test_a_model_that_lightgbm_refuses_is_an_error():
    import lightgbm

    with pytest.raises(lightgbm.basic.LightGBMError):
        Forest("tree\nnonsense")
