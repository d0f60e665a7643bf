"""Reading a member of the original archive against `numpy.load` on the same file: CPU time and peak memory.

Usage: ``python benchmarks/corpus_reading.py [--rows 100000] [--smoke]``. Each reading runs in a process of its own;
times are CPU seconds of the reading alone (imports excluded), the best of three, and memory is the peak above that of
the imports. `numpy.load` stops at an array of dicts; `read_corpus` goes on to checked columns.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

GATES = {"rnn": [""], "irnn": [""], "ugrnn": ["_g", "_c"], "gru": ["_r", "_u", "_c"], "lstm": ["_i", "_g", "_c", "_o"]}
TASKS = ["per_cap", "mem_thru", "rcf", "text8", "parens_counting", "arithmetic"]
OTHERS = ["optimizer_logit_momentum", "lr_decay_rate", "lr_init", "gradient_clip_val", "l2_decay"]
COLUMNS = ["architecture", "eval_loss", "hparams", "max_params", "n_layers", "num_params", "task_type"]
COLUMNS += ["train_loss", "valid_loss", "hyper_iter"]

READERS = {
    "numpy.load": "import numpy as np\ndef read(path): return np.load(path, allow_pickle=True, encoding='latin1')",
    "read_corpus": "from rnn_warmstart.corpus import files\nread = files.read_corpus",
}
PROBE = """
import json, resource, sys, time
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
rows = len(read(sys.argv[1]))
seconds = time.process_time() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps({"rows": rows, "seconds": seconds, "megabytes": peak / 1024}))
"""


def make_member(path: Path, rows: int, seed: int = 0) -> None:
    """Write a structured array as the original archive's members are described: protocol 2, a column of dicts."""
    rng = np.random.default_rng(seed)
    architectures = rng.choice(list(GATES), rows)
    table = [make_run(str(architecture), rng) for architecture in architectures]
    dtype = [(name, "O" if name in ("architecture", "hparams", "task_type") else "f8") for name in COLUMNS]
    dtype = [
        (name, "i8" if name in ("max_params", "n_layers", "num_params", "hyper_iter") else kind) for name, kind in dtype
    ]
    path.write_bytes(pickle.dumps(np.array(table, dtype=dtype), protocol=2))


def make_run(architecture: str, rng: np.random.Generator) -> tuple[Any, ...]:
    names = [f"{kind}{gate}" for gate in GATES[architecture] for kind in ("input_scale", "recurrent_matrix_scale")]
    names += [f"recurrent_bias_scale{gate}" for gate in GATES[architecture]] + OTHERS
    hparams: dict[str, Any] = dict(zip(names, rng.random(len(names)).tolist(), strict=True))
    hparams |= {"optimizer": str(rng.choice(["SGD", "RMSProp"])), "train_steps": int(rng.integers(50_000, 20_000_000))}
    hparams |= {"recurrent_matrix_init_type": "orthogonal", "recurrent_bias_init_type": "delta"}
    loss, task, depth = float(rng.random()), TASKS[rng.integers(6)], int(rng.choice([1, 2, 4]))
    return (architecture, loss, hparams, 80_000, depth, 79_000, task, loss, loss, int(rng.integers(1000)))


def measure(reader: str, path: Path, repeats: int) -> dict[str, float]:
    """Return the best CPU seconds and the peak megabytes of a reader."""
    command = [sys.executable, "-c", READERS[reader] + PROBE, str(path)]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(repeats)]
    return {"seconds": min(run["seconds"] for run in runs), "megabytes": min(run["megabytes"] for run in runs)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="runs in the member")
    parser.add_argument("--member", type=Path, help="measure on this file instead of a made one")
    parser.add_argument("--smoke", action="store_true", help="1,000 runs, once: does it work?")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.member or Path(folder) / "member.p"
        if options.member is None:
            make_member(path, 1000 if options.smoke else options.rows)
        found = {reader: measure(reader, path, 1 if options.smoke else 3) for reader in READERS}
        size = path.stat().st_size / 2**20
    ours, theirs = found["read_corpus"], found["numpy.load"]
    ratios = {key: ours[key] / max(theirs[key], 1e-9) for key in ours}
    print(json.dumps({"member_megabytes": size, **found, "ratio": ratios}, indent=2))


if __name__ == "__main__":
    main()
