"""The command ``rnn-warmstart evaluate``: judge surrogates of a corpus on runs that they have not seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import CorpusFile

if TYPE_CHECKING:
    import pandas as pd

    from ..surrogate.splits import Parts


def evaluate(
    out: Annotated[Path, typer.Option(help="Folder for evaluation.json, evaluation.md, splits.parquet and the cache.")],
    corpus: CorpusFile = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="random, by-setup, task, architecture, largest, deepest, longest or late; repeat it for several. "
            "Default: all that part the corpus.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Folds that calibrate each fitted surrogate.")] = 3,
    seed: Annotated[int, typer.Option(help="Of splits and models.")] = 0,
    jobs: Annotated[int, typer.Option(help="Parts at a time; -1 means one a core.")] = 1,
) -> None:
    """Fit on one part of a corpus and judge on the other, for several ways to part it.

    Scores are per setup, beside what seed noise leaves to be known. What the folder's cache holds is not computed
    again. All splits of the built-in corpus take hours on two cores, `by-setup` a quarter of an hour.

    Example: `rnn-warmstart evaluate --split by-setup --out quality`.
    """
    from dataclasses import replace

    from rich.console import Console
    from rich.progress import track

    from ..corpus import load_builtin, read_corpus
    from ..surrogate import Settings
    from ..surrogate.protocol import evaluate_split, judge_split, predict_with, summarise_split
    from ..surrogate.quality import quality_text, write_quality

    console = Console(stderr=True)
    try:
        table = load_builtin() if corpus is None else read_corpus(corpus)
        splits = _choose(table.runs, split, seed)
        settings = replace(Settings(seed=seed), folds=folds)
        key = {"predictor": "surrogate", "settings": settings.to_dict()}
        results = {}
        for name, parts in splits.items():
            predictor = predict_with(settings)
            found = evaluate_split(table.runs, parts, predictor, key, cache=out / "cache", jobs=jobs)
            done = list(track(found, name, total=len(parts), console=console, transient=True))
            results[name] = summarise_split(judge_split(table.runs, done))
        write_quality(out, table, splits, results, seed)
    except (ValueError, OSError) as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(quality_text(table, results, seed))
    typer.echo(f"Wrote {out / 'evaluation.json'}, {out / 'evaluation.md'}, {out / 'splits.parquet'}.", err=True)


def _choose(runs: pd.DataFrame, names: list[str] | None, seed: int) -> dict[str, Parts]:
    """Return the splits by name: those asked for, or all that part the corpus."""
    from ..surrogate.splits import SPLITS, split_runs

    if names:
        return {name: split_runs(runs, name, seed) for name in names}
    chosen = {}
    for name in SPLITS:
        try:
            chosen[name] = split_runs(runs, name, seed)
        except ValueError as error:
            typer.echo(str(error), err=True)
    return chosen
