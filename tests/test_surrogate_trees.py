"""Wrong trees are refused before LightGBM sees them, as it may crash on them."""

import hashlib
import json
import re
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from rnn_warmstart.surrogate.library import get_surrogate
from rnn_warmstart.surrogate.storage import ModelError, load_surrogate
from rnn_warmstart.surrogate.tree_checks import checked_trees

TEXT = (files("rnn_warmstart.models") / "diverge.txt").read_text()
FEATURES = len(get_surrogate().encoder.features)


def changed(name, change):
    """Return the text with the numbers of a field of its first tree changed, and the tree's size told rightly."""
    head, rest = TEXT.split("\n\nTree=0\n", 1)
    line = re.search(rf"^{name}=(.*)$", rest, re.MULTILINE)
    values = change(line[1].split())
    new = rest[: line.start(1)] + " ".join(map(str, values)) + rest[line.end(1) :]
    size = len(new) - len(rest)
    head = re.sub(r"tree_sizes=(\d+)", lambda found: f"tree_sizes={int(found[1]) + size}", head)
    return f"{head}\n\nTree=0\n{new}"


def first(value):
    return lambda values: [value, *values[1:]]


def test_checked_trees_predict_the_same_to_the_bit():
    import lightgbm

    rows = np.random.default_rng(0).normal(size=(200, FEATURES))
    rows[:, ::3] = rows[:, ::3].round()
    rows[::7, ::2] = np.nan
    for name in ("rank", "loss", "diverge"):
        text = (files("rnn_warmstart.models") / f"{name}.txt").read_text()
        both = [lightgbm.Booster(model_str=each).predict(rows) for each in (text, checked_trees(text, FEATURES))]
        assert np.array_equal(*both) and both[0].std() > 0
    checked_trees(changed("leaf_value", first(0.5)), FEATURES)


@pytest.mark.parametrize(
    "old", ["[device_type: cpu]\n[data_sample_strategy: bagging]", "[verbosity: -1]", "parameters:"]
)
def test_what_the_trees_do_not_need_is_not_passed_on(old):
    """LightGBM crashes on parameters that it does not know."""
    assert old in TEXT and checked_trees(TEXT.replace(old, "[none"), FEATURES) == checked_trees(TEXT, FEATURES)


def test_numbers_are_spelled_as_lightgbm_reads_them():
    """Python takes 1_0.5 for a number, LightGBM ends the process."""
    assert "\nsplit_gain=10.5 " in checked_trees(changed("split_gain", first("1_0.5")), FEATURES)


def test_all_that_is_known_can_be_split_from_all_that_is_missing():
    """LightGBM's threshold is then infinite."""
    import lightgbm

    x = np.where(np.arange(400) % 2, np.nan, np.random.default_rng(0).normal(size=400))[:, None]
    data = lightgbm.Dataset(x, np.isnan(x[:, 0]).astype(float), params={"max_bin": 2, "verbosity": -1})
    text = lightgbm.train({"verbosity": -1, "num_leaves": 2}, data, 3).model_to_string()
    assert "\nthreshold=inf\n" in text
    both = [lightgbm.Booster(model_str=each).predict(x) for each in (text, checked_trees(text, 1))]
    assert np.array_equal(*both) and both[0].std() > 0


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("left_child", first(10_000), "tree 0 is no tree"),
        ("left_child", first(0), "tree 0 is no tree"),
        ("right_child", lambda values: values[:-1], "right_child must hold"),
        ("split_feature", first(10_000), "asks for a feature that there is not"),
        ("split_feature", first(-1), "asks for a feature that there is not"),
        ("threshold", first("wide"), "threshold must hold numbers"),
        ("threshold", first("nan"), "threshold must hold finite numbers"),
        ("threshold", first("-inf"), "threshold must hold finite numbers"),
        ("split_gain", first("inf"), "split_gain must hold finite numbers"),
        ("leaf_count", first(2**40), "leaf_count must hold finite numbers, whole ones of at most 32 bits"),
        ("decision_type", first(64), "decides in a way that there is not"),
        ("leaf_value", lambda values: [*values, 0.0], "leaf_value must hold"),
        ("num_leaves", first(2), "must hold 1 numbers"),
        ("num_leaves", first(10**30), "num_leaves must hold numbers"),
        ("is_linear", first(1), "none that this package fits"),
    ],
)
def test_wrong_trees_are_refused(name, change, message):
    with pytest.raises(ValueError, match=message):
        checked_trees(changed(name, change), FEATURES)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version=v4", "version=v9", "version must be v4, got 'v9'"),
        ("num_class=1", "num_class=3", "num_class must be 1"),
        ("tree_sizes=", "tree_sizes=9", "tree 0 does not lie where tree_sizes says"),
        ("end of trees", "", "is incomplete"),
        ("objective=binary sigmoid:1", "objective=", "objective must be regression or"),
        ("feature_names=", "feature_names=\x00 ", "feature_names must hold a word for each"),
        ("max_feature_idx=", "max_feature_idx=1", f"must have {FEATURES} features"),
    ],
)
def test_wrong_headers_are_refused(old, new, message):
    with pytest.raises(ValueError, match=message):
        checked_trees(TEXT.replace(old, new, 1), FEATURES)


def test_a_folder_with_wrong_trees_and_right_checksums_is_refused(tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(Path(str(files("rnn_warmstart.models"))), folder)
    (folder / "diverge.txt").write_text(changed("left_child", first(10_000)))
    registry = json.loads((folder / "registry.json").read_text())
    registry["sha256"]["diverge.txt"] = hashlib.sha256((folder / "diverge.txt").read_bytes()).hexdigest()
    (folder / "registry.json").write_text(json.dumps(registry))
    with pytest.raises(ModelError, match=r"diverge\.txt is not a LightGBM model: tree 0 is no tree. Fit it again"):
        load_surrogate(folder)
