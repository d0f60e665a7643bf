"""The sampler: Optuna's own contract, and what its users rely on. No test depends on what the models predict."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from rnn_warmstart.recommend.correction import Correction, Member, kernel_scales, normal_scores
from rnn_warmstart.recommend.cube import Cube, encode
from rnn_warmstart.recommend.sampler import WarmSampler

try:
    from optuna.testing import pytest_samplers as contract
except ImportError:  # Optuna 4.2 publishes none
    contract = None

optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = {
    "optimizer": CategoricalDistribution(("Adam", "SGD")),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(1, 9),
    "x": FloatDistribution(0.0, 1.0),
}


class Bowl:
    """A prior: a bowl around x = at, with some slope along the others; `sign` -1 turns it over."""

    def __init__(self, at=0.7, sign=1.0, names=tuple(SPACE)):
        self.at, self.sign, self.names = at, sign, names

    @property
    def distributions(self):
        return {name: SPACE[name] for name in self.names}

    def score(self, columns, n):
        found = np.zeros(n)
        if "x" in columns and np.array(columns["x"]).dtype.kind == "f":  # the contract has categories of this name
            found += np.minimum(12 * (columns["x"] - self.at) ** 2, 4) - 2
        if "optimizer" in columns:
            found += 0.3 * np.array([choice == "SGD" for choice in columns["optimizer"]])
        return self.sign * found


if contract:

    class TestContract(
        contract.BasicSamplerTestCase, contract.RelativeSamplerTestCase, contract.SingleOnlySamplerTestCase
    ):
        """The contract that Optuna publishes for samplers."""

        @pytest.fixture
        def sampler(self):
            return lambda: WarmSampler(Bowl(), seed=0)


def suggest(trial):
    return {
        "optimizer": trial.suggest_categorical("optimizer", ["Adam", "SGD"]),
        "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
        "width": trial.suggest_int("width", 1, 9),
        "x": trial.suggest_float("x", 0.0, 1.0),
    }


def bowl(trial):
    return (suggest(trial)["x"] - 0.7) ** 2


def study_with(prior, seed=0, **options):
    return optuna.create_study(sampler=WarmSampler(prior, seed=seed), **options)


def test_the_first_trials_are_where_the_prior_is_best():
    study = study_with(Bowl(at=0.7))
    study.optimize(bowl, n_trials=3)
    assert all(abs(trial.params["x"] - 0.7) < 0.15 for trial in study.trials)


def test_the_same_seed_gives_the_same_suggestions_and_another_gives_others():
    found = []
    for seed in (3, 3, 4):
        study = study_with(Bowl(), seed)
        study.optimize(bowl, n_trials=6)
        found.append([trial.params for trial in study.trials])
    assert found[0] == found[1] != found[2]


def test_an_interrupted_study_goes_on_as_if_it_had_not_been(tmp_path):
    whole = study_with(Bowl())
    whole.optimize(bowl, n_trials=6)
    url = f"sqlite:///{tmp_path}/study.db"
    study_with(Bowl(), storage=url, study_name="s").optimize(bowl, n_trials=3)
    again = optuna.load_study(study_name="s", storage=url, sampler=WarmSampler(Bowl(), seed=0))
    again.optimize(bowl, n_trials=3)
    assert [trial.params for trial in again.trials] == [trial.params for trial in whole.trials]


def test_a_pickled_sampler_suggests_the_same():
    sampler = WarmSampler(Bowl(), seed=5)
    optuna.create_study(sampler=sampler).optimize(bowl, n_trials=2)
    studies = [optuna.create_study(sampler=item) for item in (sampler, pickle.loads(pickle.dumps(sampler)))]
    for study in studies:
        study.optimize(bowl, n_trials=3)
    assert [trial.params for trial in studies[0].trials] == [trial.params for trial in studies[1].trials]


def correction_of(study, prior):
    """What the trials say against the prior."""
    cube = Cube(SPACE)
    units = cube.units([trial.params for trial in study.trials])
    judge = lambda points: prior.score(cube.columns(points), len(points))  # noqa: E731
    scales = kernel_scales(judge, cube.sizes, np.random.default_rng(0))
    values = np.array([trial.value for trial in study.trials])
    return Correction.fit(encode(units, cube.sizes), judge(units), values, scales)


def test_a_misleading_prior_fades_and_a_true_one_stays():
    right, wrong = Bowl(at=0.7), Bowl(at=0.7, sign=-1.0)
    good, bad = study_with(right), study_with(wrong)
    for study in (good, bad):
        study.optimize(bowl, n_trials=30)
    kept, lost = correction_of(good, right), correction_of(bad, wrong)
    assert kept.weight > 0.5 > 0.2 > lost.weight and kept.doubt < 0.1 < 0.8 < lost.doubt
    early, late = ([abs(trial.params["x"] - 0.7) for trial in part] for part in (bad.trials[:4], bad.trials[-10:]))
    assert min(early) > 0.25 and np.median(late) < 0.15


def test_on_a_plain_function_a_misled_search_catches_up():
    """Six seeds each, 30 trials, within two standard errors of cold TPE, though the first three are lost."""

    def rugged(trial):
        params = suggest(trial)
        return (params["x"] - 0.7) ** 2 + 0.02 * abs(np.log10(params["rate"]) + 2) + 0.02 * (params["width"] != 3)

    ends = {"misled": [], "cold": []}
    for seed in range(6):
        misled = study_with(Bowl(at=0.7, sign=-1.0), seed)
        misled.optimize(rugged, n_trials=30)
        cold = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        cold.optimize(rugged, n_trials=30)
        ends["misled"].append(misled.best_value)
        ends["cold"].append(cold.best_value)
        assert min(trial.value for trial in misled.trials[:3]) > 10 * misled.best_value
    misled, cold = (np.array(values) for values in ends.values())
    error = (misled - cold).std(ddof=1) / np.sqrt(len(cold))
    assert (misled - cold).mean() < 2 * error


@pytest.mark.parametrize("enqueued", [0, 2, 7])
def test_two_early_trials_ask_no_prior(enqueued):
    """After the first three, or more if more were enqueued, the first and the fourth are the same for any prior."""
    found = []
    for at in (0.2, 0.8):
        study = study_with(Bowl(at=at))
        for number in range(enqueued):
            study.enqueue_trial({"x": number / 10})
        study.optimize(lambda trial: suggest(trial)["width"], n_trials=12)
        found.append([trial.params for trial in study.trials])
    first = max(3, enqueued)
    same = [number for number, (one, other) in enumerate(zip(*found, strict=True)) if one == other]
    assert {first, first + 3} <= set(same) and not set(same) & set(range(enqueued, first))


def test_a_prior_that_is_right_is_seldom_left():
    """Near what the prior says is best: 25 of the 30 trials that follow the first two probes, at the least."""
    study = study_with(Bowl(at=0.7))
    study.optimize(bowl, n_trials=39)
    assert sum(abs(trial.params["x"] - 0.7) < 0.2 for trial in study.trials[9:]) >= 25


def test_without_a_prior_it_searches_all_the_same():
    silent = Bowl(names=())
    study = study_with(silent)
    study.optimize(bowl, n_trials=25)
    assert study.best_value < 1e-3


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_it_goes_where_the_direction_says(direction):
    study = study_with(Bowl(at=0.5), direction=direction)
    study.optimize(lambda trial: suggest(trial)["x"], n_trials=25)
    late = np.median([trial.params["x"] for trial in study.trials[-8:]])
    assert late < 0.3 if direction == "minimize" else late > 0.7


def test_ask_and_tell_takes_the_space_it_is_asked_with():
    study = study_with(Bowl())
    narrow = {"x": FloatDistribution(0.0, 0.2), "optimizer": SPACE["optimizer"]}
    for _ in range(4):
        trial = study.ask(narrow)
        assert set(trial.params) == {"x", "optimizer"} and trial.params["x"] <= 0.2
        study.tell(trial, trial.params["x"])


def test_a_space_of_other_choices_than_the_prior_s_is_searched():
    study = study_with(Bowl())

    def other(trial):
        trial.suggest_categorical("optimizer", ["SGD", "Lion"])
        return abs(trial.suggest_float("x", 0.5, 3.0) - 0.7)

    study.optimize(other, n_trials=4)
    assert all(0.5 <= trial.params["x"] <= 3.0 for trial in study.trials)


def test_parameters_that_the_prior_does_not_know_are_learned_and_named_once(caplog):
    study = study_with(Bowl(names=("x",)))

    def wider(trial):
        return (trial.suggest_float("x", 0, 1) - 0.7) ** 2 + (trial.suggest_float("dropout", 0, 1) - 0.2) ** 2

    with caplog.at_level(logging.WARNING, "rnn_warmstart.recommend.sampler"):
        study.optimize(wider, n_trials=25)
    assert [record.message.split(":")[0] for record in caplog.records] == ["The surrogate does not know dropout"]
    assert abs(study.best_params["dropout"] - 0.2) < 0.1


@pytest.mark.parametrize("how", ["fails", "is pruned", "is NaN"])
def test_where_trials_come_to_nothing_it_does_not_stay(how):
    study = study_with(Bowl(at=0.7))

    def half_bad(trial):
        x = suggest(trial)["x"]
        if x < 0.5:
            return 1 - x
        if how == "fails":
            raise RuntimeError
        if how == "is pruned":
            raise optuna.TrialPruned
        return float("nan")

    study.optimize(half_bad, n_trials=25, catch=(RuntimeError,))
    early, late = ([trial.params["x"] < 0.5 for trial in part] for part in (study.trials[:3], study.trials[-8:]))
    assert not any(early) and np.mean(late) > 0.5


def test_pruners_work():
    study = study_with(Bowl(), pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=0))

    def reported(trial):
        value = bowl(trial) + trial.number % 3
        trial.report(value, 1)
        if trial.should_prune():
            raise optuna.TrialPruned
        return value

    study.optimize(reported, n_trials=10)
    states = {trial.state.name for trial in study.trials}
    assert states == {"COMPLETE", "PRUNED"}


@pytest.mark.parametrize("seed", range(5))
def test_threads_repeat_nothing(seed):
    study = study_with(Bowl(), seed=seed)
    study.optimize(bowl, n_trials=12, n_jobs=4)
    assert len(study.trials) == 12 and all(trial.state.name == "COMPLETE" for trial in study.trials)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 12


def test_workers_that_ask_at_once_and_see_nothing_of_each_other_do_not_meet():
    chosen = []
    for number in range(20):  # the same state of the study each time, but for the trial's number
        study = study_with(Bowl())
        for _ in range(number):
            study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
        chosen.append(tuple(study.ask(SPACE).params.values()))
    assert len(set(chosen)) == 20


def test_running_trials_keep_others_away():
    study = study_with(Bowl())
    trials = [study.ask(SPACE) for _ in range(6)]
    points = encode(Cube(SPACE).units([trial.params for trial in trials]), Cube(SPACE).sizes)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(6, 1)]
    assert distance.min() > 0.05


def test_small_spaces_are_tried_to_the_end_without_repeats():
    study = study_with(Bowl(names=("optimizer",)))
    space = {"optimizer": SPACE["optimizer"], "width": IntDistribution(1, 3)}
    for _ in range(6):
        trial = study.ask(space)
        study.tell(trial, trial.params["width"])
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 6


def test_conditional_parameters_are_asked_for_only_where_they_exist():
    study = study_with(Bowl())

    def conditional(trial):
        if trial.suggest_categorical("optimizer", ["Adam", "SGD"]) == "Adam":
            return trial.suggest_float("rate", 1e-4, 1.0, log=True)
        return trial.suggest_float("x", 0.0, 1.0)

    study.optimize(conditional, n_trials=10)
    assert all(("rate" in trial.params) == (trial.params["optimizer"] == "Adam") for trial in study.trials)


# The correction by itself


def test_normal_scores_are_symmetric_and_put_failures_last():
    scores = normal_scores(np.array([3.0, np.nan, 1.0, np.inf, 2.0]))
    assert scores.argmin() == 2 and scores[1] == scores[3] == scores.max()
    np.testing.assert_allclose(normal_scores(np.arange(5.0)), [-1.2816, -0.5244, 0, 0.5244, 1.2816], atol=1e-4)


def bayes(points, prior, scores, weight, scale, stretch):
    """A member's mean at the trials, and the evidence, the slow way: the flat level as one of huge variance."""
    scaled = points * scale
    distance = np.sqrt(5) * np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    variance = 1 - weight**2 * (1 - 0.45**2)
    kernel = variance * (1 + distance + distance**2 / 3) * np.exp(-distance)
    shown = kernel + 0.3**2 * np.eye(len(points)) + 1e6
    target = stretch * scores - weight * prior
    inverse = np.linalg.inv(shown)
    evidence = len(points) * np.log(stretch) - target @ inverse @ target / 2 - np.linalg.slogdet(shown)[1] / 2
    return weight * prior + kernel @ inverse @ target, evidence


