"""What every result says of itself, and how results are written."""

from __future__ import annotations

import json
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rnn_warmstart.corpus import Corpus
from rnn_warmstart.corpus.atomic import write_atomically

RESULTS = Path(__file__).parent / "results"


def current_commit() -> str:
    """Return the checkout's commit, marked where files differ from it; results written since make no difference."""
    git = ["git", "-C", str(RESULTS.parents[1])]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    same = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", ".", ":!benchmarks/results"], check=False)
    return head.stdout.strip() + "-dirty" * (same.returncode != 0) if head.returncode == 0 else "unknown"


def provenance(corpus: Corpus, seed: int) -> dict[str, Any]:
    """Return commit, corpus and library versions; the commit is marked where files differ from it."""
    libraries = {name: version(name) for name in ("lightgbm", "numpy", "pandas", "scikit-learn", "optuna")}
    found = {"rows": len(corpus), "setups": corpus.summary.setups, "sha256": corpus.sha256}
    return {"commit": current_commit(), "seed": seed, "corpus": found, "libraries": libraries}


def write_result(name: str, result: dict[str, Any], text: str) -> None:
    """Write ``results/<name>.json`` and ``results/<name>.md``, each at once."""
    RESULTS.mkdir(exist_ok=True)
    for suffix, content in ((".json", json.dumps(result, indent=1) + "\n"), (".md", text)):
        write_atomically(RESULTS / f"{name}{suffix}", content.encode())


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
