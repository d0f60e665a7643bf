"""The command ``rnn-warmstart corpus``: tables for people, JSON for programs, exit codes and messages."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import typer
from rich.console import Console
from rnn_warmstart.commands import progress
from rnn_warmstart.commands.corpus import corpus
from rnn_warmstart.corpus import as_corpus, load_builtin, write_parquet
from typer.testing import CliRunner, Result

ASSETS = Path(__file__).parent / "assets"

app = typer.Typer()
app.command()(corpus)


@app.callback()
def main() -> None:
    """Stand in for the whole command line, of which `corpus` is one command."""


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)], env={"COLUMNS": "100", "NO_COLOR": "1"})


@pytest.fixture
def small(tmp_path: Path) -> Path:
    table = pd.DataFrame(
        {
            "architecture": ["gru", "gru", "gru", "lstm", "lstm"],
            "task_type": ["rcf", "rcf", "rcf", "rcf", "text8"],
            "n_layers": [1, 1, 1, 0, 4],
            "max_params": 1000,
            "eval_loss": [0.5, 0.5, None, 0.5, 2.5],
            "seed": [1, 1, 2, 3, 4],
            "hp_steps": [100, 100, 100, 100, 200],
            "hp_activation": [None, None, None, None, "tanh"],
        }
    )
    table.to_parquet(tmp_path / "runs.parquet")
    return tmp_path / "runs.parquet"


def test_json_has_the_counts(small: Path) -> None:
    result = invoke(small, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    counts = {name: found[name] for name in ("rows", "setups", "diverged", "refused", "duplicates", "contradictory")}
    assert counts == {"rows": 4, "setups": 2, "diverged": 1, "refused": 1, "duplicates": 1, "contradictory": 0}
    why = "n_layers is not a whole number of at least 1"
    assert found["refusals"] == [{"where": "runs.parquet", "rows": 1, "why": why}]
    assert (found["by_architecture"], found["by_task"]) == ({"gru": 3, "lstm": 1}, {"rcf": 3, "text8": 1})
    assert found["by_architecture_and_task"] == {"gru": {"rcf": 3}, "lstm": {"text8": 1}}
    assert found["hparams"] == ["activation", "steps"]


def test_tables_are_aligned_and_end_with_the_summary(small: Path) -> None:
    lines = invoke(small).stdout.splitlines()
    cells = [line.split() for line in lines]
    assert ["runs", "gru", "lstm", "all"] in cells
    assert ["rcf", "3", "0", "3"] in cells and ["text8", "0", "1", "1"] in cells and ["all", "3", "1", "4"] in cells
    assert len({len(line.rstrip()) for line in lines if line.split()[:1] in (["rcf"], ["text8"], ["all"])}) == 1
    assert lines[-1].startswith("4 runs in 2 setups, 1 diverged, 1 duplicates, 0 contradictory, 1 refused (1 of runs")


def test_without_a_file_it_is_the_built_in_corpus() -> None:
    found = json.loads(invoke("--json").stdout)
    builtin = load_builtin()
    assert (found["rows"], found["sha256"]) == (len(builtin), builtin.sha256)
    assert str(builtin.summary) in invoke().stdout


def test_a_pickle_is_read() -> None:
    assert json.loads(invoke(ASSETS / "python2_protocol2.p", "--json").stdout)["rows"] == 6


def test_best_runs_as_json(small: Path) -> None:
    (best,) = json.loads(invoke(small, "--best", 1, "--arch", "lstm", "--task", "text8", "--json").stdout)["best"]
    assert best["hparams"] == {"activation": "tanh", "steps": 200}
    assert (best["eval_loss"], best["n_layers"], best["seed"], best["diverged"]) == (2.5, 4, 4, False)


def test_best_runs_as_a_table(small: Path) -> None:
    lines = [line.split() for line in invoke(small, "--best", 3).stdout.splitlines()]
    assert ["best", "1", "best", "2", "best", "3"] in lines
    assert ["eval_loss", "0.5", "0.5", "2.5"] in lines
    assert ["hp_activation", "tanh"] in lines
    assert len(json.loads(invoke(small, "--best", 3, "--json").stdout)["best"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.p"], "Error: missing.p does not exist; give an archive"),
        ([__file__], "is not of a kind that holds a corpus"),
        (
            ["--best", "1", "--arch", "gruu"],
            "Error: No run fits {'architecture': 'gruu'}; the corpus has architecture: +rnn",
        ),
    ],
)
def test_failures_exit_with_1_and_say_why(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arch", "gru"], "--arch and --task select runs for --best"),
        (["--best", "0"], "Invalid value for '--best'"),
        (["--best", "many"], "Invalid value for '--best'"),
        (["--nothing"], "No such option"),
        (["a", "b"], "unexpected extra argument"),
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    boxed = "".join(c if c.isascii() else " " for c in result.stderr)  # the message is broken into lines in a box
    assert message in " ".join(boxed.split())


def test_help_says_what_it_reads() -> None:
    text = " ".join(invoke("--help").stdout.split())
    for word in (".tar.gz", "Parquet", "--best", "--json", "Examples"):
        assert word in text


def test_the_bar_appears_only_when_reading_takes_long() -> None:
    shown = {}
    for patience in (1e9, -1.0):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, width=80)
        with progress.ReadingBar(patience, console) as bar:
            bar(10, 20, "some.p")
        shown[patience] = stream.getvalue()
    assert shown[1e9] == ""
    assert "reading some.p" in shown[-1.0] and "50%" in shown[-1.0]


def test_slow_reading_keeps_stdout_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.ReadingBar.__init__, "__defaults__", (-1.0, None))
    write_parquet(as_corpus(load_builtin().runs[:50]), tmp_path / "x.parquet")
    result = invoke(tmp_path / "x.parquet", "--json")
    assert json.loads(result.stdout)["rows"] == 50


def test_the_command_loads_pandas_only_when_it_runs() -> None:
    code = "import sys, rnn_warmstart.commands.corpus; print([m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
