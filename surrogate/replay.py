"""The real runs of one setup as a table to look losses up in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..corpus.hparams import configurations
from ..features.dimension import Floats, Value
from .targets import usable_loss


@dataclass(frozen=True)
class Optimum:
    """The best that is known of a benchmark.

    Parameters
    ----------
    config : dict
        The configuration.
    loss : float
        What the benchmark's objective gives for it, in the task's unit.
    source : {"run", "search"}
        Whether it is the configuration of a real run, or was found by searching the surrogate.
    """

    config: dict[str, Value]
    loss: float
    source: str


@dataclass(frozen=True, repr=False)
class Replay:
    """The configurations that were really run in one setup, with the losses that they really had.

    Nothing is predicted: an objective of this table knows its own configurations and refuses all others.

    Parameters
    ----------
    name : str
        The setup, for messages.
    table : dict
        Configuration, as its items, to the losses of its runs, one a seed; +inf where a run diverged.
    """

    name: str
    table: dict[frozenset[tuple[str, Value]], tuple[float, ...]] = field(hash=False)

    @classmethod
    def from_runs(cls, name: str, runs: pd.DataFrame) -> Replay:
        """Collect the runs of one setup; those of one configuration differ in their seeds."""
        table: dict[frozenset[tuple[str, Value]], tuple[float, ...]] = {}
        for config, loss in zip(configurations(runs), usable_loss(runs).tolist(), strict=True):
            key = frozenset(config.items())
            table[key] = (*table.get(key, ()), loss)
        return cls(name, table)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        return f"Replay({self.name}: {len(self)} configurations, {sum(map(len, self.table.values()))} runs)"

    @property
    def configurations(self) -> list[dict[str, Value]]:
        """The configurations, in the corpus's order: hyperparameter to value, `train_steps` among them."""
        return [dict(sorted(items)) for items in self.table]

    @property
    def losses(self) -> Floats:
        """The objective of each, shape (len(self),): task's unit, NaN where it diverged."""
        return np.array([_middle(runs) for runs in self.table.values()])

    @property
    def optimum(self) -> Optimum:
        """The run configuration of the lowest loss; ValueError if all diverged."""
        losses = self.losses
        if np.isnan(losses).all():
            raise ValueError(f"All {len(self)} configurations of {self.name} diverged, so none is best.")
        best = int(np.nanargmin(losses))
        return Optimum(self.configurations[best], float(losses[best]), "run")

    def objective(self, config: Mapping[str, Value]) -> float:
        """Return the loss that a configuration really had, in the task's unit.

        The median over its seeds where there are several; NaN if half of them or more diverged.

        Raises
        ------
        ValueError
            The configuration was not run in this setup.
        """
        losses = self.table.get(frozenset(config.items()))
        if losses is None:
            raise ValueError(
                f"This configuration was not run in {self.name}; the {len(self)} that were are in .configurations "
                f"(exact values, train_steps included). Benchmark.objective predicts all others: {dict(config)}."
            )
        return _middle(losses)


def _middle(losses: tuple[float, ...]) -> float:
    middle = float(np.sort(losses)[len(losses) // 2]) if np.isinf(losses).any() else float(np.median(losses))
    return middle if np.isfinite(middle) else np.nan
