"""The original archive: a tar file of pickled tables, read member by member and never extracted.

An archive is untrusted. Its members are counted and measured before they are read; links, devices, sparse files,
absolute paths and ``..`` are refused, and what does not end in ``.p`` is passed over and noted.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol

import pandas as pd

from .errors import CorpusError, printable
from .members import RunTable

ARCHIVES: Final = (".tar.gz", ".tgz", ".tar")
MEMBERS: Final = ".p"

MAX_MEMBER_BYTES: Final = 4 * 2**30
"""Largest member that is read, bytes; the original archive is 0.18e9 bytes in all, compressed."""
MAX_ARCHIVE_BYTES: Final = 16 * 2**30
"""Most bytes, uncompressed, that are read from an archive."""
MAX_MEMBERS: Final = 1000
"""Most members that an archive may have."""
HEADER_BYTES: Final = 2**20
"""Most bytes that the header of a member may take, and the padding at the end of an archive."""
_CHUNK: Final = 2**17

Progress = Callable[[int, int, str], None]
"""Called with (bytes done, bytes in all, name of what is being read)."""


def no_progress(done: int, total: int, name: str) -> None:
    """Tell nobody."""


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""


class _Meter(io.RawIOBase):
    """A binary file that tells how far it was read, and that refuses to be read beyond a limit."""

    def __init__(self, file: Readable, limit: int, watch: Callable[[int], None] | None = None) -> None:
        self._file = file
        self._watch = watch
        self.limit = limit
        self.position = 0
        self.content = 0  # where the last byte that is not zero ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        text = len(chunk.rstrip(b"\0"))
        self.content = self.position + text if text else self.content
        self.position += len(chunk)
        if self.position > self.limit:
            raise CorpusError("is larger than it declares, or than what is read")
        if self._watch is not None:
            self._watch(self.position)
        return len(chunk)


def read_archive(path: Path, progress: Progress = no_progress) -> tuple[pd.DataFrame, list[str]]:
    """Return the runs of all members of a tar archive, and notes on the members that were passed over.

    Raises
    ------
    CorpusError
        The archive is damaged, unsafe or beyond the limits of this module, or has no ``.p`` member.
    """
    table, passed_over = RunTable(), []
    with path.open("rb") as file, _explained(path.name):
        meter = _Meter(file, MAX_ARCHIVE_BYTES, partial(_report, progress, 0, path.stat().st_size, path.name))
        for info, member in _walk(meter, path.name):
            if member is None:
                passed_over.append(printable(info.name))
            else:
                table.read(member, info.size, f"{path.name}: {printable(info.name)}")
    if not table.members:
        raise CorpusError(f"{path} has no member that ends in {MEMBERS}; the original archive has several.")
    notes = (
        [f"{path.name}: members that hold no runs were passed over: {', '.join(passed_over)}"] if passed_over else []
    )
    return table.finish(), notes


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what the libraries raise on a damaged archive into the one documented error."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{name} is damaged or no archive: {error}. Download it again.") from error


def _walk(meter: _Meter, where: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Go through a tar archive: each file in it, and for ``.p`` members the content."""
    source = io.BufferedReader(meter, _CHUNK)
    zipped = source.peek(2)[:2] == b"\x1f\x8b"
    plain = _Meter(gzip.GzipFile(fileobj=source) if zipped else source, HEADER_BYTES)
    with tarfile.open(fileobj=io.BufferedReader(plain, _CHUNK), mode="r|", bufsize=_CHUNK) as tar:
        count = 0
        while (info := _next(tar, plain)) is not None:
            count += 1
            check_member(info, count, where)
            if info.isfile():
                yield info, _content(tar, info, plain)
        _check_end(plain, tar, where)


def _next(tar: tarfile.TarFile, plain: _Meter) -> tarfile.TarInfo | None:
    plain.limit = tar.offset + HEADER_BYTES + 2 * _CHUNK
    return tar.next()


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo, plain: _Meter) -> IO[bytes] | None:
    plain.limit = info.offset_data + info.size + HEADER_BYTES + 2 * _CHUNK
    is_member = info.name.endswith(MEMBERS) and not PurePosixPath(info.name).name.startswith("._")
    return tar.extractfile(info) if is_member else None


def _check_end(plain: _Meter, tar: tarfile.TarFile, where: str) -> None:
    """Read to the end, so that gzip's checksum is verified, and check that zeros follow the last member, as they must.

    The tar reader takes whatever is no header for the end.
    """
    plain.limit = plain.position + HEADER_BYTES
    while plain.read(_CHUNK):
        pass
    if plain.content > tar.offset or plain.position < tar.offset + tarfile.BLOCKSIZE:
        raise CorpusError(f"{where} is damaged: it does not end after its last member. Download it again.")


def check_member(info: tarfile.TarInfo, count: int, where: str) -> None:
    """Refuse what an archive of tables has no reason to contain.

    Raises
    ------
    CorpusError
        A link, device or sparse file, a path that leaves the archive, or a limit of this module is exceeded.
    """
    parts = PurePosixPath(info.name.replace("\\", "/")).parts
    if parts[:1] == ("/",) or ".." in parts or ":" in "".join(parts[:1]):
        raise CorpusError(f"{where}: the member {info.name!r} has a path that leaves the archive; it was not read.")
    if not (info.isdir() or info.isreg()) or info.issparse():
        raise CorpusError(f"{where}: the member {info.name!r} is a link, a device or sparse; plain files are allowed.")
    if not 0 <= info.size <= MAX_MEMBER_BYTES:
        raise CorpusError(
            f"{where}: the member {info.name!r} declares {info.size:,} bytes; at most {MAX_MEMBER_BYTES:,} are read."
        )
    if info.offset_data + info.size > MAX_ARCHIVE_BYTES:
        raise CorpusError(f"{where} holds more than {MAX_ARCHIVE_BYTES:,} bytes; that many are read.")
    if count > MAX_MEMBERS:
        raise CorpusError(f"{where} has more than {MAX_MEMBERS:,} members; that many are read.")


def read_members(paths: list[Path], progress: Progress = no_progress) -> pd.DataFrame:
    """Return the runs of members that lie on disk.

    Raises
    ------
    CorpusError
        A file is damaged, unsafe or too large.
    """
    total, done, table = sum(path.stat().st_size for path in paths), 0, RunTable()
    for path in paths:
        size = path.stat().st_size
        if size > MAX_MEMBER_BYTES:
            raise CorpusError(f"{path} has {size:,} bytes; at most {MAX_MEMBER_BYTES:,} are read.")
        with path.open("rb") as file, _explained(path.name):
            watch = partial(_report, progress, done, total, path.name)
            meter = _Meter(file, size, watch)
            table.read(io.BufferedReader(meter, _CHUNK), size, path.name)
        done += size
    return table.finish()


def _report(progress: Progress, start: int, total: int, name: str, position: int) -> None:
    progress(start + position, total, name)
