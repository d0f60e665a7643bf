"""The commands recommend and fit."""

from __future__ import annotations

import json
import subprocess
import sys

import optuna
import pytest
from rnn_warmstart import recommend
from rnn_warmstart.__main__ import app
from rnn_warmstart.corpus import write_parquet
from rnn_warmstart.surrogate import NetworkSettings
from typer.testing import CliRunner

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)

ARGUMENTS = ["recommend", "--arch", "gru", "--task", "text8", "--params", "1e6"]


def run(*arguments, width="100"):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": width, "TERM": "dumb"})


def test_json_is_the_answer_and_warnings_go_to_stderr():
    question = ["recommend", "--arch", "gru", "--task", "text8", "--params", "1e9"]
    done = run(*question, "--json", "--n", "2", "--fix", "optimizer=Adam", "--fix", "lr_init=0.01", "--depth", "2")
    assert done.exit_code == 0
    expected = recommend("gru", "text8", 1e9, n=2, fixed={"optimizer": "Adam", "lr_init": 0.01}, depth=2)
    assert json.loads(done.stdout) == expected.to_dict()
    assert "Warning: params=1,000,000,000 lies outside" in done.stderr


@pytest.mark.parametrize("width", ["60", "100", "200"])
def test_the_table_fits_the_terminal(width):
    done = run(*ARGUMENTS, width=width)
    assert done.exit_code == 0
    assert all(f"#{rank}" in done.stdout for rank in range(1, 6))
    assert max(map(len, done.stdout.splitlines()[1:])) <= int(width)
    assert "lr_init" in done.stdout and "90 % interval" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["recommend", "--arch", "gruu", "--task", "text8", "--params", "1e6"], 2, "Did you mean 'gru'?"),
        (["recommend", "--arch", "gru", "--task", "text8", "--params", "0"], 2, "params must be"),
        ([*ARGUMENTS, "--fix", "optimizer"], 2, "NAME=VALUE"),
        ([*ARGUMENTS, "--models", "/nowhere"], 1, "holds no surrogate"),
        (["recommend", "--arch", "gru"], 2, "Missing option"),
        (["fit", "--corpus", "/nowhere.parquet", "--out", "/tmp/never"], 1, "does not exist"),
    ],
)
def test_refusals_have_a_code_and_a_reason_on_stderr(arguments, code, message):
    done = run(*arguments)
    assert done.exit_code == code
    assert message in done.stderr and done.stdout == "" and "Traceback" not in done.stderr


def test_models_of_other_runs_answer(runs, tmp_path, monkeypatch):
    import rnn_warmstart.surrogate as surrogate

    small = runs[runs["architecture"].isin(["gru", "rnn"])]
    write_parquet(small, tmp_path / "mine.parquet")
    quick = lambda seed: surrogate.boosting.Settings(trees=20, diverge_trees=5, folds=2, seed=seed, network=QUICK)  # noqa: E731
    monkeypatch.setattr(surrogate, "Settings", quick)
    done = run("fit", "--corpus", str(tmp_path / "mine.parquet"), "--out", str(tmp_path / "models"))
    assert done.exit_code == 0 and "Wrote the models" in done.stderr
    assert f"{len(small):,} runs" in (tmp_path / "models" / "CARD.md").read_text()
    done = run(*ARGUMENTS, "--json", "--models", str(tmp_path / "models"))
    assert done.exit_code == 0
    assert json.loads(done.stdout) == recommend("gru", "text8", 1e6, models=tmp_path / "models").to_dict()
    assert run("recommend", "--arch", "lstm", *ARGUMENTS[3:], "--models", str(tmp_path / "models")).exit_code == 2


def test_it_is_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "rnn_warmstart", *ARGUMENTS, "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    assert len(json.loads(done.stdout)["recommendations"]) == 5


def test_help_names_every_option():
    shown = run("recommend", "--help", width="200").stdout
    for option in ("--arch", "--task", "--params", "--depth", "--n", "--fix", "--max-train-steps", "--seed", "--json"):
        assert option in shown


DESCRIPTION = """
inputs = "symbols"
outputs = "classes"
n_in = 80
n_out = 80
time_steps = 100
scored_steps = 100
"""


def test_a_task_s_description_is_a_file(tmp_path):
    file = tmp_path / "novels.toml"
    file.write_text(DESCRIPTION)
    asked = ["recommend", "--arch", "gru", "--params", "1e4", "--depth", "1", "--n", "1", "--json", "--task"]
    told = json.loads(run(*asked, str(file)).stdout)["query"]
    assert told["task"]["name"] == "novels" and max(told["weights"], key=told["weights"].get) == "text8"
    file.write_text(DESCRIPTION + "colour = 'red'\n")
    refused = run(*asked, str(file))
    assert refused.exit_code == 2 and "A task's description has unknown colour" in refused.stderr
    missing = run(*asked, str(tmp_path / "none.toml"))
    assert missing.exit_code == 2 and "cannot be read" in missing.stderr


def test_a_seeded_study_takes_the_same_limits(tmp_path):
    asked = ["seed", "--arch", "gru", "--task", "rcf", "--params", "1e4", "--depth", "1", "--n", "2"]
    storage = f"sqlite:///{tmp_path}/warm.db"
    done = run(*asked, "--fix", "optimizer=Adam", "--storage", storage, "--study-name", "own")
    assert done.exit_code == 0, done.output
    (first, *_) = optuna.load_study(study_name="own", storage=storage).trials
    assert first.system_attrs["fixed_params"]["optimizer"] == "Adam"
    refused = run(*asked, "--fix", "optimizer", "--storage", storage, "--study-name", "other")
    assert refused.exit_code == 2 and "--fix needs NAME=VALUE" in " ".join(refused.output.split())
