"""What ``rnn-warmstart build`` costs: time, memory and disk, step by step, on a stand-in of the original archive.

Usage: ``python benchmarks/build_full.py [--runs 630880] [--evaluated 10000] [--archive FILE] [--write]``. Without
``--archive``, the archive comes from `make_archive`. CPU seconds and peak memory are those of the build and of its
reader together and of the larger of the two; ``--write`` writes results/build_full.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from make_archive import ORIGINAL_RUNS, make_archive
from provenance import current_commit, markdown_table, write_result
from rnn_warmstart.building import BuildPlan, build_models
from rnn_warmstart.building.build import STEPS

WHO: Final = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def used() -> tuple[float, float, float]:
    """Return wall seconds, CPU seconds and peak memory in MiB so far."""
    usage = [resource.getrusage(who) for who in WHO]
    return time.monotonic(), sum(u.ru_utime + u.ru_stime for u in usage), max(u.ru_maxrss for u in usage) / 1024


def measure(plan: BuildPlan) -> dict[str, dict[str, float]]:
    """Build, and return wall and CPU seconds of each step, and the peak memory by its end."""
    begun, found = {}, {}

    def report(step: str, what: str, share: float) -> None:
        begun.setdefault(step, used())
        if what == "done":
            wall, cpu, peak = used()
            found[step] = {"wall": wall - begun[step][0], "cpu": cpu - begun[step][1], "peak_mib": peak}

    build_models(plan, report)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=ORIGINAL_RUNS)
    parser.add_argument("--evaluated", type=int, default=BuildPlan.evaluated)
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        archive = options.archive or Path(folder) / "runs.tar.gz"
        if options.archive is None:
            make_archive(archive, options.runs)
        out = Path(folder) / "models"
        steps = measure(BuildPlan(archive, out, evaluated=options.evaluated))
        sizes = {"archive": archive.stat().st_size, "models": sum(path.stat().st_size for path in out.iterdir())}
    result = {"commit": current_commit(), "runs": options.runs, "evaluated": options.evaluated, "steps": steps}
    text = report_text(result | {"bytes": sizes})
    print(text)
    if options.write:
        write_result("build_full", result | {"bytes": sizes}, text)


def report_text(result: dict[str, Any]) -> str:
    steps = result["steps"]
    rows = [[name, *(f"{steps[name][key]:,.0f}" for key in ("wall", "cpu", "peak_mib"))] for name in STEPS]
    rows.append(["all", *(f"{sum(step[key] for step in steps.values()):,.0f}" for key in ("wall", "cpu")), ""])
    table = markdown_table(["step", "wall s", "CPU s", "peak MiB by its end"], rows)
    disk = ", ".join(f"{name} {size / 1e6:,.1f} MB" for name, size in result["bytes"].items())
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return (
        f"# A build of {result['runs']:,} runs, {result['evaluated']:,} of them for the evaluation\n\n"
        f"Commit {result['commit']}, threads: {threads}.\n\n{table}\n{disk}.\n"
    )


if __name__ == "__main__":
    main()
