"""Fits of many runs: in several processes, calibrated on some of the runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from rnn_warmstart.surrogate import NetworkSettings, Settings, Surrogate, model
from rnn_warmstart.surrogate.boosting import draw_rows
from rnn_warmstart.surrogate.storage import save_surrogate

QUICK = NetworkSettings(units=16, layers=2, members=1, epochs=4)
SETTINGS = Settings(trees=10, diverge_trees=5, folds=2, network=QUICK)


def fitted(runs: pd.DataFrame, folder: Path) -> tuple[dict[str, bytes], list[float]]:
    """Return the files of a surrogate of these runs, and the shares that were reported while it was fitted."""
    shares: list[float] = []
    save_surrogate(Surrogate.fit(runs, SETTINGS, progress=lambda what, share: shares.append(share)), folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}, shares


def trees_of(files: dict[str, bytes]) -> list[tuple[int, int]]:
    """Return the number of trees, and of the runs that the first one sees, of rank and loss model."""
    boosters = [lightgbm.Booster(model_str=files[name].decode()) for name in ("rank.txt", "loss.txt")]
    counts = [booster.trees_to_dataframe()["count"] for booster in boosters]
    return [(booster.num_trees(), int(count[0])) for booster, count in zip(boosters, counts, strict=True)]


@pytest.fixture(scope="module")
def all_runs(runs: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return fitted(runs, tmp_path_factory.mktemp("all"))[0]


def test_many_runs_are_fitted_in_other_processes_to_the_same_bytes(
    runs: pd.DataFrame, all_runs: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "CALIBRATING", len(runs) // 2)
    apart, shares = fitted(runs, tmp_path / "apart")
    assert len(shares) == 1 + 3 + 2  # a report for each part: networks, trees, folds
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1)

    def make_here(parts: Any, apart: bool, progress: Any) -> list[Any]:
        assert apart
        return real(parts, False, progress)

    real = model.make_parts
    monkeypatch.setattr(model, "make_parts", make_here)
    here, shares = fitted(runs, tmp_path / "here")
    assert len(shares) > 6 and shares == sorted(shares) and shares[-1] == pytest.approx(1)
    assert here == apart
    changed = {name for name in all_runs if all_runs[name] != apart[name]}
    assert changed == set(all_runs)  # calibration learns from half of the runs, all models read float32
    assert trees_of(all_runs) == trees_of(apart)  # ... but as many trees of as many runs


AT_WORK = """
import sys, time
from functools import partial
from rnn_warmstart.surrogate.parts import Part, make_parts

def work(path, progress):
    while True:
        with open(path, "a") as file:
            file.write("x")
        time.sleep(0.1)

make_parts([Part(1.0, partial(work, path)) for path in sys.argv[1:]], apart=True)
"""


def test_no_process_goes_on_when_the_one_that_asked_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "signs_of_life"
    asking = subprocess.Popen([sys.executable, "-c", AT_WORK, str(path), str(path)])
    wait_until(path.exists)
    asking.kill()
    asking.wait()

    def silent() -> bool:
        size = path.stat().st_size
        time.sleep(2)
        return path.stat().st_size == size

    wait_until(silent)


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_rows_are_drawn_evenly_and_the_same_for_a_seed() -> None:
    assert draw_rows(10, 10, 0).all() and draw_rows(3, 10, 0).all()
    first = draw_rows(10_000, 4_000, 0)
    assert first.sum() == 4_000 and 1_850 < first[:5_000].sum() < 2_150  # 2,000 are expected, give or take 25
    assert np.array_equal(first, draw_rows(10_000, 4_000, 0)) and not np.array_equal(first, draw_rows(10_000, 4_000, 1))
