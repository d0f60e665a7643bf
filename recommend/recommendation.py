"""The answer: configurations with what to expect of them, as a table, JSON, or trials of an Optuna study."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..features.dimension import Value
from ..features.space import DEPTH
from .query import Query
from .search import Elites, as_study

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class RecommendedConfiguration:
    """One configuration and what to expect of it.

    Parameters
    ----------
    hparams : dict
        Every hyperparameter that the architecture has, under the corpus's names.
    n_layers : int
        Depth, layers.
    hidden_units : int or None
        Width of each layer that the parameter budget buys; None where the task's input and output sizes are unknown.
    num_params : int or None
        Trained parameters of that network.
    predicted_loss : float
        Median loss to expect, in the task's unit; lower is better.
    interval : tuple of (float, float)
        Holds the loss of a real run with 90 % probability, on average over setups like the corpus's.
    p_diverge : float
        Probability that the training diverges.
    expected_rank : float
        Share of random configurations of the same setup that are better, 0 to 1.
    evidence : list of dict
        The real runs most like it (see `evidence.nearest_runs`).
    """

    hparams: dict[str, Value]
    n_layers: int
    hidden_units: int | None
    num_params: int | None
    predicted_loss: float
    interval: tuple[float, float]
    p_diverge: float
    expected_rank: float
    evidence: list[dict[str, Any]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"interval": list(self.interval)}


@dataclass(frozen=True)
class Recommendation:
    """Configurations to start with, best first; `recommend` makes it.

    It has a length, can be indexed and iterated, and shows itself as a table.

    Parameters
    ----------
    query : Query
        What was asked.
    configurations : tuple of RecommendedConfiguration
        Best first.
    elites : Elites
        What they were chosen from.
    """

    query: Query
    configurations: tuple[RecommendedConfiguration, ...]
    elites: Elites = field(repr=False)

    @cached_property
    def study(self) -> optuna.Study:
        """The elites as completed trials of an Optuna study (value: ranking score, lower is better)."""
        return as_study(self.query, self.elites)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where the question leaves what the corpus covers, and what was done about it."""
        return self.query.warnings

    def __len__(self) -> int:
        return len(self.configurations)

    def __getitem__(self, index: int) -> RecommendedConfiguration:
        return self.configurations[index]

    def __iter__(self) -> Iterator[RecommendedConfiguration]:
        return iter(self.configurations)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"query": ..., "recommendations": [...], "warnings": [...]}`` of plain JSON values."""
        return {
            "query": self.query.to_dict(),
            "recommendations": [item.to_dict() for item in self.configurations],
            "warnings": list(self.warnings),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a configuration: what to expect, then a column a hyperparameter."""
        import pandas as pd

        return pd.DataFrame([self._row(item) | dict(item.hparams) for item in self.configurations])

    def enqueue(self, study: optuna.Study, distributions: Mapping[str, BaseDistribution] | None = None) -> optuna.Study:
        """Put the configurations at the head of a study's queue, best first.

        Parameters
        ----------
        study : optuna.Study
            The user's own study; its next trials will be these configurations.
        distributions : mapping, optional
            The space that the study's objective will suggest from, by parameter name. Default: that of the study's
            trials so far. A study without trials has none yet, and everything is enqueued. Parameters that only the
            study has are left to its sampler.

        Returns
        -------
        optuna.Study
            The same study.

        Raises
        ------
        ValueError
            A recommended value does not fit the study's space; all misfits are named, and nothing is enqueued. (Optuna
            itself would drop an unknown parameter silently.)
        """
        known: dict[str, BaseDistribution] = dict(distributions or {})
        if distributions is None:
            for trial in study.get_trials(deepcopy=False):
                known |= trial.distributions
        queue = [self._parameters(item, DEPTH in known) for item in self.configurations]
        misfits = {text: None for params in queue for text in _misfits(params, known)} if known else {}
        if misfits:
            raise ValueError(
                "The recommendation does not fit the study's space; nothing was enqueued. "
                + " ".join(misfits)
                + " Widen the study's space, or call recommend() with fixed=... to stay inside it."
            )
        for params in queue:
            study.enqueue_trial(params)
        return study

    def _parameters(self, item: RecommendedConfiguration, wants_depth: bool) -> dict[str, Value]:
        free_depth = self.query.depth is None or wants_depth
        return dict(item.hparams) | ({DEPTH: item.n_layers} if free_depth else {})

    @staticmethod
    def _row(item: RecommendedConfiguration) -> dict[str, Any]:
        return {
            "predicted_loss": item.predicted_loss,
            "low": item.interval[0],
            "high": item.interval[1],
            "p_diverge": item.p_diverge,
            "expected_rank": item.expected_rank,
            "n_layers": item.n_layers,
            "hidden_units": item.hidden_units,
            "num_params": item.num_params,
        }

    def headline(self) -> str:
        """Return the question in one line."""
        query = self.query
        depth = "any depth" if query.depth is None else f"{query.depth} layers"
        return (
            f"{len(self)} configurations for {query.architecture} on {query.task}, {query.params:,} parameters, {depth}"
        )

    def table(self) -> pd.DataFrame:
        """Return the readable table: a column a configuration, rounded texts."""
        import pandas as pd

        columns = {f"#{rank}": describe(item) for rank, item in enumerate(self.configurations, start=1)}
        return pd.DataFrame(columns).fillna("")

    def __repr__(self) -> str:
        notes = "".join(f"\nWarning: {text}" for text in self.warnings)
        return f"{self.headline()}\n{self.table().to_string()}{notes}"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p><strong>Warning:</strong> {html.escape(text)}</p>" for text in self.warnings)
        return f"<p>{html.escape(self.headline())}</p>{self.table().to_html()}{notes}"


def describe(item: RecommendedConfiguration) -> dict[str, str]:
    """Return a configuration as label -> rounded text, in the order in which people read it."""
    low, high = item.interval
    told = {
        "predicted loss": f"{item.predicted_loss:.4g}",
        "90 % interval": f"{low:.3g} .. {high:.3g}",
        "risk to diverge": f"{item.p_diverge:.1%}",
        "better at random": f"{item.expected_rank:.1%}",
        "layers": str(item.n_layers),
        "hidden units": "unknown" if item.hidden_units is None else f"{item.hidden_units:,}",
        "parameters": "unknown" if item.num_params is None else f"{item.num_params:,}",
    }
    told |= {name: value if isinstance(value, str) else f"{value:.4g}" for name, value in item.hparams.items()}
    told["nearest real runs"] = ", ".join(_short_loss(run["eval_loss"]) for run in item.evidence) or "none"
    return told


def _short_loss(loss: float | None) -> str:
    return "diverged" if loss is None else f"{loss:.3g}"


def _misfits(params: Mapping[str, Value], known: Mapping[str, BaseDistribution]) -> Iterator[str]:
    for name, value in params.items():
        if name not in known:
            yield f"{name!r} is not one of its parameters ({', '.join(known)})."
        elif not _contains(known[name], value):
            yield f"{name}={value!r} is outside {known[name]}."


def _contains(distribution: BaseDistribution, value: Value) -> bool:
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return not isinstance(value, str) and bool(distribution._contains(float(value)))
