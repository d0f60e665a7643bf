"""The sampler: Optuna's own contract, and what its users rely on. No test depends on what the models predict."""

from __future__ import annotations

import logging
import pickle

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.testing import pytest_samplers as contract
from rnn_warmstart.recommend.correction import Correction, kernel_scales, normal_scores
from rnn_warmstart.recommend.cube import Cube, encode
from rnn_warmstart.recommend.sampler import WarmSampler

optuna.logging.set_verbosity(optuna.logging.ERROR)

SPACE = {
    "optimizer": CategoricalDistribution(("Adam", "SGD")),
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "width": IntDistribution(1, 9),
    "x": FloatDistribution(0.0, 1.0),
}


class Bowl:
    """A prior: a bowl around x = at, with some slope along the others; `sign` -1 turns it over."""

    def __init__(self, at=0.7, sign=1.0, names=tuple(SPACE)):
        self.at, self.sign, self.names = at, sign, names

    @property
    def distributions(self):
        return {name: SPACE[name] for name in self.names}

    def score(self, columns, n):
        found = np.zeros(n)
        if "x" in columns and np.array(columns["x"]).dtype.kind == "f":  # the contract has categories of this name
            found += np.minimum(12 * (columns["x"] - self.at) ** 2, 4) - 2
        if "optimizer" in columns:
            found += 0.3 * np.array([choice == "SGD" for choice in columns["optimizer"]])
        return self.sign * found


class TestContract(contract.BasicSamplerTestCase, contract.RelativeSamplerTestCase, contract.SingleOnlySamplerTestCase):
    """The contract that Optuna publishes for samplers."""

    @pytest.fixture
    def sampler(self):
        return lambda: WarmSampler(Bowl(), seed=0)


def suggest(trial):
    return {
        "optimizer": trial.suggest_categorical("optimizer", ["Adam", "SGD"]),
        "rate": trial.suggest_float("rate", 1e-4, 1.0, log=True),
        "width": trial.suggest_int("width", 1, 9),
        "x": trial.suggest_float("x", 0.0, 1.0),
    }


def bowl(trial):
    return (suggest(trial)["x"] - 0.7) ** 2
