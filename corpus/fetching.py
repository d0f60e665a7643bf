"""The original archive: where it is, what it must be, and how it gets here, by download or from a copy.

The repository's pointer file (its branch ``master``, commit 716ce8f2) gives size and SHA-256. That the address below
serves the file itself follows from how GitHub publishes git-LFS files.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .archive import Progress, no_progress

POINTER: Final = b"version https://git-lfs.github.com/spec"
"""How the text begins that git keeps in place of a git-LFS file."""
_CHUNK: Final = 2**16
"""Bytes that are handled at once, and at most lost where a connection breaks."""
_TIMEOUT: Final = (20.0, 60.0)
"""Seconds to wait for a connection, and for the next bytes."""


class FetchError(RuntimeError):
    """The archive did not get here; the message says why, and what to do."""


@dataclass(frozen=True)
class Original:
    """A file that is published once and never changes.

    Parameters
    ----------
    url : str
        Where it is downloaded from.
    page : str
        Where a person can download it with a browser.
    name : str
        What it is called here.
    size : int
        Bytes.
    sha256 : str
        Hexadecimal.
    """

    url: str
    page: str
    name: str
    size: int
    sha256: str


_REPOSITORY: Final = "jazcollins/cap-n-train-hps"
_PATH: Final = "master/dataset/rnn_hp_dataset.tar.gz"
ORIGINAL: Final = Original(
    url=f"https://media.githubusercontent.com/media/{_REPOSITORY}/{_PATH}",
    page=f"https://github.com/{_REPOSITORY}/blob/{_PATH}",
    name="rnn_hp_dataset.tar.gz",
    size=176_806_737,
    sha256="f2e86251474cb10b03e7461e65bc514f8c1f8257a56bbbff02656f2027b534b8",
)
"""The data set of Collins, Sohl-Dickstein and Sussillo (ICLR 2017), CC BY 4.0."""


def fetch_archive(
    folder: Path, source: Path | None = None, *, original: Original = ORIGINAL, progress: Progress = no_progress
) -> Path:
    """Bring the original archive into a folder, checked; nothing happens where it already is.

    Parameters
    ----------
    folder : path
        Made if needed. An interrupted download stays there as ``<name>.part``, and the next call goes on from it.
    source : path, optional
        A copy of the archive, which is copied instead of downloaded.
    original : Original, default ORIGINAL
        What to fetch.
    progress : callable, optional
        Called with (bytes done, bytes in all, what is being done).

    Returns
    -------
    path
        The archive; it has the published size and SHA-256.

    Raises
    ------
    FetchError
        There is no connection, no pooch, or the file that came is not the archive.
    """
    target = folder / original.name
    if target.is_file() and _is_original(target, original, progress):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    if source is not None:
        _copy(source, target, original, progress)
    else:
        _download(target, original, progress)
    return target


def _is_original(path: Path, original: Original, progress: Progress) -> bool:
    if path.stat().st_size != original.size:
        return False
    digest = hashlib.sha256()
    for chunk in _chunks(path, original, f"checking {path.name}", progress):
        digest.update(chunk)
    return digest.hexdigest() == original.sha256


def _chunks(path: Path, original: Original, what: str, progress: Progress) -> Iterator[bytes]:
    done = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            done += len(chunk)
            progress(done, original.size, what)


def _copy(source: Path, target: Path, original: Original, progress: Progress) -> None:
    """Copy a file and check it on the way; the target appears once it is known to be right."""
    if not source.is_file():
        raise FetchError(f"{source} does not exist; give the archive {original.name}.")
    with source.open("rb") as file:
        _refuse_pointer(file.read(len(POINTER)), str(source), original)
    if source.stat().st_size != original.size:
        raise FetchError(_not_it(str(source), f"{source.stat().st_size:,} bytes", f"{original.size:,} bytes", original))
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    digest = hashlib.sha256()
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in _chunks(source, original, f"copying {source.name}", progress):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != original.sha256:
            wanted = f"SHA-256 {original.sha256}"
            raise FetchError(_not_it(str(source), f"SHA-256 {digest.hexdigest()}", wanted, original))
        os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _download(target: Path, original: Original, progress: Progress) -> None:
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise FetchError(
            f"The download needs pooch: pip install 'rnn-warmstart[fetch]'. Or {_by_hand(original)}"
        ) from error
    pooch.get_logger().setLevel("WARNING")
    downloader = _Resuming(original, target.with_name(f"{target.name}.part"), progress)
    known = f"sha256:{original.sha256}"
    try:
        pooch.retrieve(original.url, known, fname=target.name, path=target.parent, downloader=downloader)
    except ValueError as error:  # pooch's word for a wrong hash; the file is gone
        raise FetchError(
            f"What came from {original.url} is not the archive, and was deleted: {error} "
            f"Try again; if it happens again, {_by_hand(original)}"
        ) from error


class _Resuming:
    """A downloader for pooch that keeps what has come, and asks only for the rest (HTTP Range)."""

    def __init__(self, original: Original, part: Path, progress: Progress) -> None:
        self._original = original
        self._part = part
        self._progress = progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Download, again and again as long as each attempt brings something, and put the whole file in its place."""
        import requests

        while (before := self._have()) < self._original.size:
            try:
                self._attempt(url, before)
            except requests.exceptions.HTTPError as error:
                raise FetchError(
                    f"{url} answers {error}. It may have moved, or be over its quota: {_by_hand(self._original)}"
                ) from error
            except requests.exceptions.RequestException as error:
                if self._have() <= before:
                    raise FetchError(self._stuck(_reason(error))) from error
            else:
                if self._have() <= before:
                    raise FetchError(self._stuck("nothing came"))
        os.replace(self._part, output_file)

    def _have(self) -> int:
        size = self._part.stat().st_size if self._part.is_file() else 0
        if size > self._original.size:
            self._part.unlink()
            return 0
        return size

    def _attempt(self, url: str, have: int) -> None:
        import requests

        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            begins = f"bytes {have}-"
            goes_on = response.status_code == 206 and response.headers.get("Content-Range", "").startswith(begins)
            done = have if goes_on else 0
            with self._part.open("ab" if goes_on else "wb") as file:
                for chunk in response.iter_content(_CHUNK):
                    if not done:
                        _refuse_pointer(chunk, url, self._original)
                    done += len(chunk)
                    if done > self._original.size:
                        raise FetchError(_not_it(url, "more", f"{self._original.size:,} bytes", self._original))
                    file.write(chunk)
                    self._progress(done, self._original.size, f"downloading {self._original.name}")

    def _stuck(self, why: str) -> str:
        kept = f" {self._have():,} of {self._original.size:,} bytes are here; the same command goes on from there."
        return (
            f"{self._original.url} cannot be reached: {why}.{kept if self._have() else ''} "
            "Is this machine online? Behind a proxy, set HTTPS_PROXY, e.g. HTTPS_PROXY=http://host:port. "
            f"Otherwise {_by_hand(self._original)}"
        )


def _reason(error: Exception) -> str:
    """Return the innermost of the messages that requests nests."""
    return str(error).rpartition(": ")[2].rstrip("\"')")


def _refuse_pointer(beginning: bytes, where: str, original: Original) -> None:
    if beginning.startswith(POINTER):
        raise FetchError(
            f"{where} is not the archive but the pointer that git keeps in its place (git-LFS). "
            f"In a clone, `git lfs pull` brings the archive; otherwise {_by_hand(original)}"
        )


def _not_it(where: str, found: str, wanted: str, original: Original) -> str:
    return f"{where} is not the archive: it has {found}, the archive has {wanted}. For a good one, {_by_hand(original)}"


def _by_hand(original: Original) -> str:
    return (
        f"download it with a browser from {original.page}, on any machine, and give it: "
        f"rnn-warmstart fetch --from {original.name}"
    )
