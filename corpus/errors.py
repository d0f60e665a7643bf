"""The one error that reading a corpus raises, and text of untrusted files as it can be shown."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class CorpusError(ValueError):
    """A file, an archive's member or a table is not a usable corpus.

    The message names the file (and the member), what is wrong with it, and what is allowed. Whatever an untrusted
    file contains, reading it ends in a correct corpus or in this error.
    """


def printable(text: str, length: int = 100) -> str:
    """Return text from an untrusted file in a form that a terminal may see: on one line, and short."""
    shown = text if len(text) <= length else text[: length - 3] + "..."
    return shown if shown.isprintable() else ascii(shown)


def whole_characters(text: str) -> str:
    """Return text with U+FFFD for every lone surrogate, half a character, which no file can hold."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return `` Did you mean '...'?`` with the known name of the nearest spelling, empty text if none is near."""
    names = {name.lower(): name for name in known}
    near = get_close_matches(str(given).lower(), names, n=1, cutoff=0.5)
    return f" Did you mean {names[near[0]]!r}?" if near else ""
