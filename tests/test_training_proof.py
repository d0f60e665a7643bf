"""The proofs by real training: their figures by a second way, their rivals, what they keep when they are stopped."""

import numpy as np
import pytest

pytest.importorskip("torch")
import proof_figures as figures
import recommendation as proof
import rivals
import trained_search
from rnn_warmstart.training.draws import check_configuration, draw_configurations
from rnn_warmstart.training.setups import Setup

RANDOM = np.array([0.5, 0.1, 0.9, 0.3, 0.3, 0.7, np.inf, 0.2])


def draws(k, count=20_000):
    rng = np.random.default_rng(0)
    return np.array([rng.choice(RANDOM, size=k, replace=False).min() for _ in range(count)])


@pytest.mark.parametrize("k", [1, 3, 8])
@pytest.mark.parametrize("loss", [0.05, 0.25, 0.3, 2.0])
def test_the_chance_to_beat_the_best_of_k_is_that_of_drawing(k, loss):
    best = draws(k)
    expected = (best > loss).mean() + (best == loss).mean() / 2
    assert figures.chance_to_beat(RANDOM, loss, k) == pytest.approx(expected, abs=0.015)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_the_expected_lowest_of_k_is_that_of_drawing(k):
    expected = np.minimum(draws(k), 1.0).mean()
    assert figures.expected_lowest(RANDOM, k, 1.0) == pytest.approx(expected, abs=0.01)


def test_ties_count_half():
    assert figures.share_better(RANDOM, 0.3) == 3 / 8


def test_judged_setups_are_balanced_and_can_be_trained():
    setups = proof.judged_setups()
    assert len(set(setups)) == 24
    for key in ("architecture", "task_type"):
        names = [getattr(item, key) for item in setups]
        assert {names.count(name) for name in names} == {4}
    jobs = proof.random_jobs(setups[0], 30, 50)
    assert [job.configurations[0]["train_steps"] for job in jobs] == [50] and len(jobs[0].seeds) == 30


def test_unseen_keeps_no_run_of_a_judged_setup():
    from rnn_warmstart.corpus import load_builtin

    runs, setups = load_builtin().runs, proof.judged_setups()[:3]
    kept = proof.unseen_by(runs, setups)
    for item in setups:
        mine = (runs["architecture"] == item.architecture) & (runs["task_type"] == item.task_type)
        mine &= (runs["n_layers"] == item.n_layers) & (runs["max_params"] == item.max_params)
        assert mine.any() and not kept[mine].any()


def test_judging_counts_the_best_of_the_first_trials():
    setup = proof.judged_setups()[0]
    losses = np.array([[0.3, 0.3, 0.3], [0.1, 0.6, 0.3], [0.9, 0.9, 0.9]])
    found = figures.judge(setup, RANDOM[:6], {"recommend": [{}, {}], "other": [{}]}, losses)
    first, both = found["lists"]["recommend"]["regret"]
    middle = 0.4
    assert first == pytest.approx((0.3 - 0.1) / (middle - 0.1))
    assert both == pytest.approx((0 + 0.2 + 0.2) / 3 / (middle - 0.1))
    assert found["lists"]["other"]["regret"] == [pytest.approx(1.0)]  # worse than the median counts as the median


def test_the_speed_up_compares_the_trials_to_a_rival_s_end():
    rival = {"losses": [[0.9, 0.8], [0.5, 0.8], [0.4, 0.4]]}  # both seeds end at 0.4, after 3 trials
    ours = {"losses": [[0.3, 0.9], [0.9, 0.4], [0.9, 0.9]]}  # there after 1 and 2
    assert figures.speed_up(ours, rival).tolist() == [3.0, 1.5]
    # the median of our ends is 0.35: reached by us after 1 trial and never (4), by the rival never
    assert figures.speed_up(rival, ours).tolist() == [(1 + 4) / 2 / 4] * 2


def test_the_quantile_rival_has_a_full_list_for_every_judged_setup():
    for setup in proof.judged_setups():
        found = rivals.quantile_surrogate(setup)
        assert set(found) == {rivals.QUANTILE, rivals.QUANTILE_UNSEEN}
        for configurations in found.values():
            assert len({tuple(sorted(item.items())) for item in configurations}) == proof.LENGTH
            for item in configurations:
                check_configuration(setup.architecture, item)
                assert item["train_steps"] == proof.STEPS


def test_a_search_that_was_stopped_trains_only_what_is_new(tmp_path, monkeypatch):
    setup, made = Setup("gru", "rcf", 1, 300), []
    make_runs = trained_search.make_runs
    monkeypatch.setattr(trained_search, "make_runs", lambda job: made.append(len(job.seeds)) or make_runs(job))
    first, second, third = draw_configurations("gru", 3, 0, (3, 3))
    before = trained_search.Question(setup, 3, tmp_path / "kept.json").train([first, second], [1, 2])
    again = trained_search.Question(setup, 3, tmp_path / "kept.json")  # as after a restart
    assert again.train([second, third, first], [2, 3, 1])[::2] == before[::-1]
    assert again.train([first], [4]) != before[:1]  # another seed is another training
    assert made == [2, 1, 1]


def test_a_search_speeds_up_to_what_the_cold_one_has_after_50_trials():
    cold = np.linspace(1, 0, 100)  # its 50th trial is reached after 25 by one twice as fast
    regret = {"warm_study": np.maximum(1 - 2 * np.arange(100) / 99, 0), "TPE": cold}
    losses = {name: [item.tolist()] for name, item in regret.items()}
    found = trained_search.summarise([{"losses": losses}] * 2, list(losses))
    assert found["warm_study"]["speed_up"] == pytest.approx(50 / 26)
    assert found["warm_study"]["ahead_on_average"] == 0.96  # not where both are above the random median, nor at the end
