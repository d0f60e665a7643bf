"""Speed, as ratios between things measured in turn in one run.

    python benchmarks/speed.py            # benchmarks/results/speed.{json,md}
    python benchmarks/speed.py --smoke    # one round, writes nothing

- a warm `recommend` call against one `Booster.predict` of 100,000 rows (the shipped rank model) in the same process;
- the command's wall time against that of ``python -c "import lightgbm, optuna, pandas"``;
- `import rnn_warmstart` against `import numpy`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from provenance import markdown_table, provenance, write_result
from rich.console import Console
from rich.progress import track
from rnn_warmstart import recommend
from rnn_warmstart.corpus import load_builtin
from rnn_warmstart.surrogate.storage import load_surrogate

QUERY = {"arch": "gru", "task": "text8", "params": 1e6}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one round; writes nothing")
    rounds = 1 if parser.parse_args().smoke else 11
    corpus = load_builtin()
    with as_file(files("rnn_warmstart.models")) as folder:
        surrogate = load_surrogate(folder)
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
    }
    ratios = {name: first / second for name, (first, second) in measured.items()}
    rows = [[name, f"{a:.3f}", f"{b:.3f}", f"{ratios[name]:.2f}"] for name, (a, b) in measured.items()]
    origin = provenance(corpus, 0)
    text = (
        f"# Speed\n\n`python benchmarks/speed.py`, commit {origin['commit']}; medians of {rounds} rounds, in turn.\n\n"
        + markdown_table(["what", "seconds", "seconds", "ratio"], rows)
    )
    if rounds > 1:
        write_result("speed", {"provenance": origin, "seconds": measured, "ratios": ratios}, text)
    print(text)


if __name__ == "__main__":
    main()