def test_a_member_agrees_with_the_textbook():
    rng = np.random.default_rng(0)
    points, scale = rng.random((7, 3)), np.array([1.0, 2.0, 0.5])
    prior, scores = rng.standard_normal(7), normal_scores(rng.standard_normal(7))
    for weight in (0.0, 0.5, 1.0):
        member = Member.fit(weight, scale, points, prior, scores)
        stretches = np.linspace(0.1, 1.5, 1401)
        # the likelihood of h has n - 1 in place of n where the level is integrated out: the level's scale is h's too
        evidences = [bayes(points, prior, scores, weight, scale, h)[1] - np.log(h) for h in stretches]
        best = stretches[int(np.argmax(evidences))]
        np.testing.assert_allclose(
            member.mean(points, prior), bayes(points, prior, scores, weight, scale, best)[0], atol=2e-3
        )


def test_the_weight_falls_the_worse_the_prior_agrees():
    rng = np.random.default_rng(1)
    truth, noise = rng.standard_normal(25), rng.standard_normal(25)
    points = rng.random((25, 6))
    fitted = [
        Correction.fit(points, share * truth + (1 - abs(share)) * noise, truth, [np.ones(6)])
        for share in (1.0, 0.5, 0.0, -1.0)
    ]
    weights, doubts = [item.weight for item in fitted], [item.doubt for item in fitted]
    assert weights == sorted(weights, reverse=True) and weights[0] > 0.75 and weights[-1] < 0.15
    assert doubts == sorted(doubts) and doubts[0] < 0.05 and doubts[-1] > 0.8


