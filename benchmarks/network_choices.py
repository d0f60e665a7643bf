"""Why the surrogate's networks are as they are, what did not help, and what fewer runs would cost.

    python benchmarks/network_choices.py            # benchmarks/results/network_choices.{json,md}; an hour, resumable
    python benchmarks/network_choices.py --smoke    # seconds, writes nothing

Every choice changes one thing of a single network of the shipped form. Chosen is on inner folds: of the runs that the
protocol's first part by setup is not judged on, two of five folds by setup are held out in turn; the setups of that
first part are never seen. Scores are per setup, then their mean, by the size of the networks too; the gain over the
shipped form is the mean over setups with its 95 % interval by bootstrap. "Another seed" says how far apart two fits of
one form lie.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from competitors import raw_columns
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.features import Encoder
from rnn_warmstart.surrogate import NetworkSettings, Settings
from rnn_warmstart.surrogate.model import ranking_score
from rnn_warmstart.surrogate.network import Ensemble
from rnn_warmstart.surrogate.protocol import FITTING, Judged, Predictor, evaluate_split, judge_split, lead
from rnn_warmstart.surrogate.splits import Parts, split_runs
from rnn_warmstart.surrogate.targets import LossScale, rank_scores

CACHE = Path(__file__).parent / "cache"
SHIPPED, FOLDS, PIECES = "one network of the shipped form", 2, 8
SIZES = (1000, 3000, 10_000, 30_000)
CODE = (*FITTING, "competitors", "network_choices")
QUICK = NetworkSettings(units=16, layers=1, members=1, epochs=1)
Floats = np.ndarray


def network(
    settings: NetworkSettings,
    seed: int = 0,
    also: tuple[str, ...] = (),
    derived: bool = True,
    pieces: int = 0,
    keep: Callable[[pd.DataFrame], Floats] | None = None,
) -> Predictor:
    """Return a predictor by networks alone.

    Parameters
    ----------
    settings : NetworkSettings
    seed : int
    also : tuple of str
        Losses whose rank scores the networks learn beside the two targets.
    derived : bool
        Whether they see the derived columns.
    pieces : int
        Quantile bins of the piecewise linear columns (Gorishniy, Rubachev and Babenko 2022) of every number; 0: none.
    keep : callable, optional
        Which of the known runs they are fitted on.
    """

    def predict(known: pd.DataFrame, unseen: pd.DataFrame) -> pd.DataFrame:
        known = known if keep is None else known[keep(known)].reset_index(drop=True)
        encoder = Encoder.fit(known)
        names = list(encoder.features) if derived else raw_columns(encoder)
        columns = [encoder.features.index(name) for name in names]
        categories = [place for place, at in enumerate(columns) if encoder.features[at] in encoder.categorical]
        seen, asked = encoder.transform(known)[:, columns], encoder.transform(unseen, strict=False)[:, columns]
        seen, asked = with_pieces(seen, asked, pieces, categories)
        targets = [rank_scores(known), LossScale.fit(known).scores(known)]
        targets += [rank_scores(known.assign(eval_loss=known[name])) for name in also]
        fitted = Ensemble.fit(seen, np.column_stack(targets), categories, settings, seed)
        means, _ = fitted.predict(asked)
        return pd.DataFrame({"score": ranking_score(means[:, 0], means[:, 1])})

    return predict


def with_pieces(seen: Floats, asked: Floats, pieces: int, categories: list[int]) -> tuple[Floats, Floats]:
    """Return both matrices with the piecewise linear columns of their numbers, whose bins are quantiles of `seen`."""
    if not pieces:
        return seen, asked
    both = ([seen], [asked])
    for column in (place for place in range(seen.shape[1]) if place not in categories):
        edges = np.unique(np.nanquantile(seen[:, column], np.linspace(0, 1, pieces + 1)))
        if len(edges) > 2:
            for made, matrix in zip(both, (seen, asked), strict=True):
                made.append(np.clip((matrix[:, [column]] - edges[:-1]) / np.diff(edges), 0, 1))
    return np.column_stack(both[0]), np.column_stack(both[1])


def half(least: int, most: int) -> Callable[[pd.DataFrame], Floats]:
    """Return which runs stay if half of those of so many parameters are left out, drawn at random."""

    def keep(runs: pd.DataFrame) -> Floats:
        drawn = np.random.default_rng(0).random(len(runs)) < 0.5
        return drawn | ~runs["max_params"].between(least, most).to_numpy(bool)

    return keep


def choices(form: NetworkSettings) -> dict[str, Predictor]:
    """Return name -> predictor."""
    changed = {
        "three networks": {"members": 3},
        "20 epochs": {"epochs": 20},
        "96 units": {"units": 96}, "256 units": {"units": 256},
        "3 layers": {"layers": 3}, "5 layers": {"layers": 5},
        "dropout 0.1": {"dropout": 0.1}, "dropout 0.3": {"dropout": 0.3},
        "16 bins": {"bins": 16}, "64 bins": {"bins": 64},
        "batches of 512": {"batch": 512},
    }  # fmt: skip
    return {
        SHIPPED: network(form),
        "another seed": network(form, seed=1),
        **{name: network(replace(form, **change)) for name, change in changed.items()},
        "without derived columns": network(form, derived=False),
        "piecewise linear columns": network(form, pieces=PIECES),
        "learns training and validation loss, too": network(form, also=("train_loss", "valid_loss")),
        "half of the runs": network(form, keep=half(0, 10**9)),
        "half of the runs of 1,000 parameters": network(form, keep=half(1000, 1000)),
        "half of the runs of 10,000 and more": network(form, keep=half(10_000, 10**9)),
    }  # fmt: skip


def inner_folds(runs: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, Parts]:
    """Return the runs that the protocol's first part by setup is not judged on, and folds by setup of them."""
    first = next(iter(split_runs(runs, "by-setup", seed).values()))
    known = runs[~first].reset_index(drop=True)
    return known, dict(islice(split_runs(known, "by-setup", seed + 1).items(), FOLDS))


