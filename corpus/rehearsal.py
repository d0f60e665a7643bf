"""Reading a pickle in a process of its own first, a chunk ahead.

Not all that a pickle may do can be stopped from within: Python hashes a dict's keys in C, and nested tuples that share
their parts take it for ever, very deep ones end the process. So a child reads each chunk of a file before its parent
does. It keeps nothing, has `SECONDS` of processor time for a chunk, and a chunk that it does not survive is never read
by the parent.

Child and parent run the same code on the same chunks, so that the parent runs what the child has run: between two
requests for a chunk, both execute the same opcodes. The child works on a chunk while the parent reads the one before.
A child that has read a pickle to its end waits for the next one, until its parent ends.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import IO, Final

from .errors import CorpusError

CHUNK: Final = 2**16
"""Bytes that are read together."""
SECONDS: Final = 5
"""Processor time that the child has for a chunk, at least; a good one takes a few milliseconds."""
BYTES_A_SECOND: Final = 2**24
"""For every so many bytes of the file it has a second more, as the end of a pickle may make rows of all of them."""
CODE: Final = "from rnn_warmstart.corpus.rehearsal import serve; serve()"
MORE: Final = b"more"
"""What the child says when it wants the next chunk."""


class Told(CorpusError):
    """An error of the child's, whose message is complete."""


class Rehearsed(io.RawIOBase):
    """A file whose chunks can be read once a child has survived them.

    Parameters
    ----------
    file : binary file
        What holds a pickle.
    size : int
        Its bytes.
    where : str
        What to call it in messages.
    """

    def __init__(self, file: IO[bytes], size: int, where: str) -> None:
        super().__init__()
        self._file, self._where = file, where
        self._chunk, self._next = b"", b""
        self._begun, self._ended = False, False
        self._child = _take_child(size)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is left of a chunk, or the next one."""
        if not self._begun:
            self._begun = True
            self._give()
        if not self._chunk:
            self._listen()
            self._chunk = self._next
            self._give()
        part, self._chunk = self._chunk[: len(buffer)], self._chunk[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)

    def _listen(self) -> None:
        """Wait until the child asks for the next chunk, or has read the pickle to its end."""
        if self._ended:
            return
        line = self._child.hear()
        if not line:
            raise Told(
                f"{self._where} keeps Python busy without an end, or nests values too deeply, as no table of runs "
                f"does; it was not read."
            )
        self._ended = line != MORE
        if self._ended and (error := json.loads(line)) is not None:
            raise Told(self._where + error)

    def _give(self) -> None:
        """Read the next chunk, and give it to the child."""
        self._next = self._file.read(CHUNK)
        if not self._ended:
            self._child.tell(len(self._next).to_bytes(8, "little") + self._next)

    def close(self) -> None:
        """Keep the child for the next file if it waits for one, and end it otherwise."""
        if not self.closed:
            if self._ended:
                _idle.append(self._child)
            else:
                self._child.end()
        super().close()


class _Child:
    """A process that rehearses."""

    def __init__(self) -> None:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        command = [sys.executable, "-P", "-c", CODE]
        self._process: subprocess.Popen[bytes] = subprocess.Popen(command, **pipes)  # type: ignore[call-overload]

    def begin(self, size: int) -> bool:
        """Announce a file of so many bytes; return whether the child asks for its first chunk."""
        seconds = SECONDS + size // BYTES_A_SECOND
        self.tell(size.to_bytes(8, "little") + seconds.to_bytes(8, "little"))
        return self.hear() == MORE

    def tell(self, content: bytes) -> None:
        """Write to the child, if it lives."""
        with suppress(OSError):
            self._process.stdin.write(content)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def hear(self) -> bytes:
        """Return the next line of what it says, empty once it has ended."""
        return self._process.stdout.readline().strip()  # type: ignore[union-attr]

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # what it did not take
                pipe.close()  # type: ignore[union-attr]


_idle: Final[list[_Child]] = []


def _take_child(size: int) -> _Child:
    """Return a child that has asked for the first chunk of a file of `size` bytes."""
    while _idle:
        child = _idle.pop()
        if child.begin(size):
            return child
        child.end()
    try:
        child = _Child()
    except OSError as error:
        raise CorpusError(f"A pickle cannot be read, as no second process can be started for it: {error}.") from error
    if not child.begin(size):
        child.end()
        raise CorpusError(f"A pickle cannot be read, as {sys.executable} does not find this package.")
    return child


@atexit.register
def end_idle() -> None:
    """End the children that wait for another file."""
    while _idle:
        _idle.pop().end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)


# --- the child -------------------------------------------------------------------------------------------------------


class _Given(io.RawIOBase):
    """What the parent gives."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self._chunk, self._seconds = b"", seconds

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what is left of a chunk, or the next one."""
        if not self._chunk:
            _limit_time(self._seconds)
            _say(MORE)
            self._chunk = sys.stdin.buffer.read(_read_number())
        part, self._chunk = self._chunk[: len(buffer)], self._chunk[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


def _read_number() -> int:
    content = sys.stdin.buffer.read(8)
    if len(content) < 8:
        os._exit(0)  # the parent has ended
    return int.from_bytes(content, "little")


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _limit_time(seconds: int) -> None:
    """Let the system end this process if the next chunk takes longer, where the system can do so."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(time.process_time()) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # its end is no news
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def serve() -> None:
    """Be the child: read pickle after pickle."""
    from .unpickle import rehearse

    while True:
        size, seconds, error = _read_number(), _read_number(), None
        try:
            rehearse(_Given(seconds), size)
        except CorpusError as found:
            error = str(found)
        _say(json.dumps(error).encode())
