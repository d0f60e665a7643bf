"""What a build has done: for each step that is complete, the checksums of what it read and wrote.

A step whose record fits is not done again. The record is written after the step's files, so that a build that is
stopped at any point, and started again, ends with the files of one that was never stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from ..corpus.atomic import write_atomically
from .errors import BuildError

RECORD: Final = "build.json"
FORMAT: Final = 1
"""Version of the record's format. Raise it by one when its meaning changes: records of other versions are refused."""


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256, hexadecimal; empty text where there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class BuildRecord:
    """The record of a folder's build; it is written at once, and whenever it changes.

    Parameters
    ----------
    folder : path
        Where the build writes.

    Raises
    ------
    BuildError
        The folder's record is not readable, or of another version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._steps = _read(folder / RECORD)
        self._write()  # before any output, which marks the folder as a build's

    def carry_out(self, name: str, inputs: dict[str, Any], work: Callable[[], Iterable[str]]) -> bool:
        """Do a step, unless it was done from the same inputs and its outputs are still what they were.

        Parameters
        ----------
        name : str
            The step's.
        inputs : dict
            All that its outputs depend on, ready for JSON.
        work : callable
            Writes files into the folder, and returns their names.

        Returns
        -------
        bool
            Whether there was something to do.
        """
        inputs = json.loads(json.dumps(inputs))
        if self._is_done(name, inputs):
            return False
        if self._steps.pop(name, None) is not None:
            self._write()
        hashes = {output: sha256_of(self._folder / output) for output in work()}
        self._steps[name] = {"inputs": inputs, "outputs": hashes}
        self._write()
        return True

    def _is_done(self, name: str, inputs: dict[str, Any]) -> bool:
        entry = self._steps.get(name)
        if entry is None or entry["inputs"] != inputs:
            return False
        return all(sha256_of(self._folder / output) == found for output, found in entry["outputs"].items())

    def _write(self) -> None:
        text = json.dumps({"format": FORMAT, "steps": self._steps}, indent=1, sort_keys=True) + "\n"
        write_atomically(self._folder / RECORD, text.encode())


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the steps of a record: ``inputs`` and ``outputs`` of each."""
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version, steps = found["format"], found["steps"]
        if version == FORMAT:
            return {name: {part: dict(step[part]) for part in ("inputs", "outputs")} for name, step in steps.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise BuildError(f"{path} is not a build's record ({error!r}). {_ADVICE}") from error
    raise BuildError(f"{path} has format {version!r}; this package reads {FORMAT}. {_ADVICE}")


_ADVICE: Final = "Give another --out, or delete the folder to build anew."