def describe(judged: Judged, shipped: Judged) -> dict[str, Any]:
    """Return one row of the table: mean correlation, by size, and the gain over the shipped form."""
    rho = judged.enough["spearman"]
    sizes = rho.groupby(level="max_params").mean()
    found = {"rho": float(rho.mean())} | {f"{size:,}": float(sizes.get(size, np.nan)) for size in SIZES}
    return found | {"gain": lead(judged, shipped)["spearman"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few runs and choices, a tiny network; writes nothing")
    smoke = parser.parse_args().smoke
    corpus, console = load_builtin(), Console(stderr=True)
    runs = corpus.runs
    if smoke:
        runs = runs[runs["source"] == "lab"].iloc[::4].reset_index(drop=True)
    known, parts = inner_folds(runs, 0)
    cache = Path(tempfile.mkdtemp()) if smoke else CACHE
    form = QUICK if smoke else replace(Settings().network, members=1)
    rows: dict[str, dict[str, Any]] = {}
    shipped: Judged | None = None
    for name, predictor in list(choices(form).items())[:: 6 if smoke else 1]:
        console.print(name)
        key = {"choice": name, "network": repr(form)}
        judged = judge_split(known, evaluate_split(known, parts, predictor, key, cache=cache, code=CODE))
        shipped = shipped or judged
        rows[name] = describe(judged, shipped)
    origin = provenance(corpus, 0)
    ordered = sorted(rows.items(), key=lambda item: -item[1]["rho"])
    cells = [
        [
            name,
            *(f"{value:.3f}" for key, value in row.items() if key != "gain"),
            "" if name == SHIPPED else "{:+.3f} ({:+.3f} to {:+.3f})".format(*row["gain"]),
        ]
        for name, row in ordered
    ]
    text = (
        f"# Choices behind the networks\n\n`python benchmarks/network_choices.py`, commit {origin['commit']}, "
        f"{len(known):,} of the corpus's {len(corpus.runs):,} runs, SHA-256 {origin['corpus']['sha256']}, seed 0.\n\n"
        + markdown_table(["choice", "rho", *(f"{size:,} parameters" for size in SIZES), "gain (95 %)"], cells)
        + "\nrho: Spearman's between prediction and loss, mean over the held-out setups with 8 or more runs.\n"
    )
    if not smoke:
        write_result("network_choices", {"provenance": origin, "choices": rows}, text)
    print(text)


if __name__ == "__main__":
    main()
