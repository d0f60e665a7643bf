"""What a corpus and a surrogate say about hyperparameters, taken together."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from ..corpus.schema import SETUP
from ..corpus.table import Corpus
from ..features import Hyperparameter, unknown
from ..surrogate import Surrogate
from .effects import GROUP, correlations, effects
from .moves import moves
from .probe import Probe
from .regions import choices, ranges
from .replicates import seed_noise
from .sample import Sample, known_hyperparameters, mean_and_error

TABLES: Final = (
    "importance", "ranges", "choices", "optimum_numbers", "optimum_choices", "optimum_explained", "seed_noise",
)  # fmt: skip
"""The tables of the findings, by name."""
Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Findings:
    """Which hyperparameters matter, where the good regions are, how the optimum moves, what seed noise hides.

    Parameters
    ----------
    about : dict
        What was looked at: ``task``, ``arch`` (null for all), ``runs``, ``setups``, ``corpus_sha256``, ``surrogate``
        (whether one was asked), ``seed``.
    tables : dict of DataFrame
        Every one of `TABLES`; empty ones have their columns. All but importance and seed_noise have the column
        ``source``: "runs" or "surrogate". docs/insights.md explains every column.
    notes : tuple of str
        What is not known, and why; what to keep in mind.
    """

    about: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain JSON values: each table a list of objects, six digits a number, null if unknown."""
        tables = {name: [_plain(row) for row in table.to_dict("records")] for name, table in self.tables.items()}
        return {"about": dict(self.about), **tables, "notes": list(self.notes)}


