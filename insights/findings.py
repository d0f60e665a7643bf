"""What a corpus and a surrogate say about hyperparameters, taken together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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
from .regions import LEAST, choices, ranges
from .replicates import seed_noise
from .sample import BEST, Sample, known_hyperparameters, mean_and_error, merge_hyperparameters

TABLES: Final = (
    "importance", "ranges", "choices", "optimum_numbers", "optimum_choices", "optimum_explained", "seed_noise",
)  # fmt: skip
"""The tables of the findings, by name."""
TUNED: Final = -0.1
"""Mean rank correlation of a run's `hyper_iter` with its loss below which a tuner is taken to have chosen the runs."""
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
        The corpus has no such task or architecture, or no run of both; the message names those it has. Or the surrogate
        takes for a choice what is a number here.
    """
    report = progress or (lambda share, what: None)
    runs, items = _select(corpus.runs, task, arch), known_hyperparameters(corpus.runs)
    probe = None if surrogate is None else Probe.of(surrogate, runs, seed)
    asked = probe is not None and len(probe.setups) > 0
    samples, middle = {"runs": Sample.from_runs(runs)}, 0.2 if asked else 0.5
    importance = effects(samples["runs"], items, _part(report, "reading the runs", 0, middle)).add_prefix("runs_")
    if probe is not None and asked:
        items = merge_hyperparameters(items, probe.surrogate.encoder.hyperparameters)
        samples["surrogate"] = probe.sample(_part(report, "asking the surrogate", 0.2, 0.4))
        found = probe.importance(_part(report, "asking the surrogate", 0.4, 0.9))
        importance = found.join(importance, how="outer")
    summarising = _part(report, "summarising", 0.9 if asked else 0.5, 1)
    tables = _tables(samples, items, importance, summarising) | {"seed_noise": seed_noise(runs)}
    about = {"task": task, "arch": arch, "runs": len(runs), "setups": len(runs[list(SETUP)].drop_duplicates())}
    about |= {"corpus_sha256": corpus.sha256, "surrogate": asked, "seed": seed}
    chosen = {what for what, value in (("task", task), ("architecture", arch)) if value is not None}
    notes = [*_notes_of_runs(runs, samples["runs"], tables, chosen), *_notes_of_surrogate(probe, corpus)]
    return Findings(about, {name: tables[name] for name in TABLES}, tuple(notes))


def _part(report: Progress, what: str, start: float, end: float) -> Callable[[float], None]:
    """Return a progress function of the share of one part."""
    return lambda share: report(start + share * (end - start), what)


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
    samples: dict[str, Sample],
    items: dict[str, Hyperparameter],
    importance: pd.DataFrame,
    progress: Callable[[float], None],
) -> dict[str, pd.DataFrame]:
    """Return every table but the seed noise."""
    parts = []
    for number, sample in enumerate(samples.values()):
        parts.append((ranges(sample, items), choices(sample, items), *moves(sample, items)))
        progress((number + 1) / len(samples))
    stacked = [
        pd.concat([table.assign(source=name) for name, table in zip(samples, tables, strict=True)], ignore_index=True)
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
    "total", "total_se", "main", "main_se", "trees", "setups",
    "runs_explained", "runs_explained_se", "runs_trend", "runs_trend_se", "runs_setups",
]  # fmt: skip


def _notes_of_runs(
    runs: pd.DataFrame, sample: Sample, tables: dict[str, pd.DataFrame], asked: set[str]
) -> Iterator[str]:
    if not tables["importance"]["runs_explained"].notna().any():
        yield f"No setup has {2 * GROUP} random runs of different values: importance from the runs alone is not known."
    if sample.best.sum() < LEAST:
        yield (
            f"Fewer than {LEAST} random runs are among the best {BEST:.0%} of their setup: where the best lie is not "
            f"known from the runs alone."
        )
    for column, what in zip(SETUP, ("architecture", "task", "depth", "size"), strict=True):
        if runs[column].nunique() == 1 and what not in asked:
            yield f"There is one {what} only ({runs[column].iloc[0]}): how the optimum moves with it is not known."
    if "hyper_iter" in sample.table and sample.table["hyper_iter"].notna().all():
        order = sample.table["hyper_iter"].to_numpy(np.float64)
        mean, error, _ = mean_and_error(correlations(order, sample.quantiles, sample.setups))
        if mean < TUNED and mean < -3 * error:
            yield (
                f"Later runs of a setup are better (mean rank correlation {mean:.2f}): a tuner chose them, so what the "
                f"runs alone say of a hyperparameter is partly what the tuner changed at the same time."
            )
    if tables["seed_noise"].empty:
        yield "Too few configurations were trained with several seeds: what seed noise hides is not known."


def _notes_of_surrogate(probe: Probe | None, corpus: Corpus) -> Iterator[str]:
    if probe is None:
        yield "No surrogate was asked: everything here is from the runs alone."
        return
    if probe.setups.empty:
        yield (
            "The surrogate knows none of these setups: what it says is left out. Fit one on these runs with "
            "`rnn-warmstart fit --corpus FILE --out DIR` and give --models DIR."
        )
        return
    fitted = probe.surrogate.corpus.get("sha256")
    if fitted is not None and fitted != corpus.sha256:
        yield "The surrogate was fitted on other runs than these."


def _plain(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    plain = value.item() if isinstance(value, np.generic) else value
    if not isinstance(plain, float):
        return plain
    return float(f"{plain:.6g}") if math.isfinite(plain) else None
