"""The way from a question to an answer: load, check, search, choose, assess."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..features.dimension import Floats, Value
from ..features.space import DEPTH
from ..surrogate import Surrogate
from ..surrogate.library import get_surrogate, relevant_runs
from .evidence import nearest_runs
from .portfolio import choose_portfolio
from .query import Query, build_query
from .recommendation import Recommendation, RecommendedConfiguration
from .search import Elites, query_rows, search_elites


def answer(
    arch: str,
    task: str,
    params: float,
    depth: int | None,
    n: int,
    fixed: Mapping[str, Value] | None,
    max_train_steps: int | None,
    seed: int,
    models: str | os.PathLike[str] | None,
) -> Recommendation:
    """Answer a question; the arguments are those of `recommend`."""
    surrogate = get_surrogate(models)
    query = build_query(surrogate, arch, task, params, depth, n, fixed, max_train_steps, seed)
    elites = search_elites(surrogate, query)
    chosen = choose_portfolio(elites, query.space, query.n, query.seed)
    configurations = _assess(surrogate, query, Elites(elites.units[chosen], elites.scores[chosen]), models)
    return Recommendation(query, configurations, elites)


def _assess(
    surrogate: Surrogate, query: Query, elites: Elites, models: str | os.PathLike[str] | None
) -> tuple[RecommendedConfiguration, ...]:
    rows = query_rows(query, elites.units)
    predicted = surrogate.predict(rows)
    if predicted["predicted_loss"].isna().any():
        raise ValueError(
            f"Every run on {query.task} in the corpus diverged, so no loss can be predicted; choose another task, or "
            f"fit on runs that did not."
        )
    ranks = surrogate.calibration.expected_rank(elites.scores)
    evidence = nearest_runs(surrogate, relevant_runs(models, query.architecture, query.task), rows)
    hparams = query.space.configurations(elites.units)
    layers = [int(item.pop(DEPTH, query.covered_depths[0][0])) for item in hparams]
    units, counts = _sizes(surrogate, query, np.array(layers, dtype=np.float64))
    return tuple(
        RecommendedConfiguration(
            hparams=hparams[row],
            n_layers=layers[row],
            hidden_units=_whole_or_none(units[row]),
            num_params=_whole_or_none(counts[row]),
            predicted_loss=float(entry["predicted_loss"]),
            interval=(float(entry["low"]), float(entry["high"])),
            p_diverge=float(entry["p_diverge"]),
            expected_rank=float(ranks[row]),
            evidence=evidence[row],
        )
        for row, entry in enumerate(predicted.to_dict("records"))
    )


def _sizes(surrogate: Surrogate, query: Query, layers: Floats) -> tuple[Floats, Floats]:
    return surrogate.encoder.hidden_units(
        {
            "architecture": np.full(len(layers), query.architecture, dtype=object),
            "task_type": np.full(len(layers), query.task, dtype=object),
            "n_layers": layers,
            "max_params": np.full(len(layers), float(query.params)),
        }
    )


def _whole_or_none(value: Any) -> int | None:
    return None if np.isnan(value) else int(value)
