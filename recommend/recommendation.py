"""The answer: configurations with what to expect of them, as a table, JSON, or trials of an Optuna study."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..features.dimension import Value
from ..features.space import DEPTH
from .portfolio import WORTH
from .query import Query
from .search import Elites, as_study

if TYPE_CHECKING:
    import optuna
    import pandas as pd
    from optuna.distributions import BaseDistribution

    from .exports import Export
    from .exports.fitting import OnMismatch
    from .exports.transforms import Transform


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
    predicted_loss : float or None
        Median loss to expect, in the task's unit; lower is better. None where several tasks were asked
        (``task="any"`` or a description): their losses have no unit in common, see `by_task`.
    interval : tuple of (float, float) or None
        Holds the loss of a real run with 90 % probability, on average over setups like the corpus's; None as above.
    p_diverge : float
        Probability that the training diverges; the weighted mean over the tasks, where several
        were asked.
    expected_rank : float
        Share of random configurations of the same setup that are better, 0 to 1; the weighted mean over the tasks,
        where several were asked.
    gain : float
        By how much trying it lowers the expected best ranking score of those before it, in normal scores: 1 is one
        standard deviation among the outcomes of random configurations. The first is measured against an average random
        configuration (see `portfolio.Portfolio`).
    tolerance : dict
        Each number that varies to the (lowest, highest) value up to which the predicted loss rises by at most 5 %, and
        the ranking score by at most half a normal score, the other values held (see `recommend.tolerance`). The most
        sensitive first: the narrowest, as a share of the space. Never leaves the space.
    by_task : dict
        Where several tasks were asked, each to its ``predicted_loss``, ``interval``, ``p_diverge`` and
        ``expected_rank``; else empty.
    evidence : list of dict
        The real runs most like it (see `evidence.nearest_runs`); with several tasks the most alike among the good ones
        of each (see `evidence.nearest_good_runs`).
    """

    hparams: dict[str, Value]
    n_layers: int
    hidden_units: int | None
    num_params: int | None
    predicted_loss: float | None
    interval: tuple[float, float] | None
    p_diverge: float
    expected_rank: float
    gain: float
    tolerance: dict[str, tuple[float, float]] = field(repr=False)
    by_task: dict[str, dict[str, Any]] = field(repr=False)
    evidence: list[dict[str, Any]] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {
            "interval": None if self.interval is None else list(self.interval),
            "tolerance": {name: list(ends) for name, ends in self.tolerance.items()},
        }


