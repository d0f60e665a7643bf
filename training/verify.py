"""Hold recommendations against reality: train them, and as many random configurations, and compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import ABSURD_LOSS
from .draws import LAB_STEPS, draw_configurations
from .runs import Job, draw_seeds
from .setups import Setup

PLOT_WIDTH: Final = 72
PILE_HEIGHT: Final = 8
"""Most dots on top of each other."""


@dataclass(frozen=True)
class Verification:
    """Recommended and random configurations of one setup, trained for real.

    Attributes
    ----------
    setup : Setup
    recommended : DataFrame
        One row a recommendation, in the order to try them: `predicted_loss`, `measured_loss` (median over seeds,
        infinite where half of them diverged), `lowest`, `highest`, and `beaten_by`, the share of the random
        configurations that came out better (0 is best).
    random_losses : ndarray of shape (n_random,)
        Losses of the random configurations, in the task's unit, infinite where they diverged.
    """

    setup: Setup
    recommended: pd.DataFrame
    random_losses: NDArray[np.float64]

    def plot(self, width: int = PLOT_WIDTH) -> str:
        """Return a plot in text: random configurations as piles of dots, recommendations by their number below.

        The axis is logarithmic, from the lowest loss to the worst recommendation or the 90th percentile of the random
        ones, whichever is more; what lies beyond, diverged runs too, piles up at its right end.
        """
        measured = self.recommended["measured_loss"].to_numpy(dtype=np.float64)
        ordered = np.sort(self.random_losses)
        ends = np.concatenate([measured, ordered[[0, int(0.9 * (len(ordered) - 1))]]])
        finite = ends[np.isfinite(ends)] if np.isfinite(ends).any() else np.ones(1)  # all diverged: all at the right
        low, high = max(float(finite.min()), 1e-12), max(float(finite.max()), 1e-12)
        piles = np.bincount(_places(self.random_losses, low, high, width), minlength=width)
        each = -(-int(piles.max()) // PILE_HEIGHT)
        heights = reversed(range(-(-int(piles.max()) // each)))
        dots = ["".join("." if pile > height * each else " " for pile in piles) for height in heights]
        places = _places(measured, low, high, width)
        numbers = [" " * place + str(number) for number, place in enumerate(places, start=1)]
        scale = f"{low:.4g}" + f"{high:.4g}".rjust(width - len(f"{low:.4g}"))
        caption = f"a dot: {each} random configuration{'s' * (each > 1)}"
        return "\n".join([*dots, *numbers, "-" * width, scale, caption])


def _places(losses: NDArray[np.float64], low: float, high: float, width: int) -> NDArray[np.int64]:
    """Return the columns of losses on a logarithmic axis."""
    share = np.where(losses > high, 1, np.log(np.clip(losses, low, high) / low) / max(np.log(high / low), 1e-12))
    return np.round(share * (width - 1)).astype(np.int64)


def verification_jobs(
    setup: Setup, recommended: Sequence[Mapping[str, Any]], n_random: int, seeds: int = 3, seed: int = 0,
    steps: tuple[float, float] = LAB_STEPS,
) -> list[Job]:  # fmt: skip
    """Return two jobs: the recommended configurations, `seeds` times each, and `n_random` random ones once.

    Parameters
    ----------
    setup : Setup
    recommended : sequence of dict
        Complete configurations.
    n_random : int
    seeds : int, default 3
    seed : int, default 0
        Decides the random configurations and all seeds.
    steps : tuple of float, default LAB_STEPS
        Range of the random configurations' `train_steps`.
    """
    if not recommended or n_random < 1 or seeds < 1:
        raise ValueError(
            "a verification needs at least one recommendation, one random configuration and one seed, but got "
            f"{len(recommended)}, n_random={n_random}, seeds={seeds}"
        )
    repeated = [dict(hparams) for hparams in recommended for _ in range(seeds)]
    drawn = draw_configurations(setup.architecture, n_random, seed, steps)
    origin = (repr(setup), seed)
    return [
        Job(
            setup, "trainer/recommended", repeated, draw_seeds(len(repeated), "recommended", *origin),
            [place // seeds for place in range(len(repeated))],
        ),
        Job(setup, "trainer/random", drawn, draw_seeds(n_random, "random", *origin), list(range(n_random))),
    ]  # fmt: skip


def compare(setup: Setup, runs: pd.DataFrame, predicted: Sequence[float]) -> Verification:
    """Compare the runs of `verification_jobs` with each other and with the predictions.

    Parameters
    ----------
    setup : Setup
    runs : DataFrame
        In the corpus schema; `hyper_iter` is the number of the configuration.
    predicted : sequence of float
        Predicted loss of each recommendation, in the task's unit.
    """
    losses = runs["eval_loss"].where(~runs["diverged"], np.inf).fillna(np.inf)
    random = losses[runs["source"] == "trainer/random"].to_numpy(dtype=np.float64)
    chosen = runs["source"] == "trainer/recommended"
    by_configuration = losses[chosen].clip(upper=ABSURD_LOSS).groupby(runs.loc[chosen, "hyper_iter"])
    table = by_configuration.agg(["median", "min", "max"]).replace(ABSURD_LOSS, np.inf)
    table.columns = ["measured_loss", "lowest", "highest"]
    table.insert(0, "predicted_loss", list(predicted))
    table["beaten_by"] = [float(np.mean(random < measured)) for measured in table["measured_loss"]]
    return Verification(setup, table.reset_index(drop=True), random)
