"""TOML files from elsewhere: the map of an import, the description of a task."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from .errors import CorpusError

MAX_BYTES: Final = 2**16
"""Largest file that is read."""
MAX_DOTS: Final = 1000
"""Most dots in a line: time and memory that Python takes for a dotted name grow with the square of its length."""
MAX_DEPTH: Final = 20
"""Most tables and lists within each other; a map needs 4."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    FileNotFoundError
        There is none.
    CorpusError
        It is damaged, too large or too deep, or has a whole number beyond 64 bits, which TOML does not allow.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        if any(line.count(b".") > MAX_DOTS for line in content.splitlines()):
            raise ValueError(f"a line has more than {MAX_DOTS:,} dots")
        data = tomllib.loads(content.decode())
        check_values(data)
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not a valid TOML file (a name may be there once): {error}.") from error
    return data


def check_values(data: object) -> None:
    """Raise ValueError if tables and lists are nested too deeply, or a whole number has more than 64 bits."""
    level = [data]
    for _ in range(MAX_DEPTH):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise ValueError(f"a whole number has {value.bit_length()} bits; at most 64 are allowed")
        level = inner
    if level:
        raise ValueError(f"its tables and lists are nested more than {MAX_DEPTH} deep")
