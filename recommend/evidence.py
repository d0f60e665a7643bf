"""The real runs behind an answer: those nearest to a configuration as the surrogate sees nearness, and how many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus import SETUP, configurations
from ..corpus.schema import UNKNOWN_SIZE
from ..surrogate import Surrogate
from ..surrogate.targets import rank_quantiles
from .query import Query

TREES: Final = 200
"""Trees of the rank model that are asked whether two configurations are alike: the first, which split on what matters
most."""
GOOD: Final = 0.1
"""Share of a setup's runs that count as good."""
FEW: Final = 8
"""Fewer runs of about a size than this say little of that size."""
Table = dict[str, NDArray[Any]]


def nearest_runs(surrogate: Surrogate, runs: pd.DataFrame, rows: Table, n: int = 3) -> list[list[dict[str, Any]]]:
    """Return, for each query row, the n runs most like it, most alike first.

    The similarity of two configurations is the share of the rank model's first `TREES` trees that put them into one
    leaf (the proximity of Breiman 2001), from 0 to 1: what the model treats alike counts as near.

    Parameters
    ----------
    surrogate : Surrogate
        Its rank model is asked.
    runs : DataFrame of n_runs rows
        Candidates, in the corpus schema.
    rows : mapping
        Queries, as the encoder takes them, n_rows each.

    Returns
    -------
    list of list of dict
        ``source``, the setup, ``eval_loss`` (task's unit, None if it diverged), ``diverged``, ``similarity`` and
        ``hparams``.
    """
    if runs.empty:
        return [[] for _ in rows["architecture"]]
    model = surrogate.boosters.models["rank"]
    known, asked = (
        model.predict(surrogate.encoder.transform(table), pred_leaf=True, num_iteration=TREES) for table in (runs, rows)
    )
    similarity = np.array([(known == leaves).mean(axis=1) for leaves in asked])
    order = np.argsort(-similarity, axis=1, kind="stable")[:, :n]
    return [_describe(runs.iloc[best], similarity[row, best]) for row, best in enumerate(order)]


def nearest_good_runs(
    surrogate: Surrogate, runs: Mapping[str, pd.DataFrame], rows: Table, n: int = 3
) -> list[list[dict[str, Any]]]:
    """Return, for each configuration, n runs of different tasks: of each task's good runs the one most like it.

    Good are the best `GOOD` of the random runs of each setup: on several tasks a configuration stands on what was good
    on them. Arguments as of `nearest_runs`, the runs by task, and the rows a block a task in the same order.
    """
    size = len(rows["architecture"]) // len(runs)
    found: list[list[dict[str, Any]]] = [[] for _ in range(size)]
    for block, table in enumerate(runs.values()):
        asked = {name: values[block * size : (block + 1) * size] for name, values in rows.items()}
        good = table[rank_quantiles(table) <= GOOD]
        for mine, nearest in zip(found, nearest_runs(surrogate, good, asked, n=1), strict=True):
            mine.extend(nearest)
    return [sorted(mine, key=lambda run: -run["similarity"])[:n] for mine in found]


def tell_few_runs(query: Query, runs: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return a warning if fewer than `FEW` of the runs, by task, are within a factor of two of the size asked about.

    A corpus covers sizes by architecture: a few large runs on one task widen the range for all.
    """
    if query.covered_params == UNKNOWN_SIZE:
        return []
    sizes = pd.concat([table.loc[table["architecture"] == query.architecture, "max_params"] for table in runs.values()])
    low, high = query.covered_params / 2, query.covered_params * 2
    count = int(sizes.between(low, high).sum())
    if sizes.empty or count >= FEW:
        return []
    return [
        f"Of the {len(sizes):,} runs of {query.architecture} on {', '.join(runs)}, {count or 'none'} had between "
        f"{low:,.0f} and {high:,.0f} parameters: what is said of {query.covered_params:,} parameters is extrapolated "
        "from other sizes and tasks."
    ]


def _describe(runs: pd.DataFrame, similarity: NDArray[np.float64]) -> list[dict[str, Any]]:
    setups = runs[["source", *SETUP, "eval_loss", "diverged"]].to_dict("records")
    hparams = configurations(runs)
    return [
        {
            **{str(name): value for name, value in setup.items()},
            "eval_loss": None if pd.isna(setup["eval_loss"]) else setup["eval_loss"],
            "similarity": float(share),
            "hparams": values,
        }
        for setup, share, values in zip(setups, similarity, hparams, strict=True)
    ]
