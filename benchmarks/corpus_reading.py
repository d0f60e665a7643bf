"""Reading the original archive's format against `numpy.load` on the same members: CPU time, peak memory, Parquet.

Usage: ``python benchmarks/corpus_reading.py [--runs 630880] [--archive FILE] [--rounds 5] [--smoke]``. Without
``--archive``, the archive comes from `make_archive`. Each reading runs in a process of its own, in turns; times are CPU
seconds of the reading alone (imports excluded), the least of the rounds, because what a machine adds (half a second of
system time where its host hands memory over late) is never negative; the medians stand beside them. Memory is the peak
of the process above that of the imports, the median of the rounds. `numpy.load` stops at arrays of dicts; `read_corpus`
goes on to checked columns and a summary, and lets a child read every pickle first: a row of its own counts the child's
CPU time, its start included, and its peak memory, too.

A corpus's columns are loaded as `read_table(...).to_pandas()` does, and with text as categories and each column's
memory used again, as `read_corpus` does; the setup and the loss are what most questions begin with.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Final

from make_archive import ORIGINAL_RUNS, make_archive
from provenance import current_commit, markdown_table, write_result
from rnn_warmstart.corpus import SETUP, read_corpus, write_parquet

READERS: Final = {
    "read_corpus, members": "members",
    "numpy.load, members": "members",
    "Parquet columns": "parquet",
    "Parquet columns with text as categories": "parquet",
    "Parquet columns of setup and loss": "parquet",
    "read_corpus, archive": "archive",
    "numpy.load, largest member": "largest",
    "read_corpus, Parquet": "parquet",
}
"""What each reader reads."""
CODE: Final = {
    "numpy.load": """
import numpy as np
from pathlib import Path
def read(path):
    for member in sorted(Path(path).glob("*.p")) or [path]:
        len(np.load(member, allow_pickle=True, encoding="latin1"))
""",
    "read_corpus": """
from rnn_warmstart.corpus import files, rehearsal
def read(path):
    files.read_corpus(path)
    rehearsal.end_idle()
""",
    "Parquet columns": """
import pandas, pyarrow.parquet as pq
def read(path):
    len(pq.read_table(path).to_pandas(split_blocks=True))
""",
    "Parquet columns with text as categories": """
import pandas, pyarrow.parquet as pq
def read(path):
    words = [field.name for field in pq.read_schema(path) if field.type == "large_string"]
    table = pq.ParquetFile(path, read_dictionary=words).read()
    len(table.to_pandas(split_blocks=True, self_destruct=True, use_threads=False))
""",
    "Parquet columns of setup and loss": f"""
import pandas, pyarrow.parquet as pq
def read(path):
    len(pq.read_table(path, columns={[*SETUP, "eval_loss"]}).to_pandas(split_blocks=True))
""",
}
PROBE: Final = """
import json, re, resource, sys, time
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
before, start = peak(), time.process_time()
read(sys.argv[1])
found = {"seconds": time.process_time() - start, "megabytes": peak() - before}
child = resource.getrusage(resource.RUSAGE_CHILDREN)
found["child_seconds"], found["child_megabytes"] = child.ru_utime + child.ru_stime, child.ru_maxrss / 1024
print(json.dumps(found))
"""
LIMITS: Final = {
    "CPU time, read_corpus over numpy.load, members": 0.8,
    "the same, with the child that reads first": 0.8,
    "peak memory of read_corpus over that of the largest member loaded": 2.0,
    "the same peak, with the child's": 2.0,
    "Parquet, million bytes": 70.0,
    "CPU time, Parquet columns over numpy.load": 1 / 6,
    "the same, text as categories": 1 / 6,
}


PARTS: Final = ("", "child_")
"""What the measures of the reader itself, and of its child, begin with."""
Round = dict[str, dict[str, float]]
"""CPU seconds and peak, MiB, of every reader."""


def measure(sources: dict[str, Path]) -> Round:
    """Let every reader read once."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found: Round = {}
    for name, source in READERS.items():
        command = [sys.executable, "-c", CODE[name.split(",")[0]] + PROBE, str(sources[source])]
        found[name] = json.loads(subprocess.run(command, check=True, capture_output=True, env=environment).stdout)
    return found


