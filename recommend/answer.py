"""The way from a question to an answer: load, check, search, choose, assess."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ..features.dimension import Floats
from ..features.space import DEPTH
from ..surrogate import Surrogate
from ..surrogate.library import get_surrogate, relevant_runs
from .evidence import nearest_good_runs, nearest_runs, tell_few_runs
from .forecast import Forecast, query_rows
from .history import Corrected
from .limits import Limits
from .portfolio import Portfolio, choose_portfolio
from .query import Query, build_query, encoder_for
from .recommendation import Recommendation, RecommendedConfiguration
from .search import Elites, search_elites
from .task_spec import TaskSpec
from .tolerance import as_values, ladder, number_axes, points_on, strains, tolerated

Evidence = list[list[dict[str, Any]]]


def answer(
    arch: str,
    task: str | TaskSpec,
    params: float,
    depth: int | None,
    n: int,
    limits: Limits,
    seed: int,
    models: str | os.PathLike[str] | None,
    history: Any = None,
) -> Recommendation:
    """Answer a question; the arguments are those of `recommend`."""
    surrogate = get_surrogate(models)
    query = build_query(surrogate, arch, task, params, depth, n, limits, seed)
    runs = {known: relevant_runs(models, query.architecture, known) for known in query.weights}
    query = replace(query, warnings=(*query.warnings, *tell_few_runs(query, runs)))
    corrected = Corrected.by(history, surrogate, query)
    elites = search_elites(surrogate, query, corrected)
    portfolio = choose_portfolio(elites, query.space, query.n, query.seed)
    chosen = Elites(elites.units[portfolio.chosen], elites.scores[portfolio.chosen])
    evidence = _evidence(surrogate, query, chosen.units, runs)
    configurations = _assess(surrogate, query, chosen, portfolio, evidence)
    return Recommendation(query, configurations, portfolio.stop_after, elites, corrected.trials, corrected.weight)


def _assess(
    surrogate: Surrogate, query: Query, chosen: Elites, portfolio: Portfolio, evidence: Evidence
) -> tuple[RecommendedConfiguration, ...]:
    forecast, tolerance = _forecast(surrogate, query, chosen.units)
    by_task = _by_task(surrogate, forecast, chosen.scores)
    hparams = query.space.configurations(chosen.units)
    layers = [int(item.pop(DEPTH, query.covered_depths[0][0])) for item in hparams]
    units, counts = _sizes(surrogate, query, np.array(layers, dtype=np.float64))
    risks, alone = forecast.mean("p_diverge"), len(query.weights) == 1
    shares = np.array(list(query.weights.values()))
    return tuple(
        RecommendedConfiguration(
            hparams=hparams[row],
            n_layers=layers[row],
            hidden_units=_whole_or_none(units[row]),
            num_params=_whole_or_none(counts[row]),
            predicted_loss=by_task[row][query.task]["predicted_loss"] if alone else None,
            interval=tuple(by_task[row][query.task]["interval"]) if alone else None,
            p_diverge=float(risks[row]),
            expected_rank=float(shares @ [item["expected_rank"] for item in by_task[row].values()]),
            gain=float(portfolio.gains[row]),
            tolerance={name: ends for name, ends in tolerance[row].items() if name in hparams[row]},
            by_task={} if alone else by_task[row],
            evidence=evidence[row],
        )
        for row in range(len(hparams))
    )


def _forecast(
    surrogate: Surrogate, query: Query, units: Floats
) -> tuple[Forecast, list[dict[str, tuple[float, float]]]]:
    """Return the forecast of the points and what they tolerate, of one call of the surrogate."""
    space, axes = query.space, number_axes(query.space)
    ladders = ladder(space, units, axes)
    both = Forecast.of(surrogate, query, np.vstack([units, points_on(ladders, units, axes)]))
    own, moved = both.part(slice(0, len(units))), both.part(slice(len(units), None))
    ranges = tolerated(ladders, strains(own, moved).reshape(ladders.shape), units[:, axes])
    return own, as_values(space, axes, ranges, units[:, axes])


def _by_task(surrogate: Surrogate, forecast: Forecast, robust: Floats) -> list[dict[str, dict[str, Any]]]:
    """Return what to expect of each point on each task; ranks are of the scores averaged over the neighbourhood."""
    surcharge = robust - forecast.mean("score")
    ranks = {
        task: surrogate.calibration.expected_rank(table["score"].to_numpy(np.float64) + surcharge)
        for task, table in forecast.tables.items()
    }
    return [
        {
            task: {
                "predicted_loss": float(table["predicted_loss"].iloc[row]),
                "interval": [float(table["low"].iloc[row]), float(table["high"].iloc[row])],
                "p_diverge": float(table["p_diverge"].iloc[row]),
                "expected_rank": float(ranks[task][row]),
            }
            for task, table in forecast.tables.items()
        }
        for row in range(len(robust))
    ]


def _evidence(surrogate: Surrogate, query: Query, units: Floats, runs: dict[str, pd.DataFrame]) -> Evidence:
    rows = query_rows(query, units)
    if len(runs) == 1:
        (known,) = runs.values()
        return nearest_runs(surrogate, known, rows)
    return nearest_good_runs(surrogate, runs, rows)


def _sizes(surrogate: Surrogate, query: Query, layers: Floats) -> tuple[Floats, Floats]:
    return encoder_for(surrogate, query.spec).hidden_units(
        {
            "architecture": np.full(len(layers), query.architecture, dtype=object),
            "task_type": np.full(len(layers), query.task, dtype=object),
            "n_layers": layers,
            "max_params": np.full(len(layers), float(query.params)),
        }
    )


def _whole_or_none(value: Any) -> int | None:
    return None if np.isnan(value) else int(value)
