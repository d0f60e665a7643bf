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


@dataclass(frozen=True)
class Verification:
    """Recommended and random configurations of one setup, trained for real.

    Attributes
    ----------
    setup : Setup
    recommended : DataFrame
        One row a recommendation, best first by prediction: `predicted_loss`, `measured_loss` (median over seeds,
        infinite where half of them diverged), `lowest`, `highest`, and `beaten_by`, the share of the random
        configurations that came out better (0 is best).
    random_losses : ndarray of shape (n_random,)
        Losses of the random configurations, in the task's unit, infinite where they diverged.
    """

    setup: Setup
    recommended: pd.DataFrame
    random_losses: NDArray[np.float64]

    def plot(self, width: int = PLOT_WIDTH) -> str:
        """Return a plot in text: random configurations as dots (piled up), recommendations by their number below.

        The axis is logarithmic, from the lowest loss to the highest finite one; diverged runs pile up at its right end.
        """
        measured = self.recommended["measured_loss"].to_numpy()
        losses = np.concatenate([self.random_losses, measured])
        low, high = np.log(max(losses.min(), 1e-12)), np.log(max(losses[np.isfinite(losses)].max(initial=1e-12), 1e-12))

        def places(values: NDArray[np.float64]) -> NDArray[np.int64]:
            share = (np.log(np.clip(values, 1e-12, np.exp(high))) - low) / max(high - low, 1e-12)
            return np.clip(np.round(share * (width - 1)), 0, width - 1).astype(np.int64)

        counts = np.bincount(places(self.random_losses), minlength=width)
        lines = [
            "".join("." if count >= row else " " for count in counts) for row in range(counts.max(initial=1), 0, -1)
        ]
        for number, place in enumerate(places(measured), start=1):
            lines.append(" " * place + str(number))
        scale = f"{np.exp(low):.4g}".ljust(width - 10) + f"{np.exp(high):.4g}".rjust(10)
        return "\n".join([*lines, "-" * width, scale])


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
