"""The step from a corpus to figures: how well surrogates rank and predict setups that they never saw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from ..corpus import Corpus, as_corpus
from ..surrogate import Settings, Surrogate
from ..surrogate.protocol import LEAST_RUNS, evaluate_split, judge_split, predict_levels, summarise_split
from ..surrogate.quality import write_quality
from ..surrogate.splits import split_runs
from ..surrogate.storage import RUNS
from .errors import BuildError

SPLIT: Final = "by-setup"
FOLDS: Final = 2
"""Folds that calibrate each surrogate that is judged."""
EVALUATION: Final = "evaluation.md"
"""The figures, as a person reads them."""


def evaluate_corpus(
    corpus: Corpus,
    folder: Path,
    most: int,
    settings: Settings,
    cache: Path,
    progress: Callable[[str, float], None],
) -> tuple[str, ...]:
    """Fit on four fifths of the setups and judge on the fifth, five times, and write what was found.

    Parameters
    ----------
    corpus : Corpus
        At least as many setups as there are folds.
    folder : path
        Where it writes; splits.parquet lists the runs that were drawn.
    most : int
        Of more runs than that, that many are drawn at random: the figures are those of surrogates of fewer runs.
    settings : Settings
        Of the surrogates; they are calibrated in `FOLDS` folds.
    cache : path
        Each of the five parts is kept there when it is done.
    progress : callable
        Called with (what is being done, share done).

    Returns
    -------
    tuple of str
        The files that it wrote.

    Raises
    ------
    BuildError
        No setup has enough runs to be judged.
    """
    chosen = draw_runs(corpus, most, settings.seed)
    if chosen.setups()["runs"].max() < LEAST_RUNS:
        raise BuildError(
            f"No setup has {LEAST_RUNS} or more of the {len(chosen):,} evaluated runs, so that nothing can be judged; "
            f"evaluate more runs, or fit without an evaluation: rnn-warmstart fit --corpus {folder / RUNS} --out DIR."
        )
    settings = replace(settings, folds=FOLDS)
    parts = split_runs(chosen.runs, SPLIT, settings.seed)
    key = {"predictor": "surrogate", "settings": settings.to_dict()}
    found: list[pd.DataFrame] = []

    def predict(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
        def report(what: str, share: float) -> None:
            progress(f"fold {len(found) + 1} of {len(parts)}, {what}", (len(found) + share) / len(parts))

        return predict_levels(Surrogate.fit(known, settings, progress=report), unseen)

    for table in evaluate_split(chosen.runs, parts, predict, key, cache=cache):
        found.append(table)
    summary = summarise_split(judge_split(chosen.runs, found))
    write_quality(folder, chosen, {SPLIT: parts}, {SPLIT: summary}, settings.seed)
    return ("evaluation.json", EVALUATION, "splits.parquet")


def draw_runs(corpus: Corpus, most: int, seed: int) -> Corpus:
    """Return a corpus of at most so many runs, drawn at random, in their order."""
    if len(corpus) <= most:
        return corpus
    rows = np.sort(np.random.default_rng(seed).choice(len(corpus), most, replace=False))
    return as_corpus(corpus.runs.iloc[rows].reset_index(drop=True), where="the drawn runs")
