"""From raw model outputs to statements that hold: intervals, expected ranks, divergence risk.

Everything here is learned from *cross-fitted* predictions: those of models that never saw the run's setup.

- Interval (split conformal, normalised: Papadopoulos, Gammerman and Vovk 2008; Mondrian: Vovk, Lindsay, Nouretdinov and
  Gammerman 2003): the errors of the loss score in units of their predicted size, in groups of the same task and similar
  prediction. The end points for level 1 - a are the errors of ranks floor((n + 1) a / 2) and ceil((n + 1) (1 - a / 2))
  among the n of the group. Before that, the predicted size is stretched: within a task, first by classes of network
  size and then by architecture, so that intervals are not too wide here and too narrow there.
- Expected rank: isotonic regression of the rank quantile within the setup on the ranking score.
- Divergence: isotonic regression of the indicator on the model's raw probability.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LEVELS: Final = (0.5, 0.8, 0.9, 0.95)
"""Levels for which intervals are stored."""
BIN_EDGES: Final = (0.0, 0.1, 0.3, 0.6, 1.0)
"""Groups of similar prediction: quantiles of the predicted loss score within a task, finer where it is good."""
STRETCHED: Final = 0.9
"""Quantile of the errors, in units of their predicted size, that is made alike in all groups."""
FEW: Final = 300
"""A group of so many runs is stretched half as far, on a logarithmic scale, as its own errors say."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Steps:
    """A monotone function given by points, linear between them and constant outside."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def fit(cls, x: Floats, y: Floats) -> Steps:
        """Fit an increasing function by isotonic regression."""
        from sklearn.isotonic import IsotonicRegression

        model = IsotonicRegression(out_of_bounds="clip").fit(x, y)
        return cls(tuple(model.X_thresholds_.tolist()), tuple(model.y_thresholds_.tolist()))

    def __call__(self, x: Floats) -> Floats:
        """Evaluate at `x`, any shape."""
        return np.interp(x, self.x, self.y)


@dataclass(frozen=True)
class Residuals:
    """Quantiles of one task's errors in units of their predicted size, by group of similar prediction.

    Parameters
    ----------
    edges : tuple of float
        Inner limits of the groups on the predicted score, ascending.
    median : tuple of float
        Median residual of each group.
    low, high : dict
        Level to the lower and upper residual of each group.
    """

    edges: tuple[float, ...]
    median: tuple[float, ...]
    low: dict[float, tuple[float, ...]]
    high: dict[float, tuple[float, ...]]

    @classmethod
    def fit(cls, predicted: Floats, spread: Floats, true: Floats) -> Residuals:
        """Group cross-fitted predictions; take the conformal quantiles of (true - predicted) / spread in each group."""
        edges = np.quantile(predicted, BIN_EDGES[1:-1])
        group = np.searchsorted(edges, predicted)
        errors = (true - predicted) / spread
        residuals = [np.sort(errors[group == g]) for g in range(len(edges) + 1)]
        residuals = [r if len(r) else np.sort(errors) for r in residuals]
        low = {level: tuple(_order_statistic(r, (1 - level) / 2) for r in residuals) for level in LEVELS}
        high = {level: tuple(_order_statistic(r, (1 + level) / 2) for r in residuals) for level in LEVELS}
        return cls(tuple(edges.tolist()), tuple(float(np.median(r)) for r in residuals), low, high)

    def bounds(self, predicted: Floats, spread: Floats, level: float) -> tuple[Floats, Floats, Floats]:
        """Return (low, middle, high) scores around each prediction of given error size, shape (n_rows,) each."""
        group = np.searchsorted(self.edges, predicted)
        low, middle, high = (np.asarray(q)[group] for q in (self.low[level], self.median, self.high[level]))
        return predicted + spread * low, predicted + spread * middle, predicted + spread * high


@dataclass(frozen=True)
class Stretch:
    """By how much one task's errors are larger than predicted: by size of the networks, and by architecture.

    Parameters
    ----------
    edges : tuple of float
        Inner limits of the size classes, logs of parameters, ascending; a limit belongs to the class below.
    sizes : tuple of float
        Factor of each size class.
    architectures : dict
        Architecture to its factor, on top of that of the size; 1 for any other.
    """

    edges: tuple[float, ...]
    sizes: tuple[float, ...]
    architectures: dict[str, float]

    @classmethod
    def fit(cls, errors: Floats, sizes: Floats, architectures: NDArray[np.object_], edges: Floats) -> Stretch:
        """Fit to absolute errors in units of their predicted size, with their setups' log parameters and architectures.

        All of shape (n_runs,), but for the inner limits of the size classes.
        """
        group = np.searchsorted(edges, sizes)
        typical = np.quantile(errors, STRETCHED)
        by_size = [_factor(errors[group == g], typical) for g in range(len(edges) + 1)]
        errors = errors / np.asarray(by_size)[group]
        typical = np.quantile(errors, STRETCHED)
        names = sorted(set(architectures.tolist()))
        by_name = {name: _factor(errors[architectures == name], typical) for name in names}
        return cls(tuple(edges.tolist()), tuple(by_size), by_name)

    def __call__(self, sizes: Floats, architectures: NDArray[np.object_]) -> Floats:
        """Return the factor of setups with these log parameters and architectures, shape (n,) each."""
        found = np.asarray(self.sizes)[np.searchsorted(self.edges, sizes)]
        for name, factor in self.architectures.items():
            found[architectures == name] *= factor
        return found


def _factor(errors: Floats, typical: float) -> float:
    """Return by how much a group's errors exceed what is typical, nearer to 1 the fewer they are."""
    n = len(errors)
    return float((np.quantile(errors, STRETCHED) / typical) ** (n / (n + FEW))) if n else 1.0


