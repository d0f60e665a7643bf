"""Targets, surrogates, and surrogates on disk."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate, score_setups
from rnn_warmstart.surrogate.boosting import setup_folds
from rnn_warmstart.surrogate.calibration import Steps
from rnn_warmstart.surrogate.storage import ModelError, load_surrogate, save_surrogate
from rnn_warmstart.surrogate.targets import LossScale, rank_scores, setup_codes, usable_loss
from scipy.stats import norm, rankdata, spearmanr

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)


@pytest.fixture
def folder(small, tmp_path):
    save_surrogate(small, tmp_path / "models")
    return tmp_path / "models"


def test_rank_scores_are_normal_scores_within_the_setup(runs):
    scores, loss, codes = rank_scores(runs), usable_loss(runs), setup_codes(runs)
    for code in (0, 7, 100):
        mine = loss[codes == code]
        expected = norm.ppf((rankdata(mine) - 0.5) / len(mine))
        np.testing.assert_allclose(scores[codes == code], expected, atol=1e-12)


def test_a_diverged_run_ranks_last(runs):
    changed = runs.copy()
    changed.loc[0, "diverged"] = True
    changed.loc[0, "eval_loss"] = 0.0
    mates = setup_codes(changed) == setup_codes(changed)[0]
    assert rank_scores(changed)[0] == rank_scores(changed)[mates].max()


def test_the_loss_scale_goes_there_and_back(runs):
    scale = LossScale.fit(runs)
    again = LossScale.from_dict(json.loads(json.dumps(scale.to_dict())))
    fine = runs[~runs["diverged"]].index
    tasks = runs["task_type"].to_numpy(object)
    back = scale.losses(scale.scores(runs), tasks)
    np.testing.assert_array_equal(again.losses(scale.scores(runs), tasks), back)
    for task in set(tasks):
        rows = fine[tasks[fine] == task]
        assert spearmanr(back[rows], runs["eval_loss"][rows]).statistic > 0.999
        middle = runs["eval_loss"][rows].rank(pct=True).between(0.05, 0.95)
        np.testing.assert_allclose(back[rows][middle], runs["eval_loss"][rows][middle], rtol=0.05, atol=0.02)


def test_isotonic_steps_never_fall():
    random = np.random.default_rng(0)
    x = random.normal(size=500)
    steps = Steps.fit(x, (random.random(500) < 1 / (1 + np.exp(-3 * x))).astype(float))
    assert (np.diff(steps(np.linspace(-4, 4, 200))) >= 0).all()


def test_folds_part_the_setups(runs):
    codes = setup_codes(runs)
    folds = list(setup_folds(runs, 4, 0))
    assert (np.sum(folds, axis=0) == 1).all()
    assert all(not set(codes[fold]) & set(codes[~fold]) for fold in folds)


def test_too_few_setups_are_refused(runs):
    few = runs[setup_codes(runs) < 3]
    with pytest.raises(ValueError, match=r"The corpus has 3 setups .*, fewer than the 5 folds"):
        Surrogate.fit(few, Settings(folds=5, trees=2, network=QUICK))


def test_it_ranks_setups_that_it_has_not_seen(runs):
    held_out = next(setup_folds(runs, 5, 1))
    network = NetworkSettings(units=64, layers=3, members=1)
    surrogate = Surrogate.fit(runs[~held_out], Settings(trees=60, diverge_trees=10, folds=2, network=network))
    unseen = runs[held_out].reset_index(drop=True)
    scores = score_setups(unseen, surrogate.predict(unseen))
    assert scores["spearman"].mean() > 0.5  # chance gives 0; all runs and trees give 0.8
    assert scores["better_than_first"].mean() < 0.3


def test_intervals_hold_their_middle_and_grow_with_the_level(small, runs):
    narrow, wide = small.predict(runs, 0.5), small.predict(runs, 0.95)
    assert (narrow["low"] <= narrow["predicted_loss"]).all() and (narrow["predicted_loss"] <= narrow["high"]).all()
    assert (wide["low"] <= narrow["low"]).all() and (narrow["high"] <= wide["high"]).all()
    assert wide["p_diverge"].between(0, 1).all() and wide["expected_rank"].between(0, 1).all()
    with pytest.raises(ValueError, match=r"Intervals exist for the levels \(0.5, 0.8, 0.9, 0.95\), got 0.7"):
        small.predict(runs, 0.7)


def test_saved_and_loaded_it_predicts_the_same_bits(small, runs, folder):
    pd.testing.assert_frame_equal(load_surrogate(folder).predict(runs), small.predict(runs), check_exact=True)


def test_the_same_corpus_and_seed_give_the_same_bytes(small, runs, folder, tmp_path):
    again = Surrogate.fit(runs, small.settings, {"rows": len(runs)})
    save_surrogate(again, tmp_path / "again")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name
    other = Surrogate.fit(
        runs, Settings(trees=30, diverge_trees=10, folds=2, seed=1, network=QUICK), {"rows": len(runs)}
    )
    save_surrogate(other, tmp_path / "other")
    for name in ("rank.txt", "networks.npy"):
        assert (folder / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.array([{}], dtype=object), "Object arrays cannot be loaded when allow_pickle=False"),
        (
            np.zeros((1, 3), np.float32),
            r"float32 weights, \d+ a network, but holds float32 of shape \(1, 3\)",
        ),
        (np.zeros(3), "but holds float64 of shape"),
    ],
)
def test_weights_that_are_none_are_refused_although_the_checksum_fits(folder, weights, message):
    np.save(folder / "networks.npy", weights, allow_pickle=True)
    _register(folder, "networks.npy")
    with pytest.raises(ModelError, match=message):
        load_surrogate(folder)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("networks.npy", b"'shape': (", b"'shape': \x80"),
        ("networks.npy", b"), }", b"),}}"),
        ("surrogate.json", b'"task_type"', b'"task-type"'),
        ("surrogate.json", b'"centre": [', b'"centre": [0,'),
        ("surrogate.json", b'"widths": [', b'"widths": [1, '),
        ("surrogate.json", b'"losses": [', b'"losses": [0.1,'),
        ("surrogate.json", b'"encoder"', b'"encoder": ' + b"[" * 2000),
    ],
)
def test_files_that_do_not_fit_together_are_refused_although_the_checksums_fit(folder, name, old, new):
    content = (folder / name).read_bytes()
    assert old in content
    (folder / name).write_bytes(content.replace(old, new, 1))
    _register(folder, name)
    with pytest.raises(ModelError, match="does not describe a surrogate"):
        load_surrogate(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data["networks"]["inputs"]["sizes"].__setitem__(0, 10**11),
            r"the networks have \d+ inputs, but \d{12} are described",
        ),
        (lambda data: data["encoder"]["tasks"].append(data["encoder"]["tasks"][0]), "tasks has 'arithmetic' twice"),
        (
            lambda data: [item["choices"].extend(item["choices"][:1]) for item in data["encoder"]["hyperparameters"]],
            r"\w+ has '\w+' twice",
        ),
    ],
)
def test_a_description_that_cannot_be_is_refused_although_the_checksums_fit(folder, change, message):
    data = json.loads((folder / "surrogate.json").read_text())
    change(data)
    (folder / "surrogate.json").write_text(json.dumps(data))
    _register(folder, "surrogate.json")
    with pytest.raises(ModelError, match=message):
        load_surrogate(folder)


def test_messages_about_a_registry_are_printable(folder):
    _edit(folder / "registry.json", lambda text: text.replace('": "', '": "\\u001b'))
    with pytest.raises(ModelError, match="is damaged: SHA-256 expected") as caught:
        load_surrogate(folder)
    assert str(caught.value).isprintable()


def _edit(path, change):
    path.write_text(change(path.read_text()))


def _register(folder, name):
    """Give a file that was changed the checksum that it has now."""
    registry = json.loads((folder / "registry.json").read_text())
    registry["sha256"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "registry.json").write_text(json.dumps(registry))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "registry.json").unlink(), "holds no surrogate: registry.json is missing"),
        (lambda f: (f / "rank.txt").unlink(), r"rank\.txt cannot be read"),
        (lambda f: (f / "networks.npy").write_bytes(b"no"), r"networks\.npy is damaged"),
        (lambda f: _edit(f / "loss.txt", lambda t: t.replace("1", "2", 1)), r"loss\.txt is damaged: SHA-256 expected"),
        (lambda f: _edit(f / "loss.txt", lambda t: t[: len(t) // 2]), r"loss\.txt is damaged"),
        (lambda f: _edit(f / "registry.json", lambda t: t[:20]), "is not a registry of models"),
        (lambda f: _edit(f / "registry.json", lambda t: "[]"), "is not a registry of models"),
        (
            lambda f: _edit(f / "registry.json", lambda t: t.replace('"schema_version": 6', '"schema_version": 99')),
            "has schema version 99, this package reads 6",
        ),
        (
            lambda f: _edit(f / "registry.json", lambda t: t.replace("rank.txt", "../rank.txt")),
            "must list diverge.txt",
        ),
    ],
)
def test_a_damaged_folder_is_refused_with_advice(folder, damage, message):
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load_surrogate(folder)
    assert "rnn-warmstart fit --corpus FILE --out DIR" in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ModelError, match="holds no surrogate"):
        load_surrogate(tmp_path / "nothing")
