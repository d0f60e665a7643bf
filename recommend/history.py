"""What the user has trained already: read, checked, and turned into a correction of the surrogate's scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
import pandas as pd

from ..features import Dimension, unknown
from ..features.dimension import Floats
from ..surrogate import Surrogate
from .correction import Correction, kernel_scales
from .cube import encode
from .forecast import scores
from .prior import place
from .query import Query

if TYPE_CHECKING:
    import optuna

LOSS: Final = "loss"
"""The name of the loss among a history's columns."""
Trials = list[tuple[Mapping[str, Any], Any]]
History: TypeAlias = (
    "Iterable[tuple[Mapping[str, Any], float | None] | Mapping[str, Any]] | pd.DataFrame | optuna.Study"
)


@dataclass(frozen=True)
class Corrected:
    """The surrogate's scores on a query's space, corrected by a history.

    Parameters
    ----------
    surrogate : Surrogate
    query : Query
    correction : Correction or None
        None without trials.
    """

    surrogate: Surrogate
    query: Query
    correction: Correction | None = None

    @classmethod
    def by(cls, history: Any, surrogate: Surrogate, query: Query) -> Corrected:
        """Learn from a history as `recommend` takes it; None and an empty one teach nothing.

        Raises
        ------
        ValueError
            The history is of no known kind, or a trial has an unknown name, lacks a hyperparameter, has a value that
            cannot be read or a loss that is no number, or no loss is finite.
        """
        trials = [] if history is None else _read(history)
        if not trials:
            return cls(surrogate, query)
        units = _units([config for config, _ in trials], query)
        losses = _losses([loss for _, loss in trials])
        sizes = _sizes(query)
        judge = lambda points: scores(surrogate, query, points)  # noqa: E731
        scales = kernel_scales(judge, sizes, np.random.default_rng(query.seed))
        return cls(surrogate, query, Correction.fit(encode(units, sizes), judge(units), losses, scales))

    def __call__(self, units: Floats) -> Floats:
        """Return the corrected score of points of the query's space, shape (n,); lower is better."""
        prior = scores(self.surrogate, self.query, units)
        if self.correction is None:
            return prior
        return self.correction.mean(encode(units, _sizes(self.query)), prior)

    @property
    def weight(self) -> float:
        """How far the surrogate is believed, 0 to 1; 1 without a history."""
        return 1.0 if self.correction is None else self.correction.weight

    @property
    def trials(self) -> int:
        """How many trials were learned from."""
        return 0 if self.correction is None else len(self.correction.prior)


def _sizes(query: Query) -> tuple[int, ...]:
    return tuple(len(item.choices) if item.scale == "category" else 0 for item in query.space.dimensions)


def _read(history: Any) -> Trials:
    """Return (configuration, loss) pairs."""
    if hasattr(history, "get_trials"):
        return _of_study(history)
    if isinstance(history, pd.DataFrame):
        history = history.to_dict("records")
    if isinstance(history, (str, bytes, Mapping)) or not isinstance(history, Iterable):
        raise ValueError(
            f"history must be a list of (configuration, loss) pairs, a list of dicts or a DataFrame with the column "
            f"{LOSS!r}, or an Optuna study, but got {type(history).__name__}."
        )
    return [_pair(row, item) for row, item in enumerate(history)]


def _of_study(study: optuna.Study) -> Trials:
    """Return a study's finished trials; what failed or was pruned has no loss."""
    if len(study.directions) != 1:
        raise ValueError(f"history must be a study with one objective, but got one with {len(study.directions)}.")
    sign = -1 if study.direction.name == "MAXIMIZE" else 1
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished() and trial.params]
    return [
        (trial.params, sign * trial.value if trial.state.name == "COMPLETE" and trial.value is not None else None)
        for trial in finished
    ]


def _pair(row: int, item: Any) -> tuple[Mapping[str, Any], Any]:
    if isinstance(item, Mapping):
        if LOSS not in item:
            raise ValueError(f"history[{row}] lacks {LOSS!r}; it has {', '.join(map(str, item)) or 'nothing'}.")
        return {name: value for name, value in item.items() if name != LOSS}, item[LOSS]
    if isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], Mapping):
        return item[0], item[1]
    raise ValueError(
        f"history[{row}] must be a (configuration, loss) pair, or a dict with the key {LOSS!r}, but got {item!r}."
    )


def _losses(given: list[Any]) -> Floats:
    """Check losses: null, NaN and infinite ones are those of trainings that came to nothing. Shape (n,)."""
    losses = np.full(len(given), np.inf)
    for row, loss in enumerate(given):
        if loss is None or loss is pd.NA:
            continue
        if isinstance(loss, bool) or not isinstance(loss, Real):
            raise ValueError(f"The loss of history[{row}] must be a number, or None if it diverged, but got {loss!r}.")
        losses[row] = float(loss) if np.isfinite(float(loss)) else np.inf
    if not np.isfinite(losses).any():
        raise ValueError(
            f"history has {len(losses)} trials, but no finite loss, so that nothing says which are better; leave it "
            f"out, or add a trial that did not diverge."
        )
    return losses


def _units(configs: list[Mapping[str, Any]], query: Query) -> Floats:
    """Return the configurations as points of the query's space, shape (n, n_dimensions)."""
    units = np.full((len(configs), len(query.space.dimensions)), 0.5)
    for row, config in enumerate(configs):
        for name in config:
            if name not in query.space.names:
                raise unknown(f"hyperparameter in history[{row}]:", name, query.space.names)
        _refuse_missing(row, config, query)
    for axis, item in enumerate(query.space.dimensions):
        rows = [row for row, config in enumerate(configs) if not _is_null(config.get(item.name))]
        units[rows, axis] = _placed(item, rows, [configs[row][item.name] for row in rows])
    return units


def _refuse_missing(row: int, config: Mapping[str, Any], query: Query) -> None:
    conditions = query.space.all_conditions
    needed = [item.name for item in query.space.dimensions if item.name not in {*conditions, *query.owners}]
    missing = [name for name in needed if _is_null(config.get(name))]
    if missing:
        raise ValueError(
            f"history[{row}] lacks {', '.join(missing)}: every hyperparameter that varies must have a value; one that "
            f"all your trials share can be named in fixed=... instead."
        )


def _placed(item: Dimension, rows: list[int], values: list[Any]) -> Floats:
    """Return where values lie on a dimension; numbers outside count as its nearer end."""
    found = place(item, np.array(values, dtype=object))
    for row, value, unit in zip(rows, values, found, strict=True):
        if np.isnan(unit):
            allowed = ", ".join(map(str, item.choices)) or f"numbers from {item.low:g} to {item.high:g}"
            raise ValueError(f"history[{row}] has {item.name}={value!r}, but the search knows {allowed}.")
    return found


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value))
