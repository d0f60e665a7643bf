"""Working through a folder of jobs with joblib's backends, until all is done or time is up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime, timedelta
from typing import Final, Literal

import joblib

from .folder import RunFolder

Backend = Literal["loky", "dask", "ray", "threading", "sequential"]
POLL_SECONDS: Final = 0.5


def work_through(
    folder: RunFolder,
    backend: Backend = "loky",
    workers: int = -1,
    device: str = "cpu",
    until: float | None = None,
    report: Callable[[int], None] | None = None,
    names: Collection[str] | None = None,
) -> int:
    """Do all jobs of a folder; return how many runs this call made.

    Jobs that other processes are at are waited for, and done here should those die.

    Parameters
    ----------
    folder : RunFolder
    backend : {"loky", "dask", "ray", "threading", "sequential"}, default "loky"
        Who does the work: processes on this machine, or the cluster whose client is active
        (``dask.distributed.Client``, ``ray.init``).
    workers : int, default -1
        Jobs at a time; -1 means one a core, or all that the cluster has.
    device : str, default "cpu"
        Any device of PyTorch.
    until : float, optional
        No job begins after this time (seconds since the epoch).
    report : callable, optional
        Called with the number of runs made, after each job.
    names : collection of str, optional
        Only these jobs; by default all.
    """
    made = 0
    while pending := [name for name in folder.pending() if names is None or name in names]:
        before = made
        with _backend(backend):
            parallel = joblib.Parallel(n_jobs=workers, return_as=_returns(backend), batch_size=1)
            for count in parallel(joblib.delayed(_work)(folder, name, device, until) for name in pending):
                made += count
                if report is not None and count:
                    report(count)
        if until is not None and time.time() >= until:
            break
        if made == before:
            time.sleep(POLL_SECONDS)
    return made


@contextmanager
def _backend(backend: Backend) -> Iterator[None]:
    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    here = backend in ("threading", "sequential")
    with _torch_as_before() if here else nullcontext(), joblib.parallel_config(backend=backend):
        yield


@contextmanager
def _torch_as_before() -> Iterator[None]:
    """Give this process its threads back, and this thread its subnormal numbers, once `_work` was done in it."""
    import torch

    threads, smallest = torch.get_num_threads(), math.ulp(0.0)
    flushed = smallest * 1.0 == 0.0
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_flush_denormal(flushed)


def _returns(backend: Backend) -> str:
    """Return how results come: as they are made, where the backend can."""
    return "list" if backend == "ray" else "generator_unordered"


def _work(folder: RunFolder, name: str, device: str, until: float | None) -> int:
    """Do one job in a worker, which has one thread: members share a core's cache, not cores."""
    if until is not None and time.time() >= until:
        return 0
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    return folder.work_on(name, device)


def next_time(clock: str, now: datetime | None = None) -> float:
    """Return when a clock will next show ``HH:MM``, in seconds since the epoch.

    Raises
    ------
    ValueError
        Where the text is not of that form.
    """
    now = now or datetime.now()
    try:
        hour, minute = (int(part) for part in clock.split(":"))
        then = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    except ValueError:
        raise ValueError(f"a time must be HH:MM in 24 hours, e.g. 02:30, but got {clock!r}") from None
    return (then if then > now else then + timedelta(days=1)).timestamp()