def find_insights(
    corpus: Corpus,
    surrogate: Surrogate | None = None,
    *,
    task: str | None = None,
    arch: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Findings:
    """Look at the runs of a corpus and, if there is one, at what a surrogate says of their setups.

    Parameters
    ----------
    corpus : Corpus
    surrogate : Surrogate, optional
        Default: the runs alone.
    task, arch : str, optional
        Only these, as the corpus spells them; default all.
    seed : int, default 0
        Of the configurations that the surrogate is asked about.
    progress : callable, optional
        Called with (share done from 0 to 1, what is being done).

    Raises
    ------
    ValueError
        The corpus has no such task or architecture, or no run of both; the message names those it has.
    """
    report = progress or (lambda share, what: None)
    report(0.0, "reading the runs")
    runs = _select(corpus.runs, task, arch)
    items, notes = known_hyperparameters(runs), list[str]()
    samples = {"runs": Sample.from_runs(runs)}
    importance, probe = effects(samples["runs"], items).add_prefix("runs_"), None
    notes += _notes_of_runs(runs, samples["runs"], importance)
    if surrogate is None:
        notes.append("No surrogate was asked: everything here is from the runs alone.")
    else:
        probe = Probe.of(surrogate, runs, seed)
        notes += _notes_of_probe(probe, runs, corpus)
    if probe is not None and len(probe.setups):
        items = probe.surrogate.encoder.hyperparameters | items
        samples["surrogate"] = probe.sample(lambda share: report(0.3 * share, "asking the surrogate"))
        found = probe.importance(lambda share: report(0.3 + 0.7 * share, "asking the surrogate"))
        importance = found.join(importance, how="outer")
    tables = _tables(samples, items, importance) | {"seed_noise": seed_noise(runs)}
    if tables["seed_noise"].empty:
        notes.append("Too few configurations were trained with several seeds: what seed noise hides is not known.")
    report(1.0, "done")
    asked = "surrogate" in samples
    about = {"task": task, "arch": arch, "runs": len(runs), "setups": len(runs[list(SETUP)].drop_duplicates())}
    about |= {"corpus_sha256": corpus.sha256, "surrogate": asked, "seed": seed}
    return Findings(about, {name: tables[name] for name in TABLES}, tuple(notes))


def _select(runs: pd.DataFrame, task: str | None, arch: str | None) -> pd.DataFrame:
    kept = np.ones(len(runs), dtype=bool)
    for column, what, value in (("task_type", "task", task), ("architecture", "architecture", arch)):
        known = sorted(runs[column].astype(str).unique())
        if value is not None and value not in known:
            raise unknown(what, value, known)
        kept &= (runs[column] == value).to_numpy(bool) if value is not None else True
    if not kept.any():
        what = "no run" if task is None and arch is None else f"no run of {arch} on {task}"
        raise ValueError(f"The corpus has {what}; choose an architecture and a task that occur together.")
    return runs[kept].reset_index(drop=True)


def _tables(
    samples: dict[str, Sample], items: dict[str, Hyperparameter], importance: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return every table but the seed noise."""
    parts = [(ranges(sample, items), choices(sample, items), *moves(sample, items)) for sample in samples.values()]
    stacked = [
        pd.concat(
            [table.assign(source=source) for source, table in zip(samples, tables, strict=True)], ignore_index=True
        )
        for tables in zip(*parts, strict=True)
    ]
    return {"importance": _importance(importance, items)} | dict(zip(TABLES[1:-1], stacked, strict=True))


def _importance(found: pd.DataFrame, items: dict[str, Hyperparameter]) -> pd.DataFrame:
    """Return the importance in its columns' order, most important first: by the surrogate, else by the runs."""
    table = found.reindex(columns=_IMPORTANCE).rename_axis("hyperparameter").reset_index()
    counts = ["setups", "runs_setups"]
    table[counts] = table[counts].fillna(0).astype(int)
    table.insert(1, "scale", [items[name].scale for name in table["hyperparameter"]])
    known = table[["total", "runs_explained"]].notna().any(axis=1)
    return table[known].sort_values(["total", "runs_explained"], ascending=False, ignore_index=True)


_IMPORTANCE: Final = [
    "total", "total_se", "main", "main_se", "trees", "networks", "setups",
    "runs_explained", "runs_explained_se", "runs_trend", "runs_trend_se", "runs_setups",
]  # fmt: skip


def _notes_of_runs(runs: pd.DataFrame, sample: Sample, importance: pd.DataFrame) -> list[str]:
    notes = []
    if not importance["runs_explained"].notna().any():
        notes.append(
            f"No setup has {2 * GROUP} random runs of different values: importance from the runs alone is not known."
        )
    if not sample.best.any():
        notes.append("No setup has 10 random runs: where the best runs lie is not known from the runs alone.")
    for column, what in zip(SETUP, ("architecture", "task", "depth", "size"), strict=True):
        if runs[column].nunique() == 1:
            notes.append(
                f"There is one {what} only ({runs[column].iloc[0]}): how the optimum moves with it is not known."
            )
    if "hyper_iter" in sample.table and sample.table["hyper_iter"].notna().all():
        order = sample.table["hyper_iter"].to_numpy(np.float64)
        mean, error, _ = mean_and_error(correlations(order, sample.quantiles, sample.setups))
        if mean < -0.1 and mean < -3 * error:
            notes.append(
                f"Later runs of a setup are better (mean rank correlation {mean:.2f}): a tuner chose them, so what the "
                f"runs alone say of a hyperparameter is partly what the tuner changed at the same time."
            )
    return notes


def _notes_of_probe(probe: Probe, runs: pd.DataFrame, corpus: Corpus) -> list[str]:
    notes = []
    if not len(probe.setups):
        notes.append(
            "The surrogate knows none of these setups: what it says is left out. Fit one on these runs with "
            "`rnn-warmstart fit --corpus FILE --out DIR` and give --models DIR."
        )
    fitted = probe.surrogate.corpus.get("sha256")
    if fitted is not None and fitted != corpus.sha256:
        notes.append("The surrogate was fitted on other runs than these.")
    return notes


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, float):
        return plain
    return float(f"{plain:.6g}") if math.isfinite(plain) else None
