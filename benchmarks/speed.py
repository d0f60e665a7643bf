"""Speed, as ratios between things measured in turn in one run.

    python benchmarks/speed.py            # benchmarks/results/speed.{json,md}
    python benchmarks/speed.py --smoke    # one round, writes nothing

- a warm `recommend` call against one `Booster.predict` of 100,000 rows (the shipped rank model) in the same process;
- the command's wall time against that of ``python -c "import lightgbm, optuna, pandas"``;
- `import rnn_warmstart` against `import numpy`;
- `Benchmark.objective`, 100 configurations one by one, against `LGBMRegressor.predict` of 100 one-row frames: a model
  with the features, the trees and the leaves of the surrogate's loss model, one thread;
- `Benchmark.batch` of 10,000 configurations against `Booster.predict` of the loss model for the same, encoded already.

YAHPO Gym is not beside them: its newest release needs NumPy below 2, this package NumPy 2.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rich.progress import track
from rnn_warmstart import Benchmark, recommend
from rnn_warmstart.corpus import HP_PREFIX, Corpus, load_builtin
from rnn_warmstart.surrogate import Surrogate
from rnn_warmstart.surrogate.library import get_surrogate

QUERY = {"arch": "gru", "task": "text8", "params": 1e6}
SETUP = {"arch": "lstm", "task": "text8", "depth": 2, "params": 1e4}
COMMAND = [str(Path(sys.executable).with_name("rnn-warmstart")), "recommend"]
COMMAND += ["--arch", "gru", "--task", "text8", "--params", "1e6"]


def in_turn(ways: tuple[Callable[[], object], Callable[[], object]], rounds: int, what: str) -> tuple[float, float]:
    """Return the median seconds of two ways, measured in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in track(range(rounds), what, transient=True, console=Console(stderr=True)):
        for way, kept in zip(ways, seconds, strict=True):
            start = time.perf_counter()
            way()
            kept.append(time.perf_counter() - start)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def python(code: str) -> Callable[[], object]:
    """Return a way to run code in a fresh interpreter."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def encoded(surrogate: Surrogate, benchmark: Benchmark, frame: pd.DataFrame) -> np.ndarray:
    """Return the feature matrix of a benchmark's configurations."""
    steps = {} if benchmark.fidelity is None else {HP_PREFIX + benchmark.fidelity.name: benchmark.fidelity.high}
    setup = {"architecture": benchmark.arch, "task_type": benchmark.task, "n_layers": benchmark.depth}
    return surrogate.encoder.transform(
        frame.add_prefix(HP_PREFIX).assign(**steps, **setup, max_params=float(benchmark.params))
    )


def benchmark_ways(
    surrogate: Surrogate, corpus: Corpus, smoke: bool
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Return the two comparisons of a benchmark with LightGBM's own predictions."""
    from lightgbm import LGBMRegressor

    benchmark = Benchmark(**SETUP)
    many = benchmark.sample(10_000)
    matrix, columns = encoded(surrogate, benchmark, many), list(surrogate.encoder.features)
    frames = [pd.DataFrame(row[None], columns=columns) for row in matrix[:100]]
    configs = many[:100].to_dict("records")
    known = surrogate.encoder.transform(corpus.runs[:: 20 if smoke else 1])
    options = surrogate.settings.parameters("loss") | {"num_threads": 1}
    model = LGBMRegressor(n_estimators=surrogate.settings.trees, **options)
    model.fit(pd.DataFrame(known, columns=columns), surrogate.boosters.predict("loss", known))
    return {
        "objective / LGBMRegressor.predict of one-row frames, 100 times": (
            lambda: [benchmark.objective(config) for config in configs],
            lambda: [model.predict(frame) for frame in frames],
        ),
        "batch / Booster.predict of a matrix, 10,000 rows": (
            lambda: benchmark.batch(many),
            lambda: surrogate.boosters.predict("loss", matrix),
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one round; writes nothing")
    smoke = parser.parse_args().smoke
    rounds = 1 if smoke else 11
    corpus, surrogate = load_builtin(), get_surrogate()
    matrix = surrogate.encoder.transform(corpus.runs.sample(100_000, replace=True, random_state=0))
    recommend(**QUERY)
    measured = {
        "warm recommend / Booster.predict of 100,000 rows": in_turn(
            (lambda: recommend(**QUERY), lambda: surrogate.boosters.predict("rank", matrix)), rounds, "recommend"
        ),
        "command / importing lightgbm, optuna, pandas": in_turn(
            (
                lambda: subprocess.run(COMMAND, check=True, capture_output=True),
                python("import lightgbm, optuna, pandas"),
            ),
            rounds,
            "command",
        ),
        "import rnn_warmstart / import numpy": in_turn(
            (python("import rnn_warmstart"), python("import numpy")), rounds, "import"
        ),
        **{name: in_turn(ways, rounds, "benchmark") for name, ways in benchmark_ways(surrogate, corpus, smoke).items()},
    }
    ratios = {name: first / second for name, (first, second) in measured.items()}
    rows = [[name, f"{a:.3g}", f"{b:.3g}", f"{ratios[name]:.2f}"] for name, (a, b) in measured.items()]
    origin = provenance(corpus, 0)
    text = (
        f"# Speed\n\n`python benchmarks/speed.py`, commit {origin['commit']}; medians of {rounds} rounds, in turn; "
        f"OMP_NUM_THREADS: {os.environ.get('OMP_NUM_THREADS', 'not set')}.\n\n"
        + markdown_table(["what", "seconds", "seconds", "ratio"], rows)
    )
    if rounds > 1:
        write_result("speed", {"provenance": origin, "seconds": measured, "ratios": ratios}, text)
    print(text)


if __name__ == "__main__":
    main()
