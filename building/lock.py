"""One build at a time in a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .errors import BuildError

PATIENCE: Final = 10.0
"""Seconds to wait for a build that was just killed: its reader notices within a second or two."""


@contextmanager
def locked(folder: Path) -> Iterator[tuple[int, ...]]:
    """Hold a folder's lock, which ends with the process, however it ends.

    Yields the file descriptors that a child process has to inherit to hold it as well: none on systems and file systems
    that have no such locks.

    Raises
    ------
    BuildError
        Another build is at work in the folder.
    """
    handle = _open(folder)
    try:
        yield () if handle is None else (handle,)
    finally:
        if handle is not None:
            os.close(handle)


def _open(folder: Path) -> int | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    handle, end = os.open(folder, os.O_RDONLY), time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(handle)
                raise BuildError(f"Another build is at work in {folder}; wait for it, or give another --out.") from None
            time.sleep(0.1)
        except OSError:  # a file system without locks
            os.close(handle)
            return None