def test_without_trials_the_prior_is_all():
    points, prior = np.random.default_rng(2).random((5, 3)), np.arange(5.0)
    empty = Correction.fit(np.zeros((0, 3)), np.zeros(0), np.zeros(0), [np.ones(3)])
    np.testing.assert_allclose(empty.mean(points, prior), empty.weight * prior)
    gains = empty.improvement(points, prior, np.zeros((0, 3)), np.zeros(0))
    assert gains.argmax() == 0 and empty.doubt == pytest.approx(0.1)


def test_the_expected_improvement_is_that_of_draws():
    rng = np.random.default_rng(3)
    points, prior = rng.random((6, 2)), rng.standard_normal(6)
    member = Member.fit(0.5, np.ones(2), points, prior, normal_scores(rng.standard_normal(6)))
    fitted = Correction((member,), np.ones(1), points, prior)
    asked, asked_prior = rng.random((4, 2)), rng.standard_normal(4)
    draws = member.mean(asked, asked_prior) + member.deviation(asked, np.zeros((0, 2))) * rng.standard_normal(
        (200_000, 4)
    )
    best = member.mean(points, prior).min()
    expected = np.maximum(best - draws, 0).mean(axis=0)
    gains = fitted.improvement(asked, asked_prior, np.zeros((0, 2)), np.zeros(0))
    np.testing.assert_allclose(gains, expected, atol=0.01)  # 200,000 draws: standard error below 0.003


@pytest.mark.parametrize(
    "distribution",
    [
        FloatDistribution(1e-4, 1.0, log=True), FloatDistribution(-2.0, 3.0, step=0.5), IntDistribution(1, 9),
        IntDistribution(1, 1000, log=True), IntDistribution(0, 10, step=5), CategoricalDistribution((True, 1, None)),
    ],
)  # fmt: skip
def test_values_go_to_the_cube_and_back(distribution):
    cube = Cube({"p": distribution})
    for unit in np.linspace(0, 1, 23):
        value = cube.parameters(np.array([unit]))["p"]
        again = cube.parameters(cube.units([{"p": value}])[0])["p"]
        assert again == pytest.approx(value) if isinstance(value, float) else again is value or again == value
        assert distribution._contains(distribution.to_internal_repr(value))
