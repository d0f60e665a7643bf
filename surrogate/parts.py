"""The parts of a fit, none of which waits for another: one after the other, or several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

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
        yield part.make(None if progress is None else _within(progress, done / total, part.work / total))
        done += part.work


def _within(progress: Share, start: float, size: float) -> Share:
    return lambda share: progress(start + share * size)


def _made_apart(parts: Sequence[Part]) -> Iterator[Any]:
    import joblib

    jobs = min(MOST_JOBS, joblib.cpu_count())
    return joblib.Parallel(jobs, return_as="generator")(joblib.delayed(part.make)(None) for part in parts)
