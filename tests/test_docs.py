"""The blocks of docs/ run, page by page: those of a page share a namespace and a folder.

Python runs as it stands, of a console block its ``$ rnn-warmstart ...`` lines. A fence with a title is a file. In the
page's source, ``<!-- skip: next "reason" -->`` leaves the next block out, and ``<!-- invisible-code: python`` begins a
comment that is run and not shown.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path
from unittest import SkipTest

import pytest
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

DOCS = Path(__file__).parents[1] / "docs"
SLOW = ["benchmark.md", "import.md", "insights.md", "pytorch.md", "tutorial.md"]
EXTRAS = {"ConfigSpace": "configspace", "ax": "ax", "cmaes": "samplers", "neps": "neps", "plotly": "pages",
          "ray": "raytune", "smac": "smac", "syne_tune": "synetune", "tomli_w": "exports", "torch": "torch",
          "yaml": "exports"}  # fmt: skip
"""Package to the extra that brings it: without it, a block is skipped."""


def run_console(example: Example) -> None:
    """Run a block's commands of this package, each of which must exit 0."""
    lines = [line[2:] for line in example.parsed.splitlines() if line.startswith(("$ rnn-warmstart ", "$ export "))]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-ec", "\n".join(lines)], capture_output=True, text=True, env=environment)
    if missing := re.search(r"pip install '?rnn-warmstart\[(\w+)\]", done.stderr):
        raise SkipTest(f"needs the extra {missing[1]}")
    assert done.returncode == 0, done.stderr


SYBIL = Sybil([PythonCodeBlockParser(), CodeBlockParser("console", run_console), SkipParser()])


class Page:
    def __init__(self, path: Path) -> None:
        self.document, self.missing = SYBIL.parse(path), ""
        self.waiting = deque(self.document.examples())
        self.lines = [example.line for example in self.waiting if not isinstance(example.parsed, tuple)]  # no directive

    def make_files(self) -> None:
        """Write the fences that have a title."""
        for name, text in re.findall(
            r'^```\w+ title="([^"]+)"\n(.*?)^```$', self.document.text, re.DOTALL | re.MULTILINE
        ):
            Path(name).write_text(text, encoding="utf-8")

    def run(self, line: int) -> None:
        """Run the block at a line, and before it what has not run yet."""
        while self.waiting and self.waiting[0].line <= line:
            example = self.waiting.popleft()
            try:
                self.evaluate(example)
            except SkipTest:
                if example.line == line:
                    raise

    def evaluate(self, example: Example) -> None:
        """Run an example; one that needs a missing package, or the names of such a one, is skipped."""
        try:
            example.evaluate()
        except (ModuleNotFoundError, NameError) as error:
            package = str(error.name).partition(".")[0]
            self.missing = EXTRAS.get(package, "") if isinstance(error, ModuleNotFoundError) else self.missing
            if not self.missing:
                raise
            raise SkipTest(f"needs the extra {self.missing}") from error


PAGES = {str(path.relative_to(DOCS)): Page(path) for path in sorted(DOCS.rglob("*.md"))}
BLOCKS = [
    pytest.param(name, line, id=f"{name}:{line}", marks=[pytest.mark.slow] if name in SLOW else [])
    for name, page in PAGES.items()
    for line in page.lines
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {name: tmp_path_factory.mktemp("page") for name in PAGES}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("name", "line"), BLOCKS)
def test_a_block_runs(name, line, folders, monkeypatch):
    monkeypatch.chdir(folders[name])
    PAGES[name].make_files()
    PAGES[name].run(line)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES.keys())
def test_what_is_skipped_says_why(page):
    assert all(
        re.fullmatch(r'next ".{10,}"', told) for told in re.findall(r"<!-+ *skip: *(.*?) *-->", page.document.text)
    )
