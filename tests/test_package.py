"""The installed package: what importing it costs, what it lists, which way its imports go."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
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
    tool = PYPROJECT["tool"]["setuptools"]
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


def _distribution(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


@cache
def _optional_modules() -> set[str]:
    """Return what can be imported of packages that only extras name."""
    project = PYPROJECT["project"]
    core = {_distribution(text) for text in project["dependencies"]}
    extras = {_distribution(text) for needed in project["optional-dependencies"].values() for text in needed} - core
    installed = packages_distributions().items()
    return {module for module, names in installed if extras & {_distribution(name) for name in names}}


def _run_without_extras(code: str) -> subprocess.CompletedProcess[str]:
    """Run code for which the packages of the extras are not installed."""
    hide = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
hidden = {sorted(_optional_modules())}
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in hidden else find(name, *rest)
"""
    return subprocess.run([sys.executable, "-c", hide + code], capture_output=True, text=True, cwd="/")


def test_every_room_but_the_trainer_s_is_imported_without_an_extra():
    rooms = [name for name in PYPROJECT["tool"]["setuptools"]["packages"] if not name.endswith(".training")]
    done = _run_without_extras(f"""
from importlib import import_module
from pkgutil import iter_modules
for room in {rooms}:
    for module in iter_modules(import_module(room).__path__, room + "."):
        if not module.ispkg:
            import_module(module.name)
            print(module.name)
""")
    assert done.returncode == 0, done.stderr
    assert {"rnn_warmstart.recommend.answer", "rnn_warmstart.commands.report"} <= set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--help"], "recommend"),
        (["recommend", "--arch", "gru", "--task", "rcf", "--params", "1e4", "--n", "1"], "lr_init"),
        (["recommend", "--arch", "gru", "--task", "rcf", "--params", "1e4", "--n", "1", "--to", "json"], "lr_init"),
    ],
)
def test_the_program_runs_without_an_extra(arguments, told):
    done = _run_without_extras(
        f"import sys\nfrom rnn_warmstart.__main__ import main\nsys.argv[1:] = {arguments}\nmain()"
    )
    assert done.returncode == 0 and told in done.stdout, done.stderr


def test_what_runs_without_extras_has_none():
    assert "No module named 'pytest'" in _run_without_extras("import pytest").stderr
