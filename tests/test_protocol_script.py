"""benchmarks/protocol.py: scores of single competitors join the results that are there, of whatever corpus."""

from __future__ import annotations

import hashlib
import json
import sys

import competitors
import numpy as np
import protocol
import provenance
import pytest
from rnn_warmstart.surrogate.targets import rank_scores
from scipy.stats import spearmanr

RIDGE, BOOSTING = "scikit-learn, ridge", "LightGBM, L2, rank score"
MAP = """
source = "theirs"
[run]
architecture = "cell"
task_type = "task"
n_layers = "layers"
max_params = "size"
eval_loss = "loss"
[hparams]
lr_init = "lr_init"
optimizer = "optimizer"
"""


@pytest.fixture
def judge(runs, tmp_path, monkeypatch):
    """Judge on a foreign table; return the results as they are written."""
    fine = runs[runs["max_params"] < 10_000]
    names = {"architecture": "cell", "task_type": "task", "n_layers": "layers", "max_params": "size",
             "eval_loss": "loss", "hp_lr_init": "lr_init", "hp_optimizer": "optimizer"}  # fmt: skip
    fine[list(names)].rename(columns=names).to_csv(tmp_path / "theirs.csv", index=False)
    (tmp_path / "map.toml").write_text(MAP)
    for module in (protocol, provenance):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(protocol, "CACHE", tmp_path / "cache")

    def call(*options: str) -> dict:
        corpus = ["--corpus", f"{tmp_path / 'theirs.csv'}", "--map", f"{tmp_path / 'map.toml'}", "--name", "theirs"]
        monkeypatch.setattr(sys, "argv", ["protocol.py", *corpus, "--without-surrogate", "--write", *options])
        protocol.main()
        return json.loads((tmp_path / "results" / "theirs.json").read_text())

    return call


def test_a_competitor_joins_the_results_that_are_there(judge, tmp_path):
    first = judge("--split", "task", "--competitors", RIDGE)
    both = judge("--split", "task", "--competitors", BOOSTING)
    assert set(first["results"]["task"]) == {RIDGE}
    assert both["results"]["task"][RIDGE] == first["results"]["task"][RIDGE]
    more = judge("--split", "by-setup", "--competitors", RIDGE)["results"]
    assert {split: set(found) for split, found in more.items()} == {"by-setup": {RIDGE}, "task": {RIDGE, BOOSTING}}
    assert list((tmp_path / "results").iterdir()) and not (tmp_path / "results" / "splits.parquet").exists()
    text = (tmp_path / "results" / "theirs.md").read_text()
    assert text.index("## Competitors, by-setup") < text.index("## Competitors, task")
    assert more["by-setup"][RIDGE]["groups"]["all"]["spearman"]["mean"] > 0.2  # chance gives 0


def test_results_say_which_file_they_are_of_and_do_not_mix_seeds(judge, tmp_path):
    origin = judge("--split", "task", "--competitors", BOOSTING)["provenance"]
    digest = hashlib.sha256((tmp_path / "theirs.csv").read_bytes()).hexdigest()
    assert origin["file"] == {"name": "theirs.csv", "sha256": digest, "map": "map.toml"}
    assert f"on theirs.csv (SHA-256 {digest}) by map.toml" in (tmp_path / "results" / "theirs.md").read_text()
    assert set(judge("--split", "task", "--competitors", RIDGE, "--seed", "1")["results"]["task"]) == {RIDGE}


def test_what_does_not_fit_is_refused(judge, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        judge("--competitors", "ridge")
    assert "unknown competitors ['ridge']; known: its networks alone; " in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["protocol.py", "--name", "theirs"])
    with pytest.raises(SystemExit):
        protocol.main()
    assert "give --corpus, --map and --name, or none of them." in capsys.readouterr().err


@pytest.mark.parametrize("name", competitors.COMPETITORS)
def test_every_competitor_ranks_the_runs_that_it_knows(runs, monkeypatch, name):
    if name in ("XGBoost", "CatBoost"):
        pytest.importorskip(name.lower())
    monkeypatch.setattr(competitors, "ROUNDS", 30)
    known = runs.iloc[:400].reset_index(drop=True)
    found = competitors.COMPETITORS[name](known, known)
    assert len(found) == len(known) and np.isfinite(found).all(axis=None)
    assert spearmanr(found["score"], rank_scores(known)).statistic > 0.3  # chance gives 0, standard error 0.05
