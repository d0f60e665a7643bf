"""Reading pickled tables of runs without running what a pickle says.

A pickle is a program: it names functions and calls them. `read_rows` lets it name only what follows, and every name
stands for a function of `standins` that checks its arguments and builds plain data; NumPy itself never sees what the
pickle says about dtypes and shapes, except for plain numbers and text.

- NumPy arrays (`_reconstruct`, `_frombuffer`, ndarray, recarray), dtypes and scalars, under the module names of
  NumPy 1 and 2 (`numpy.core.*`, `numpy._core.*`);
- set, frozenset, bytearray, bytes, complex and OrderedDict, and `_codecs.encode` to Latin-1, which is how Python 3
  writes bytes for Python 2; under the names of Python 2 and 3.

Anything else is refused by name. None of the stand-ins can be given state or attributes (BUILD), none is a class
(NEWOBJ), extension codes (EXT) are looked up by name like everything else, and persistent ids are refused. What keeps
Python busy for ever, or ends it, does so in a child, see `rehearsal`.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, Any, Final

from .errors import CorpusError, printable
from .limits import TOGETHER, bounded_memory, collector_paused
from .rehearsal import CHUNK, Rehearsed, Told
from .schema import HPARAMS
from .standins import ALLOWED, Array, DType, Refused, Rows, Take

_ROWS: Final = ("rnn_warmstart", "rows")
"""The name that stands for a pickle's `Rows`."""


class _Unpickler(pickle.Unpickler):
    """Python's unpickler, in which every name goes through the list."""

    def __init__(self, file: IO[bytes], rows: Rows | None = None) -> None:
        super().__init__(file, encoding="latin1")
        self._rows = rows

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for, or refuse it."""
        try:
            return ALLOWED[module, name]
        except KeyError:
            if self._rows is not None and (module, name) == _ROWS:
                return self._rows
            asked = printable(f"{module}.{name}")
            raise Refused(f"asks for {asked}, which is not on the list of what a table of runs needs") from None

    def persistent_load(self, pid: object) -> Any:
        """Refuse references to objects outside the pickle."""
        raise Refused("refers to an object outside the pickle (a persistent id)")


def read_rows(file: IO[bytes], size: int, where: str, take: Take) -> None:
    """Read a pickled structured array, and pass on its rows while they come.

    Python 2 (and Python 3 below protocol 4) writes an array of objects as its dtype and a list of its rows. Where a
    pickle begins like that, a `Rows` is put in the list's place, so that the rows are never in memory together.

    Parameters
    ----------
    file : binary file
        At the pickle's start. Text that Python 2 wrote as bytes is decoded as Latin-1.
    size : int
        Bytes it has: memory is bounded in proportion.
    where : str
        What to call it in messages.
    take : callable
        Called with the names of the columns, in the array's order, and a list of rows, one tuple a run.

    Raises
    ------
    CorpusError
        The pickle asks for something that is not on the list, is damaged, does not end, or is no structured array.
    """
    with closing(Rehearsed(file, size, where)) as chunks, _guarded(size, where):
        _read(chunks, take)


def rehearse(chunks: io.RawIOBase, size: int) -> None:
    """Read a pickle as `read_rows` does, and keep nothing; messages begin after the file's name."""

    def empty(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        at = names.index(HPARAMS) if HPARAMS in names else None
        for row in rows:
            if at is not None and type(row[at]) is dict:
                row[at].clear()

    with _guarded(size, ""):
        _read(chunks, empty)


@contextmanager
def _guarded(size: int, where: str) -> Iterator[None]:
    """Bound the memory of reading a pickle, and turn what it raises into the one documented error."""
    copyreg.clear_extension_cache()  # so that extension codes, too, are looked up by name
    try:
        with collector_paused(), bounded_memory(size):
            yield
    except Told:
        raise
    except Refused as error:
        raise CorpusError(f"{where} {error}; it was not read.") from error
    except CorpusError as error:
        raise CorpusError(f"{where}: {error}.") from error
    except MemoryError as error:
        raise CorpusError(
            f"{where} wants more memory than a table of {size:,} bytes needs; it was not read."
        ) from error
    except Exception as error:
        raise CorpusError(
            f"{where} is not a readable pickle: {type(error).__name__}: {printable(str(error))}."
        ) from error


def _read(chunks: io.RawIOBase, take: Take) -> None:
    file = io.BufferedReader(chunks, CHUNK)
    head, names = _beginning(file)
    rows = Rows(names, take) if names else None
    found = _Unpickler(io.BufferedReader(_Continued(head, file), CHUNK), rows).load()
    if not isinstance(found, Array):
        raise CorpusError(f"holds a {type(found).__name__}; a structured array of runs is allowed")
    if found.dtype is None or found.dtype.names is None:
        raise CorpusError("holds an array without columns; a structured array of runs is allowed")
    items = found.rows()
    if isinstance(items, Rows):
        if items.names != found.dtype.names:
            raise CorpusError("holds an array whose columns are not those that it begins with")
        items.flush()
        return
    rows = Rows(found.dtype.names, take)
    while items:
        rows.extend(items[:TOGETHER])
        del items[:TOGETHER]
    rows.flush()


def _beginning(file: IO[bytes]) -> tuple[bytes, tuple[str, ...]]:
    """Read the beginning of a pickle up to its list of rows, and name a `Rows` instead of an empty list there.

    What the pickle says before the list is run on its own, to see whether the list is that of an array's rows: it must
    leave the array's shape, its dtype and its order on top of the stack.

    Returns
    -------
    head : bytes
        What to read instead of what was read from the file.
    names : tuple of str
        The array's columns; empty where the pickle begins in another way.
    """
    head = file.read(CHUNK)
    with suppress(Exception):
        start, end = _first_list(head)
        order, dtype, shape = (_Unpickler(io.BytesIO(head[:start] + b"0" * pops + b".")).load() for pops in range(3))
        if isinstance(order, bool | int) and isinstance(dtype, DType) and isinstance(shape, tuple) and dtype.names:
            return head[:start] + b"c%s\n%s\n" % tuple(map(str.encode, _ROWS)) + head[end:], dtype.names
    return head, ()


def _first_list(head: bytes) -> tuple[int, int]:
    """Return where the first empty list is written, start and end; ValueError if it is not there or in a frame."""
    before = -1
    for opcode, _, where in pickletools.genops(head):
        position = where or 0
        if opcode.name == "EMPTY_LIST":
            return position, position + 1
        if opcode.name == "LIST" and before == position - 1:  # protocol 0: a mark, then the list above it
            return before, position + 1
        if opcode.name == "FRAME":
            break
        before = position if opcode.name == "MARK" else -1
    raise ValueError


class _Continued(io.RawIOBase):
    """Bytes, and the rest of a file after them."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head = memoryview(head)
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk = self._head[: len(buffer)] or self._file.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)
