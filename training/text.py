"""The text8 file: where it is, how it is fetched and read."""

from __future__ import annotations

import hashlib
import lzma
import os
import urllib.request
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..corpus.atomic import write_atomically

PATH_VARIABLE: Final = "RNN_WARMSTART_TEXT8"
"""Environment variable with the path of text8: plain, .zip, or .xz; a prefix will do."""

TEXT8_URL: Final = "http://mattmahoney.net/dc/text8.zip"
TEXT8_SHA256: Final = "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232"
"""SHA-256 of text8.zip, 31,344,016 bytes."""


def text8_path() -> Path:
    """Return where text8 is expected: `RNN_WARMSTART_TEXT8`, else ``~/.cache/rnn-warmstart/text8.zip``."""
    given = os.environ.get(PATH_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "rnn-warmstart" / "text8.zip"


@lru_cache(maxsize=2)
def load_text8(characters: int | None = None) -> NDArray[np.uint8]:
    """Return the first characters of text8 as symbols: 0 is a space, 1 to 26 are a to z.

    Parameters
    ----------
    characters : int, optional
        How many; by default all of the file.

    Raises
    ------
    FileNotFoundError
        Where there is no such file, with what to do.
    ValueError
        Where the file holds anything else than a-z and spaces.
    """
    path = text8_path()
    if not path.exists():
        raise FileNotFoundError(
            f"The task text8 needs the file text8, and {path} does not exist. Fetch {TEXT8_URL} with "
            f"`rnn-warmstart train --download-text8`, or set {PATH_VARIABLE} to a copy (plain, .zip or .xz)."
        )
    raw = np.frombuffer(_read(path), dtype=np.uint8)
    symbols = np.where(raw == ord(" "), 0, raw - np.uint8(ord("a") - 1)).astype(np.uint8)[:characters]
    if symbols.max(initial=0) > 26:
        raise ValueError(f"{path} must hold only a-z and spaces (the text8 file), but it holds other characters")
    symbols.setflags(write=False)
    return symbols


def _read(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(archive.namelist()[0])
    return path.read_bytes()


def download_text8(url: str = TEXT8_URL, sha256: str = TEXT8_SHA256) -> Path:
    """Fetch text8.zip to `text8_path`, unless it is there, and check it; return the path.

    Raises
    ------
    ValueError
        Where the file that came has another SHA-256; it is not kept.
    """
    path = text8_path()
    if path.exists():
        return path
    with urllib.request.urlopen(url, timeout=60) as response:
        content = response.read()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{url} should have SHA-256 {sha256}, but has {found} ({len(content):,} bytes); not kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content)
    return path
