"""The counts in the built-in corpus's data card, printed from the corpus itself.

``python -m rnn_warmstart.corpus.card`` writes them into ``corpus/data/CARD.md``, between its two markers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd

from .atomic import write_atomically
from .files import load_builtin
from .schema import COLUMNS, SETUP
from .table import Corpus

MARKERS: Final = ("<!-- counts: begin -->", "<!-- counts: end -->")
CARD: Final = Path(__file__).parent / "data" / "CARD.md"


def describe(corpus: Corpus) -> str:
    """Return the counts of a corpus as Markdown: by source, task and architecture, size and depth; its columns."""
    runs = corpus.runs
    by_task = runs.groupby(["task_type", "architecture"]).size().unstack(fill_value=0)
    by_size = runs.groupby(["max_params", "n_layers"]).size().unstack(fill_value=0)
    parts = [
        f"{corpus.summary}.",
        "Runs by source:",
        _table(
            ["source", "runs", "setups", "diverged"], [_source(name, part) for name, part in runs.groupby("source")]
        ),
        "Runs by task and architecture:",
        _table(["task_type", *by_task.columns], by_task.reset_index().to_numpy().tolist()),
        "Runs by budget (parameters) and depth (layers):",
        _table(["max_params", *by_size.columns], by_size.reset_index().to_numpy().tolist()),
        "Columns:",
        _table(["column", "type", "nulls", "meaning"], [_column(str(name), runs[name]) for name in runs]),
    ]
    return "\n\n".join(parts) + "\n"


def _source(name: object, runs: pd.DataFrame) -> list[object]:
    return [name, len(runs), len(runs[list(SETUP)].drop_duplicates()), int(runs["diverged"].sum())]


def _column(name: str, values: pd.Series) -> list[object]:
    kind = "text" if values.dtype.kind == "O" else str(values.dtype)
    return [f"`{name}`", kind, int(values.isna().sum()), COLUMNS[name].doc if name in COLUMNS else "hyperparameter"]


def _table(heading: list[object] | list[str], rows: list[list[object]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(_spell, line)) + " |" for line in lines)


def _spell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def update(card: Path = CARD) -> None:
    """Replace the counts in the data card by those of the built-in corpus."""
    before, rest = card.read_text(encoding="utf-8").split(MARKERS[0])
    after = rest.split(MARKERS[1])[1]
    middle = f"{MARKERS[0]}\n\n{describe(load_builtin())}\n{MARKERS[1]}"
    write_atomically(card, (before + middle + after).encode())


if __name__ == "__main__":
    update()
