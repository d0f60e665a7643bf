"""The parts of a fit, none of which waits for another: one after the other, or several at a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from threadpoolctl import threadpool_limits

MOST_JOBS: Final = 2
"""Processes at a time: each may need a gigabyte and a half."""
Share = Callable[[float], None]
"""Called with the share that is done, 0 to 1."""


@dataclass(frozen=True)
class Part:
    """A piece of work.

    Parameters
    ----------
    work : float
        How much it is, in a unit of the caller's.
    make : callable
        Takes a function that wants to be told the share that is done, or None, and returns the result.
    """

    work: float
    make: Callable[[Share | None], Any]


def make_parts(parts: Sequence[Part], apart: bool, progress: Share | None = None) -> list[Any]:
    """Return the result of each part.

    Parameters
    ----------
    parts : sequence of Part
        With several processes, the first are begun first: put the largest there.
    apart : bool
        Whether processes share the work, as many as there are cores, but no more than `MOST_JOBS`. They share the
        parts' arrays, too, which have to be arguments of `functools.partial` for that.
    progress : callable, optional
        Called when a part is done, and, without other processes, while it is made.
    """
    made = _made_apart(parts) if apart else _made_here(parts, progress)
    total, done, results = sum(part.work for part in parts), 0.0, []
    for part, result in zip(parts, made, strict=True):
        results.append(result)
        done += part.work
        if progress is not None:
            progress(done / total)
    return results


def _made_here(parts: Sequence[Part], progress: Share | None) -> Iterator[Any]:
    total, done = sum(part.work for part in parts), 0.0
    for part in parts:
        with threadpool_limits(1, "blas"):  # as joblib's processes; more threads sum in another order
            made = part.make(None if progress is None else _within(progress, done / total, part.work / total))
        yield made
        done += part.work


def _within(progress: Share, start: float, size: float) -> Share:
    return lambda share: progress(start + share * size)


def _made_apart(parts: Sequence[Part]) -> Iterator[Any]:
    import joblib

    jobs, make = min(MOST_JOBS, joblib.cpu_count()), joblib.delayed(_make)
    return joblib.Parallel(jobs, return_as="generator")(make(part.make, os.getpid()) for part in parts)


def _make(make: Callable[[Share | None], Any], asked_by: int) -> Any:
    if os.getpid() != asked_by:
        threading.Thread(target=_end_with, args=(asked_by,), daemon=True).start()
    return make(None)


def _end_with(parent: int) -> None:
    """End this process once its parent has been killed, which would leave it at work for nobody."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
