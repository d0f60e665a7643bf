"""Optuna's samplers, by the names that the command line knows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from ..features import unknown

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

NEEDS: Final[dict[str, str | None]] = {"tpe": None, "cmaes": "cmaes", "gp": "torch", "random": None}
"""Every known sampler, with the package that it needs beside Optuna."""


def check_sampler(name: str) -> None:
    """Raise ValueError if the sampler is unknown, ModuleNotFoundError if what it needs is not installed."""
    if name not in NEEDS:
        raise unknown("sampler", name, NEEDS)
    needed = NEEDS[name]
    if needed is not None and find_spec(needed) is None:
        raise ModuleNotFoundError(
            f"The sampler {name} needs the package {needed}: pip install 'rnn-warmstart[samplers]'.", name=needed
        )


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return a sampler with Optuna's default settings.

    CMA-ES knows no categories: it draws them at random, as Optuna has it do.

    Raises
    ------
    ValueError, ModuleNotFoundError
        As `check_sampler` does.
    """
    check_sampler(name)
    from optuna import samplers
    from optuna.exceptions import ExperimentalWarning

    makers: dict[str, Callable[[], BaseSampler]] = {
        "tpe": lambda: samplers.TPESampler(seed=seed),
        "cmaes": lambda: samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
        "gp": lambda: samplers.GPSampler(seed=seed),
        "random": lambda: samplers.RandomSampler(seed=seed),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return makers[name]()
