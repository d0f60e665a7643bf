"""The README's examples, read from the README and run as they stand there.

`.ci/run` runs the first block, installation included, in an empty environment.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, word: str) -> str:
    """Return the only block of the README in a language that has a word."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (found,) = (text for text in blocks if word in text)
    return found


def run(text: str) -> dict:
    """Run Python as a user would who pastes it; what it has defined is returned."""
    names: dict = {}
    exec(compile(text, "README.md", "exec"), names)
    return names


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("language", "word"), [("console", "--params 1e6"), ("python", "warm_study"), ("python", "training.apply")]
)
def test_each_example_has_less_than_ten_lines(language, word):
    assert 0 < len(lines(block(language, word))) < 10


def test_recommendations_on_the_command_line():
    install, command = lines(block("console", "--params 1e6"))
    assert install == "$ pip install ."
    scripts = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "120"}
    done = subprocess.run(
        command.removeprefix("$ "), shell=True, check=True, capture_output=True, text=True, env=os.environ | scripts
    )
    for rank in range(1, 6):
        assert f"#{rank}" in done.stdout
    for promised in ("90 % interval", "diverge", "hidden units", "lr_init"):
        assert promised in done.stdout
    warned = r"^Warning: Of the [\d,]+ runs of gru on text8, none had between 500,000 and 2,000,000 parameters"
    assert re.search(warned, done.stderr, re.MULTILINE)  # "no `gru` ... was that large on `text8`, so it ... warns"


def test_recommendations_in_python(capsys):
    found = run(block("python", "print(found)"))["found"]
    assert {item.hparams["optimizer"] for item in found} == {"Adam"}
    assert all(item.hparams["train_steps"] <= 2000 for item in found)
    assert capsys.readouterr().out.strip() == str(found).strip()


def test_a_seeded_study_of_an_own_objective():
    study = run(block("python", "warm_study"))["study"]
    assert len(study.trials) == 20
    assert [trial.user_attrs.get("rank") for trial in study.trials[:6]] == [1, 2, 3, 4, 5, None]
    assert study.best_value < study.trials[0].value


def test_a_pytorch_module_trained_as_recommended():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    trained = run(block("python", "training.apply"))
    x = torch.rand(10, 500, 4)
    error = (trained["gru"](x)[0][-1, :, :4] - x[0]).square().mean().item()
    assert error < 1 / 24  # the best constant, 1/2, has 1/12: the variance of numbers between 0 and 1
