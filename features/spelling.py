"""The error for a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable

from ..corpus.errors import did_you_mean


def unknown(what: str, given: object, known: Iterable[str]) -> ValueError:
    """Return a ValueError that names what was given, the known names, and the nearest spelling."""
    names = list(known)
    return ValueError(f"Unknown {what} {given!r}.{did_you_mean(given, names)} Known: {', '.join(map(repr, names))}.")
