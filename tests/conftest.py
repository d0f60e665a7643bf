"""What several tests share."""

from __future__ import annotations

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # processes side by side share the cores; before libraries read it
    os.environ["OMP_NUM_THREADS"] = "1"

import pandas as pd
import pytest
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)


@pytest.fixture(scope="session")
def runs() -> pd.DataFrame:
    """Some of the lab's runs: 8 of each of its setups."""
    table = load_builtin().runs
    lab = table[table["source"] == "lab"]
    return lab[lab["hyper_iter"] < 8].reset_index(drop=True)


@pytest.fixture(scope="session")
def small(runs: pd.DataFrame) -> Surrogate:
    """A surrogate fitted in seconds."""
    return Surrogate.fit(runs, Settings(trees=30, diverge_trees=10, folds=2, network=QUICK), {"rows": len(runs)})
