"""A progress bar for reading that stays away from short readings."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

PATIENCE: Final = 1.0
"""Seconds of reading before the bar appears."""


class ReadingBar:
    """A bar on stderr, with the time left; call it with (bytes done, bytes in all, name of what is being read).

    Parameters
    ----------
    verb : str, default "reading"
        What is being done, said before the name; empty where the name says it.
    patience : float, default 1.0
        Seconds before it appears.
    console : Console, optional
        Where it appears; default stderr.
    """

    def __init__(self, patience: float = PATIENCE, console: Console | None = None, *, verb: str = "reading") -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=console or Console(stderr=True), transient=True)
        self._task = self._bar.add_task(verb, total=None)
        self._verb = verb
        self._start = time.monotonic()
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar.live.is_started:  # to stop a bar that never appeared prints an empty line
            self._bar.stop()

    def __call__(self, done: int, total: int, name: str) -> None:
        """Show how far the reading is."""
        if time.monotonic() - self._start > self._patience:
            self._bar.start()  # again and again does nothing
        self._bar.update(self._task, completed=done, total=total, description=f"{self._verb} {name}".strip())
