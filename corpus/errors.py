"""The one error that reading a corpus raises."""

from __future__ import annotations


class CorpusError(ValueError):
    """A file, an archive's member or a table is not a usable corpus.

    The message names the file (and the member), what is wrong with it, and what is allowed. Whatever an untrusted
    file contains, reading it ends in a correct corpus or in this error.
    """


def printable(text: str, length: int = 100) -> str:
    """Return text from an untrusted file in a form that a terminal may see: on one line, and short."""
    shown = text if len(text) <= length else text[: length - 3] + "..."
    return shown if shown.isprintable() else ascii(shown)
