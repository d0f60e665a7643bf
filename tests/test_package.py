"""The installed package: what importing it costs, what it lists, which way its imports go."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["corpus", "features", "surrogate", "recommend", "pages", "insights", "building", "commands"]


def test_importing_it_loads_no_heavy_library():
    heavy = "pandas lightgbm optuna sklearn scipy torch pyarrow typer rich numpy".split()
    code = f"import sys, rnn_warmstart; print([name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == "[]"


def test_the_function_wins_over_the_subpackage_of_its_name():
    code = "import rnn_warmstart.recommend.query, rnn_warmstart; print(callable(rnn_warmstart.recommend))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
    assert found.stdout.strip() == "True"


def test_pyproject_lists_every_package():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    listed = {tool["package-dir"][name] for name in tool["packages"]}
    on_disk = {
        str(path.parent.relative_to(ROOT))
        for path in ROOT.glob("**/__init__.py")
        if not {"build", ".venv", "tests"} & set(path.relative_to(ROOT).parts)
    }
    assert listed == on_disk


def _neighbours(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 2 and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("folder", [*ORDER[:-1], "training"])
def test_imports_go_one_way(folder):
    allowed = {"corpus", "features"} if folder == "training" else set(ORDER[: ORDER.index(folder)])
    paths = list((ROOT / folder).glob("*.py"))
    assert paths and all(_neighbours(path) <= allowed for path in paths)


def test_only_the_reader_of_the_original_knows_pickle():
    users = [
        str(path.relative_to(ROOT))
        for folder in (*ORDER[:-1], "package", "training")
        for path in (ROOT / folder).rglob("*.py")
        if any(line.split()[:2] in (["import", "pickle"], ["from", "pickle"]) for line in path.read_text().splitlines())
    ]
    assert set(users) <= {"corpus/unpickle.py"}
