"""A folder of jobs and finished runs, which any number of processes may work on at once.

``jobs/NAME.json`` says what to do, ``shards/NAME.parquet`` holds the finished runs of that job, ``locks/NAME.lock`` is
locked while a process works on it. A shard appears whole or not at all, and the operating system frees the lock of a
process that dies, so a killed process loses only what it was doing, and no run is made twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from ..corpus.atomic import write_atomically
from .runs import Job, make_runs


class RunFolder:
    """The folder.

    Parameters
    ----------
    path : str or Path
        Made if it does not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.jobs, self.shards, self.locks = (self.path / name for name in ("jobs", "shards", "locks"))
        for folder in (self.jobs, self.shards, self.locks):
            folder.mkdir(parents=True, exist_ok=True)

    def add(self, jobs: Iterable[Job]) -> int:
        """Add jobs to the list; return how many were new.

        Raises
        ------
        ValueError
            Where a job's parameter budget is too small for its setup; then none is added.
        """
        known = {path.stem for path in self.jobs.iterdir()}
        new = {job.name: job for job in jobs if job.name not in known}
        for setup in {job.setup for job in new.values()}:
            setup.layout(setup.task())
        for name, job in new.items():
            write_atomically(self.jobs / f"{name}.json", job.to_json().encode())
        return len(new)

    def pending(self) -> list[str]:
        """Return the names of the jobs without a shard, in the order in which they are to be done."""
        done = {path.stem for path in self.shards.glob("*.parquet")}
        return sorted(path.stem for path in self.jobs.glob("*.json") if path.stem not in done)

    def job(self, name: str) -> Job:
        """Return a job of the list."""
        return Job.from_json((self.jobs / f"{name}.json").read_text())

    def work_on(self, name: str, device: str = "cpu") -> int:
        """Do a job, unless it is done or another process is at it; return how many runs that made."""
        try:
            with FileLock(self.locks / f"{name}.lock", timeout=0):
                return self._make(name, device)
        except Timeout:
            return 0

    def _make(self, name: str, device: str) -> int:
        shard = self.shards / f"{name}.parquet"
        if shard.exists():
            return 0
        runs = make_runs(self.job(name), device)
        write_atomically(shard, runs.to_parquet(index=False, compression="zstd"))
        return len(runs)

    def collect(self, names: Iterable[str] | None = None) -> pd.DataFrame:
        """Return the finished runs of these jobs, by default of all, as one table in the corpus schema."""
        chosen = sorted(path.stem for path in self.shards.glob("*.parquet")) if names is None else names
        shards = [pd.read_parquet(self.shards / f"{name}.parquet") for name in chosen]
        return pd.concat(shards, ignore_index=True) if shards else pd.DataFrame()

    def merge(self) -> Path:
        """Write all finished runs into one file, ``runs.parquet``; return its path."""
        path = self.path / "runs.parquet"
        write_atomically(path, self.collect().to_parquet(index=False, compression="zstd"))
        return path
