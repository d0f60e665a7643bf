"""The error for a name that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(what: str, given: object, known: Iterable[str]) -> ValueError:
    """Return a ValueError that names what was given, the known names, and the nearest spelling."""
    names = list(known)
    near = get_close_matches(str(given).lower(), [name.lower() for name in names], n=1, cutoff=0.5)
    hint = next((f" Did you mean {name!r}?" for name in names if near and name.lower() == near[0]), "")
    return ValueError(f"Unknown {what} {given!r}.{hint} Known: {', '.join(map(repr, names))}.")