@dataclass(frozen=True)
class Recommendation:
    """Configurations to start with, in the order in which to try them; `recommend` makes it.

    It has a length, can be indexed and iterated, and shows itself as a table.

    Parameters
    ----------
    query : Query
        What was asked.
    configurations : tuple of RecommendedConfiguration
        The first is the best by itself; each that follows lowers the expected best of those before it most.
    stop_after : int
        After how many trying stops paying: the next one's gain is less than `portfolio.WORTH` of the first's. All of
        them, where none is that small.
    elites : Elites
        What they were chosen from.
    trials : int
        How many trials of the user's were learned from.
    believed : float
        How far these leave the surrogate believed, 0 to 1; 1 without trials.
    """

    query: Query
    configurations: tuple[RecommendedConfiguration, ...]
    stop_after: int
    elites: Elites = field(repr=False)
    trials: int = 0
    believed: float = 1.0

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
        """Return plain JSON values: ``query``, ``recommendations``, ``stop_after`` and ``warnings``.

        After a history also ``history``: ``trials`` and ``believed``.
        """
        learned = {"history": {"trials": self.trials, "believed": self.believed}} if self.trials else {}
        return {
            "query": self.query.to_dict(),
            "recommendations": [item.to_dict() for item in self.configurations],
            "stop_after": self.stop_after,
            "warnings": list(self.warnings),
        } | learned

    def to_json(self, indent: int | None = 2) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a configuration: what to expect, then a column a hyperparameter.

        ``pays`` is true up to `stop_after`. Where several tasks were asked, there is a column
        ``predicted_loss_<task>`` a task.
        """
        import pandas as pd

        rows = [
            self._row(item) | {"pays": rank <= self.stop_after} | dict(item.hparams)
            for rank, item in enumerate(self.configurations, start=1)
        ]
        return pd.DataFrame(rows)

    def enqueue(self, study: optuna.Study, distributions: Mapping[str, BaseDistribution] | None = None) -> optuna.Study:
        """Put the configurations at the head of a study's queue, best first.

        Parameters
        ----------
        study : optuna.Study
            The user's own study; its next trials will be these configurations.
        distributions : mapping, optional
            The space that the study's objective will suggest from, by parameter name. Default: that of the study's
            trials so far. A study without trials has none yet, and everything is enqueued. Parameters that only the
            study has are left to its sampler; what the question or the corpus holds fixed need not be among them.

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
        if known:
            held = set(self.query.space.fixed) - set(known)
            queue = [{name: value for name, value in params.items() if name not in held} for params in queue]
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

    def export(
        self,
        target: str,
        *,
        names: Mapping[str, str] | None = None,
        transforms: Mapping[str, Transform] | None = None,
        space: Mapping[str, Any] | str | None = None,
        on_mismatch: OnMismatch = "error",
        prior: str | None = None,
    ) -> Export:
        """Return the configurations, a space and priors as another tool takes them; see `exports.export`.

        Parameters
        ----------
        target : str
            optuna, configspace, smac, neps, raytune, synetune, ax, wandb, json, yaml, toml or pandas.
        names, transforms, space, on_mismatch, prior
            As for `exports.export`: the user's names, values and space, and what to do where the recommendation does
            not fit; priors for configspace and smac.

        Returns
        -------
        Export
            With ``points``, ``dropped`` (what was changed, left out, or cannot be expressed) and what the target takes.

        Raises
        ------
        ValueError, ModuleNotFoundError
            As for `exports.export`.
        """
        from .exports import export

        return export(
            self, target, names=names, transforms=transforms, space=space, on_mismatch=on_mismatch, prior=prior
        )

    def _parameters(self, item: RecommendedConfiguration, wants_depth: bool) -> dict[str, Value]:
        free_depth = self.query.depth is None or wants_depth
        return dict(item.hparams) | ({DEPTH: item.n_layers} if free_depth else {})

    @staticmethod
    def _row(item: RecommendedConfiguration) -> dict[str, Any]:
        low, high = item.interval or (None, None)
        losses = {f"predicted_loss_{task}": told["predicted_loss"] for task, told in item.by_task.items()}
        return losses | {
            "predicted_loss": item.predicted_loss,
            "low": low,
            "high": high,
            "p_diverge": item.p_diverge,
            "expected_rank": item.expected_rank,
            "gain": item.gain,
            "n_layers": item.n_layers,
            "hidden_units": item.hidden_units,
            "num_params": item.num_params,
        }

    def headline(self) -> str:
        """Return the question in one line."""
        query = self.query
        depth = "any depth" if query.depth is None else f"{query.depth} layers"
        task = query.task
        if query.spec is not None:
            task += f" (like {', '.join(f'{name} {share:.0%}' for name, share in query.weights.items())})"
        return f"{len(self)} configurations for {query.architecture} on {task}, {query.params:,} parameters, {depth}"

    def advice(self) -> str:
        """Return in one line after how many trying stops paying, and how far a history bears the surrogate out."""
        learned = f" {self.trials} trials leave the surrogate believed to {self.believed:.0%}." if self.trials else ""
        if self.stop_after == len(self):
            return f"Each of them is worth trying.{learned}"
        least = f"{100 * WORTH:g} % of what the first one does"
        return f"Stop after {self.stop_after}: the next gains less than {least}.{learned}"

    def sensitive(self, n: int = 3) -> list[str]:
        """Return the n numbers that may move least, as a share of the space, on average over the configurations."""
        shares: dict[str, float] = {}
        for item in self.query.space.dimensions:
            ends = [config.tolerance[item.name] for config in self.configurations if item.name in config.tolerance]
            if ends:
                low, high = (item.units(np.array(side)) for side in zip(*ends, strict=True))
                shares[item.name] = float(np.mean(high - low))
        return sorted(shares, key=shares.__getitem__)[:n]

    def described(self) -> list[dict[str, str]]:
        """Return each configuration as label -> rounded text, in the order in which people read it."""
        sensitive = self.sensitive()
        return [describe(item, sensitive) for item in self.configurations]

    def table(self) -> pd.DataFrame:
        """Return the readable table: a column a configuration, rounded texts."""
        import pandas as pd

        columns = {f"#{rank}": told for rank, told in enumerate(self.described(), start=1)}
        return pd.DataFrame(columns).fillna("")

    def __repr__(self) -> str:
        notes = "".join(f"\nWarning: {text}" for text in self.warnings)
        return f"{self.headline()}\n{self.table().to_string()}\n{self.advice()}{notes}"

    def _repr_html_(self) -> str:
        notes = "".join(f"<p><strong>Warning:</strong> {html.escape(text)}</p>" for text in self.warnings)
        return (
            f"<p>{html.escape(self.headline())}</p>{self.table().to_html()}<p>{html.escape(self.advice())}</p>{notes}"
        )


def describe(item: RecommendedConfiguration, sensitive: Sequence[str] = ()) -> dict[str, str]:
    """Return a configuration as label -> rounded text; with the tolerance of the hyperparameters in `sensitive`."""
    told = {f"loss on {task}": f"{entry['predicted_loss']:.4g}" for task, entry in item.by_task.items()}
    if item.predicted_loss is not None and item.interval is not None:
        told |= {
            "predicted loss": f"{item.predicted_loss:.4g}",
            "90 % interval": f"{item.interval[0]:.3g} .. {item.interval[1]:.3g}",
        }
    told |= {
        "risk to diverge": f"{item.p_diverge:.1%}",
        "better at random": f"{item.expected_rank:.1%}",
        "gain of trying it": f"{item.gain:.2f}",
        "layers": str(item.n_layers),
        "hidden units": "unknown" if item.hidden_units is None else f"{item.hidden_units:,}",
        "parameters": "unknown" if item.num_params is None else f"{item.num_params:,}",
    }
    told |= {name: value if isinstance(value, str) else f"{value:.4g}" for name, value in item.hparams.items()}
    for name in sensitive:
        told[f"{name} may be"] = " .. ".join(map(_short_number, item.tolerance.get(name, ())))
    if not item.by_task:
        return told | {"nearest real runs": ", ".join(_short_loss(run["eval_loss"]) for run in item.evidence) or "none"}
    good = [f"{_short_loss(run['eval_loss'])} {run['task_type']}" for run in item.evidence]
    return told | {f"good run like it ({rank})": text for rank, text in enumerate(good, start=1)}


def _short_number(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:.2g}"


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
