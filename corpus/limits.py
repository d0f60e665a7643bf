"""Bounds on what an untrusted file may ask of this process while it is read."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

GROWTH: Final = 48
"""Bytes of memory that a byte of a pickle may become; tables of runs need about 6."""
ALLOWANCE: Final = 2**29
"""Bytes of memory that any pickle may take, however small it is."""
TOGETHER: Final = 4096
"""Rows that are read together: few enough to stay in the processor's cache."""


@contextmanager
def bounded_memory(size: int) -> Iterator[None]:
    """Bound the memory that reading a pickle of `size` bytes takes to `GROWTH` times that plus `ALLOWANCE`.

    The address space of the process is limited meanwhile, where the system can do so (Linux), so that an allocation
    beyond is a MemoryError instead of the end of the process. Other threads share the bound.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError):
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = pages * resource.getpagesize() + GROWTH * size + ALLOWANCE
    known = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([bound, *known]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the garbage collector from searching millions of new dicts for cycles, a third of the time otherwise."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