def prepare(folder: Path, archive: Path) -> dict[str, Path]:
    """Lay out what the readers read: the archive, its members, the largest of them, and the corpus as Parquet."""
    members = folder / "members"
    members.mkdir()
    with tarfile.open(archive) as tar:
        for info in tar.getmembers():
            name = Path(info.name).name
            if (file := tar.extractfile(info)) is not None and name.endswith(".p") and not name.startswith("._"):
                (members / name).write_bytes(file.read())
    write_parquet(read_corpus(archive), folder / "corpus.parquet")
    largest = max(members.iterdir(), key=lambda path: path.stat().st_size)
    return {"archive": archive, "members": members, "largest": largest, "parquet": folder / "corpus.parquet"}


def judge(rounds: list[Round], parquet_bytes: int) -> dict[str, dict[str, Any]]:
    """Return the figures that have a limit, and whether they keep it."""

    def ratio(key: str, name: str, other: str, child: bool = False) -> float:
        typical = min if key == "seconds" else median
        spent = typical(each[name][key] + child * each[name]["child_" + key] for each in rounds)
        return spent / max(typical(each[other][key] for each in rounds), 1e-9)

    values = (
        ratio("seconds", "read_corpus, members", "numpy.load, members"),
        ratio("seconds", "read_corpus, members", "numpy.load, members", child=True),
        ratio("megabytes", "read_corpus, members", "numpy.load, largest member"),
        ratio("megabytes", "read_corpus, members", "numpy.load, largest member", child=True),
        parquet_bytes / 1e6,
        ratio("seconds", "Parquet columns", "numpy.load, members"),
        ratio("seconds", "Parquet columns with text as categories", "numpy.load, members"),
    )
    pairs = zip(LIMITS.items(), values, strict=True)
    return {name: {"value": value, "limit": limit, "kept": value <= limit} for (name, limit), value in pairs}


def describe(result: dict[str, Any]) -> str:
    """Return the result as Markdown."""
    readers = [[name, *_cells(each)] for name, each in result["readers"].items()]
    figures = [
        [name, f"{each['value']:.3g}", f"{each['limit']:.3g}", "yes" if each["kept"] else "no"]
        for name, each in result["figures"].items()
    ]
    return (
        f"# Reading {result['runs']:,} runs in the original's format\n\n"
        f"`python benchmarks/corpus_reading.py`, commit {result['commit']}, {result['versions']}.\n"
        f"CPU seconds, the least of {len(result['rounds'])} rounds and their median, and peak memory above the imports "
        "(all of a child's), the median.\n\n"
        + markdown_table(
            ["reader", "CPU s", "median", "child's CPU s", "median", "peak MiB", "child's peak MiB"], readers
        )
        + "\n"
        + markdown_table(["figure", "value", "limit", "kept"], figures)
    )


def _cells(measured: dict[str, float]) -> list[str]:
    seconds = [f"{measured[part + key]:.2f}" for part in PARTS for key in ("seconds", "median_seconds")]
    return [*seconds, *(f"{measured[part + 'megabytes']:.0f}" for part in PARTS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=ORIGINAL_RUNS, help="runs in the archive that is made")
    parser.add_argument("--archive", type=Path, help="measure on this archive instead of a made one")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is read")
    parser.add_argument("--smoke", action="store_true", help="2,000 runs, once, nothing written: does it work?")
    options = parser.parse_args()
    runs = 2000 if options.smoke else options.runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = options.archive or folder / "archive.tar.gz"
        if options.archive is None:
            make_archive(archive, runs)
        sources = prepare(folder, archive)
        rows = len(read_corpus(sources["parquet"]))
        rounds = [measure(sources) for _ in range(1 if options.smoke else options.rounds)]
        figures = judge(rounds, sources["parquet"].stat().st_size)
    kinds = {"seconds": ("seconds", min), "median_seconds": ("seconds", median), "megabytes": ("megabytes", median)}
    found = {
        name: {
            part + key: typical(each[name][part + kind] for each in rounds)
            for part in PARTS
            for key, (kind, typical) in kinds.items()
        }
        for name in READERS
    }
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "pandas", "pyarrow"))
    versions = f"Python {platform.python_version()}, {versions}"
    result = {"commit": current_commit(), "versions": versions, "runs": rows, "readers": found, "figures": figures}
    result["rounds"] = rounds
    print(describe(result))
    if not options.smoke:
        write_result("corpus_reading", result, describe(result))


if __name__ == "__main__":
    main()