def _order_statistic(residuals: Floats, share: float) -> float:
    """Return the residual whose rank is conformal for `share`: rounded outwards, with n + 1 in place of n."""
    n = len(residuals)
    rank = np.floor((n + 1) * share) if share < 0.5 else np.ceil((n + 1) * share)
    return float(residuals[int(np.clip(rank, 1, n)) - 1])


@dataclass(frozen=True)
class Calibration:
    """All that cross-fitting taught about the models' errors.

    Parameters
    ----------
    residuals : dict
        Task to its `Residuals`.
    stretches : dict
        Task to its `Stretch`.
    expected_rank : Steps
        Ranking score to the expected rank quantile within the setup.
    divergence : Steps
        Raw probability to diverge to the calibrated one.
    """

    residuals: dict[str, Residuals]
    stretches: dict[str, Stretch]
    expected_rank: Steps
    divergence: Steps

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "residuals": {
                task: {
                    "edges": entry.edges,
                    "median": entry.median,
                    "low": {str(level): values for level, values in entry.low.items()},
                    "high": {str(level): values for level, values in entry.high.items()},
                }
                for task, entry in self.residuals.items()
            },
            "stretches": {task: asdict(entry) for task, entry in self.stretches.items()},
            "expected_rank": {"x": self.expected_rank.x, "y": self.expected_rank.y},
            "divergence": {"x": self.divergence.x, "y": self.divergence.y},
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Calibration:
        """Rebuild from `to_dict`, or from its JSON."""
        residuals = {
            task: Residuals(
                tuple(entry["edges"]),
                tuple(entry["median"]),
                {float(level): tuple(values) for level, values in entry["low"].items()},
                {float(level): tuple(values) for level, values in entry["high"].items()},
            )
            for task, entry in data["residuals"].items()
        }
        stretches = {
            task: Stretch(tuple(entry["edges"]), tuple(entry["sizes"]), dict(entry["architectures"]))
            for task, entry in data["stretches"].items()
        }
        steps = {key: Steps(tuple(data[key]["x"]), tuple(data[key]["y"])) for key in ("expected_rank", "divergence")}
        return cls(residuals, stretches, **steps)
