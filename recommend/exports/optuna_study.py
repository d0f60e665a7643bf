"""Optuna: points to enqueue, distributions, and the elites as a study that samplers learn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .export import Export
from .warm_start import Config, WarmStart

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, kw_only=True)
class OptunaExport(Export):
    """What a study begins with.

    Parameters
    ----------
    distributions : dict
        The space, by parameter: for ``study.ask(distributions)``, or to suggest from by hand.
    study : Study
        The elites as completed trials of an in-memory study to minimise, in the same distributions: a source for
        samplers that learn from studies. Its values are ranking scores, which have only their order in common with
        losses.
    expectations : tuple of dict
        What to expect of each point.
    """

    distributions: dict[str, BaseDistribution]
    study: Study = field(repr=False)
    expectations: tuple[dict[str, Any], ...] = field(repr=False)

    def enqueue(self, study: Study) -> Study:
        """Enqueue the points, best first, with what to expect of each as user attributes; return the same study."""
        for point, told in zip(self.points, self.expectations, strict=True):
            study.enqueue_trial(point, user_attrs=told)
        return study

    def source_trials(self, *names: str) -> list[FrozenTrial]:
        """Return the elites as trials for ``CmaEsSampler(source_trials=...)``.

        CMA-ES works on numbers that every trial has, and takes only source trials of exactly the numbers that the
        objective suggests.

        Parameters
        ----------
        *names : str
            The numbers that the objective suggests. Default: every number of the space that varies and has no
            condition.

        Raises
        ------
        ValueError
            A name is no number of the space that varies and is in every elite.
        """
        numbers = [name for name, item in self.distributions.items() if not hasattr(item, "choices")]
        always = [name for name in numbers if all(name in trial.params for trial in self.study.trials)]
        strangers = [name for name in names if name not in always]
        if strangers:
            raise ValueError(
                f"CMA-ES cannot start from {', '.join(strangers)}: it takes numbers that vary and always exist; here "
                f"these are {', '.join(always) or 'none'}."
            )
        return [
            _trial(trial.params, {name: self.distributions[name] for name in names or always}, float(trial.values[0]))
            for trial in self.study.trials
        ]


def to_optuna(start: WarmStart) -> OptunaExport:
    """Return points, distributions and source study."""
    import optuna

    distributions = start.space.distributions()
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # the user asked for no study, so hears of none
    try:
        study = optuna.create_study(direction="minimize", study_name=start.title)
    finally:
        optuna.logging.set_verbosity(level)
    study.add_trials(
        [
            _trial(config, {name: distributions[name] for name in config if name in distributions}, float(score))
            for config, score in zip(start.elites, start.scores, strict=True)
        ]
    )
    return OptunaExport(
        target="optuna",
        points=start.points,
        dropped=start.dropped,
        distributions=distributions,
        study=study,
        expectations=start.expectations,
    )


def _trial(params: Config, distributions: dict[str, BaseDistribution], value: float) -> FrozenTrial:
    from optuna.trial import create_trial

    return create_trial(params={name: params[name] for name in distributions}, distributions=distributions, value=value)
