"""The one error that reading a corpus raises."""

from __future__ import annotations


class CorpusError(ValueError):
    """A file, an archive's member or a table is not a usable corpus.

    The message names the file (and the member), what is wrong with it, and what is allowed. Whatever an untrusted
    file contains, reading it ends in a correct corpus or in this error.
    """
