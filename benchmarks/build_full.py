"""What ``rnn-warmstart build`` costs: time, memory and disk, step by step, on a stand-in of the original archive.

Usage: ``python benchmarks/build_full.py [--runs 630880] [--evaluated 10000] [--archive FILE --truth FILE] [--write]``.
Without ``--archive``, the archive comes from `make_archive`, which also writes the file for ``--truth``. CPU seconds
and memory are those of the build and of all processes that it starts, together; memory that they share counts once, and
is looked at every half second.

Then, what the models cost beside plain ``lightgbm.train`` on a feature matrix that is ready (on ``--compared`` of the
runs), and how well setups that were held out are ranked, of which the loss without noise is known. ``--write`` writes
results/build_full.md. Needs psutil, which the extra ``dask`` brings.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil
from make_archive import ORIGINAL_RUNS, make_archive
from provenance import current_commit, markdown_table, write_result
from rnn_warmstart.building import BuildPlan, build_models
from rnn_warmstart.building.build import STEPS
from rnn_warmstart.corpus import read_corpus
from rnn_warmstart.features import Encoder
from rnn_warmstart.surrogate import Settings
from rnn_warmstart.surrogate.boosting import Floats, Targets, draw_rows, fit_booster, setup_folds
from rnn_warmstart.surrogate.crossfit import predict_fold
from rnn_warmstart.surrogate.model import ranking_score
from rnn_warmstart.surrogate.storage import RUNS
from rnn_warmstart.surrogate.targets import LossScale, setup_codes, usable_loss

PAUSE: Final = 0.5
"""Seconds between two looks at the processes."""


class Usage:
    """CPU seconds and memory of this process and of all that it has started, however they ended."""

    def __init__(self) -> None:
        self._cpu: dict[int, float] = {}
        self.peak = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def look(self) -> tuple[float, float]:
        """Return wall seconds and CPU seconds so far."""
        own, memory = psutil.Process(), 0
        for process in [own, *own.children(recursive=True)]:
            with suppress(psutil.Error):  # it has just ended
                times = process.cpu_times()
                self._cpu[process.pid] = times.user + times.system
                memory += process.memory_full_info().pss
        self.peak = max(self.peak, memory)
        return time.monotonic(), sum(self._cpu.values())

    def _watch(self) -> None:
        while True:
            self.look()
            time.sleep(PAUSE)


def measure(plan: BuildPlan) -> dict[str, dict[str, float]]:
    """Build, and return wall and CPU seconds of each step, and the peak memory by its end."""
    usage, begun, found = Usage(), {}, {}

    def report(step: str, what: str, share: float) -> None:
        if step not in begun:
            begun[step] = usage.look()
        if what == "done":
            wall, cpu = usage.look()
            peak = usage.peak / 2**20
            found[step] = {"wall": wall - begun[step][0], "cpu": cpu - begun[step][1], "peak_mib": peak}
            print(step, found[step], flush=True)

    build_models(plan, report)
    return found


def compare_trees(runs: pd.DataFrame, settings: Settings) -> dict[str, float]:
    """Return the CPU seconds of fitting the models of trees, and of ``lightgbm.train`` with the same parameters."""
    import lightgbm

    encoder, targets = Encoder.fit(runs), Targets.from_runs(runs, LossScale.fit(runs))
    matrix, found = encoder.transform(runs), {"runs": len(runs), "own": 0.0, "lightgbm": 0.0}
    for name, target in vars(targets).items():
        begun = time.process_time()
        fit_booster(name, matrix, target, encoder, settings)
        found["own"] += time.process_time() - begun
        begun = time.process_time()
        data = lightgbm.Dataset(
            matrix, target, categorical_feature=encoder.categorical, feature_name=list(encoder.features)
        )
        lightgbm.train(settings.parameters(name), data, settings.rounds(name))
        found["lightgbm"] += time.process_time() - begun
    return found


def recover(runs: pd.DataFrame, truth: pd.DataFrame, settings: Settings) -> dict[str, Any]:
    """Rank a fifth of the setups by what one network that never saw them says, and compare with what is known of them.

    The noise-free loss does not say that a run may diverge, which the surrogate ranks last. So there are three truths:
    the noise-free loss of all runs; that of the runs that diverge with at most 5 %; and the expected rank, (1 - r) q +
    r, r being the probability to diverge and q the share of the setup's runs with a lower noise-free loss.

    Returns
    -------
    dict
        Mean Spearman correlation over setups with each truth: of the score, of the runs' own losses, and of the
        expected rank, which is the most that a ranking which puts diverged runs last can reach.
    """
    encoder, targets = Encoder.fit(runs), Targets.from_runs(runs, LossScale.fit(runs))
    rows = next(setup_folds(runs, settings.folds, settings.seed))
    rank, loss, _ = predict_fold(rows, encoder.transform(runs), targets, encoder, settings)
    codes, known = setup_codes(runs)[rows], truth[rows].reset_index(drop=True)
    clean, risk = known["noise_free_loss"], known["risk"].to_numpy()
    outcome = (1 - risk) * clean.groupby(codes).rank(pct=True).to_numpy() + risk
    guesses = {"score": ranking_score(rank, loss), "own loss": usable_loss(runs)[rows], "expected rank": outcome}
    safe, everything = risk <= 0.05, np.ones(len(known), dtype=bool)
    truths = {
        "noise-free loss": (clean.to_numpy(), everything),
        "noise-free loss, risk at most 5 %": (clean.to_numpy(), safe),
        "expected rank": (outcome, everything),
    }
    return {"setups": len(set(codes)), "runs": len(known)} | {
        name: {what: spearman(values[chosen], goal[chosen], codes[chosen]) for what, values in guesses.items()}
        for name, (goal, chosen) in truths.items()
    }


def spearman(x: Floats, y: Floats, codes: np.ndarray[Any, Any]) -> float:
    """Return the mean over groups of Spearman's correlation."""
    groups = pd.DataFrame({"x": x, "y": y}).groupby(codes)
    return float(np.mean([group["x"].corr(group["y"], method="spearman") for _, group in groups]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=ORIGINAL_RUNS)
    parser.add_argument("--evaluated", type=int, default=BuildPlan.evaluated)
    parser.add_argument("--compared", type=int, default=20_000)
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if (options.archive is None) != (options.truth is None):
        parser.error("give both of --archive and --truth, as make_archive.py writes them, or neither.")
    with tempfile.TemporaryDirectory() as folder:
        archive, out = options.archive or Path(folder) / "runs.tar.gz", Path(folder) / "models"
        truth = make_archive(archive, options.runs) if options.truth is None else pd.read_parquet(options.truth)
        plan = BuildPlan(archive, out, evaluated=options.evaluated)
        result: dict[str, Any] = {"commit": current_commit(), "runs": len(truth), "evaluated": options.evaluated}
        result["threads"] = os.environ.get("OMP_NUM_THREADS", "all")
        result["steps"] = measure(plan)
        result["bytes"] = {"archive": archive.stat().st_size, "models": sum(x.stat().st_size for x in out.iterdir())}
        runs = read_corpus(out / RUNS).runs
    some = runs[draw_rows(len(runs), options.compared, 0)].reset_index(drop=True)
    result["trees"] = compare_trees(some, plan.settings)
    result["recovered"] = recover(runs, truth, plan.settings)
    text = report_text(result)
    print(text)
    if options.write:
        write_result(f"build_{'full' if len(truth) == ORIGINAL_RUNS else len(truth)}", result, text)


def report_text(result: dict[str, Any]) -> str:
    steps, trees, recovered = result["steps"], result["trees"], result["recovered"]
    rows = [[name, *(f"{steps[name][key]:,.0f}" for key in ("wall", "cpu", "peak_mib"))] for name in STEPS]
    rows.append(["all", *(f"{sum(step[key] for step in steps.values()):,.0f}" for key in ("wall", "cpu")), ""])
    truths = [name for name, found in recovered.items() if isinstance(found, dict)]
    ranks = [[of, *(f"{recovered[name][of]:.3f}" for name in truths)] for of in recovered[truths[0]]]
    disk = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in result["bytes"].items())
    return f"""# A build of {result["runs"]:,} runs, {result["evaluated"]:,} of them for the evaluation

Commit {result["commit"]}, threads: {result["threads"]}.

{markdown_table(["step", "wall s", "CPU s", "peak MiB by its end"], rows)}
{disk}.

Trees on {trees["runs"]:,} runs: {trees["own"]:.1f} CPU s, {trees["own"] / trees["lightgbm"]:.2f} of `lightgbm.train`.

Ranking of {recovered["runs"]:,} runs in {recovered["setups"]} setups that were held out, Spearman's correlation with
what is known, mean over setups:

{markdown_table(["", *truths], ranks)}"""


if __name__ == "__main__":
    main()
