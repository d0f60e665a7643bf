"""Does another random function explain why the trainer and the lab's runs agree less on rcf than two seeds do?

    python benchmarks/rcf_functions.py            # benchmarks/results/rcf_functions.{json,md}

The page that defines the lab's runs gives the law of rcf's one random function, not the function. Here the
configurations of `training_crosscheck.py` are trained on five functions of that law by this one implementation, one
seed each, and twice on the first function. Spearman's rho of log loss between two functions is what two
implementations can reach that do not share the function; the table sets it beside rho between seeds and between the lab
and this trainer.
"""

from __future__ import annotations

import json
import os
from itertools import combinations
from typing import Annotated

import joblib
import numpy as np
import pandas as pd
import typer
from provenance import current_commit, markdown_table, write_result
from rnn_warmstart.training.runs import Job, draw_seeds, make_runs
from rnn_warmstart.training.setups import Setup
from rnn_warmstart.training.tasks import Rcf
from training_crosscheck import PLATEAU, SETUP, SHARED, chosen_runs, log_loss, rho

FUNCTIONS = (61, 62, 63, 64, 65)


def trained(setup: tuple[object, ...], runs: pd.DataFrame, function: int, repeat: int) -> pd.Series:
    """Return log losses of the configurations of one setup, trained on one function."""
    import torch

    torch.set_num_threads(1)
    configurations = [json.loads(text) for text in runs["hparams"]]
    seeds = draw_seeds(len(runs), "rcf functions", function, repeat, repr(setup))
    job = Job(Setup(*setup), "trainer/crosscheck", configurations, seeds, list(range(len(runs))))  # type: ignore[arg-type]
    found = make_runs(job, task=Rcf(seed=function))
    return pd.Series(log_loss(found["eval_loss"].where(~found["diverged"])).to_numpy(), index=runs.index)


def correlations(table: pd.DataFrame) -> dict[str, float]:
    """Return rho between seeds, functions, and the lab and one function."""
    names = [str(function) for function in FUNCTIONS]
    pairs = [rho(table[a], table[b]) for a, b in combinations(names, 2)]
    return {
        "configurations": len(table),
        "two seeds, one function": rho(table["61"], table["again"]),
        "two functions, mean": float(np.mean(pairs)),
        "two functions, lowest": float(np.min(pairs)),
        "lab and a function, mean": float(np.mean([rho(table[name], table["lab"]) for name in names])),
    }


def main(
    workers: Annotated[int, typer.Option(help="Jobs at a time.")] = 2,
    smoke: Annotated[bool, typer.Option(help="Two setups, writes nothing.")] = False,
) -> None:
    """Train, compare, print."""
    lab = pd.read_parquet(SHARED / "data" / "lab_runs.parquet")
    chosen = chosen_runs(lab)
    chosen = chosen[chosen["task_type"] == "rcf"].reset_index(drop=True)
    groups = list(chosen.groupby(SETUP))[: 2 if smoke else None]
    plans = [(str(function), function, 0) for function in FUNCTIONS] + [("again", FUNCTIONS[0], 1)]
    calls = [(name, setup, runs, function, repeat) for name, function, repeat in plans for setup, runs in groups]
    found = joblib.Parallel(n_jobs=workers)(joblib.delayed(trained)(*call[1:]) for call in calls)
    columns: dict[str, list[pd.Series]] = {}
    for (name, *_), values in zip(calls, found, strict=True):
        columns.setdefault(name, []).append(values)
    table = pd.DataFrame({name: pd.concat(parts) for name, parts in columns.items()})
    table["lab"] = log_loss(chosen["eval_loss"]).reindex(table.index)
    off = table[table["lab"].abs() > PLATEAU]  # the best constant answer costs 1, whose logarithm is 0
    rows = {"all": correlations(table), "off the plateau": correlations(off)}
    header = ["", *rows["all"]]
    cells = [
        [name, str(row["configurations"]), *(f"{row[key]:.3f}" for key in header[2:])] for name, row in rows.items()
    ]
    text = (
        f"# rcf on five functions of one law\n\n`python benchmarks/rcf_functions.py`, commit {current_commit()}. "
        f"Spearman's rho of log loss.\n\n" + markdown_table(header, cells)
    )
    if not smoke:
        write_result("rcf_functions", {"commit": current_commit(), "functions": FUNCTIONS, "rho": rows}, text)
    typer.echo(text)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    typer.run(main)
