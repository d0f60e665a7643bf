"""benchmarks/make_runs.py: what is planned and merged is what the corpus lacks."""

from __future__ import annotations

import pandas as pd
import pytest
from rnn_warmstart.corpus import as_corpus, load_builtin, read_corpus, write_parquet

pytest.importorskip("torch")
import make_runs


def test_merging_adds_what_is_missing_and_nothing_twice(tmp_path):
    runs = load_builtin().runs
    known = pd.concat([runs[runs["source"] == "lab"].head(30), runs[runs["source"] == "trainer/random"].head(30)])
    more = runs[runs["source"] == "trainer/replicate"].head(20)
    (tmp_path / "folder").mkdir()
    write_parquet(as_corpus(known), tmp_path / "runs.parquet")
    write_parquet(as_corpus(pd.concat([known.tail(10), more])), tmp_path / "folder" / "trainer_runs.parquet")
    for _ in range(2):  # the second time there is nothing to add
        make_runs.merge([tmp_path / "folder"], tmp_path / "runs.parquet")
        merged = read_corpus(tmp_path / "runs.parquet").runs
        assert merged["source"].value_counts().to_dict() == {"lab": 30, "trainer/random": 30, "trainer/replicate": 20}
        assert set(merged["seed"]) == set(known["seed"]) | set(more["seed"])


def test_a_job_whose_runs_the_corpus_has_is_not_planned_again(tmp_path, monkeypatch):
    done, other = (
        next(iter(make_runs.Grid(("gru",), ("rcf",), (1,), (size,), configurations=3).jobs())) for size in (700, 800)
    )
    monkeypatch.setattr(make_runs, "grid", lambda: [done, other])
    monkeypatch.setattr(make_runs, "replicates", lambda: [])
    monkeypatch.setattr(make_runs, "scale", lambda: [])
    corpus = as_corpus(load_builtin().runs.head(3).assign(seed=done.seeds))
    monkeypatch.setattr(make_runs, "load_builtin", lambda: corpus)
    make_runs.plan(tmp_path)
    assert make_runs.RunFolder(tmp_path).pending() == [other.name]
