"""The step from an archive to a corpus, in a process of its own.

An archive is untrusted, and not everything that a pickle may do can be stopped from within: Python hashes nested tuples
in C, however long that takes and however deep it goes. So the archive is read by a child that reports every second, and
that is ended when it falls silent.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

from ..corpus import Corpus, as_corpus, load_builtin, read_corpus, write_parquet
from ..corpus.archive import Progress, no_progress
from ..corpus.atomic import write_atomically
from ..surrogate.storage import RUNS
from .errors import BuildError

FOUND: Final = "corpus.json"
"""What reading the archive found: the summary, by source."""
BEAT: Final = 1.0
"""Seconds between two signs of life."""
SILENCE: Final = 120.0
"""Seconds without a sign of life after which the reader is ended."""
MOST_SECONDS: Final = 4 * 3600
"""Seconds of processor time that the reader may take; the original archive takes half a minute."""
_CODE: Final = f"from {__name__} import serve; serve()"


def write_corpus(archive: Path, folder: Path, join_builtin: bool, progress: Progress = no_progress) -> None:
    """Write the runs of an archive, and, if asked, the built-in ones after them, into a folder; and what was found."""
    corpus = read_corpus(archive, progress=progress)
    found = {"archive": corpus.summary.to_dict()}
    if join_builtin:
        corpus, found["builtin"] = _joined(corpus, load_builtin())
        found["both"] = corpus.summary.to_dict()
    write_parquet(corpus, folder / RUNS)
    write_atomically(folder / FOUND, (json.dumps(found, indent=1) + "\n").encode())


def _joined(first: Corpus, second: Corpus) -> tuple[Corpus, dict[str, Any]]:
    import pandas as pd

    shared = set(first.runs["source"]) & set(second.runs["source"])
    if shared:
        raise BuildError(
            f"The archive's runs have the source {sorted(shared)[0]!r} of built-in runs; leave --join-builtin out."
        )
    runs = pd.concat([first.runs, second.runs], ignore_index=True)
    return as_corpus(runs, where="the joined corpus", copy=False), second.summary.to_dict()


def write_corpus_apart(
    archive: Path, folder: Path, join_builtin: bool, progress: Progress = no_progress, inherited: Sequence[int] = ()
) -> tuple[str, ...]:
    """Do what `write_corpus` does in a child process.

    Parameters
    ----------
    inherited : sequence of int
        File descriptors that the child keeps open.

    Returns
    -------
    tuple of str
        The files that it wrote.

    Raises
    ------
    BuildError
        The archive cannot be read, or reading it hangs or ends the reader.
    """
    command = [sys.executable, "-P", "-c", _CODE, str(archive), str(folder), str(int(join_builtin))]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, pass_fds=tuple(inherited))
    try:
        _follow(child, archive, progress)
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
    return (RUNS, FOUND)


def _follow(child: subprocess.Popen[bytes], archive: Path, progress: Progress) -> None:
    """Pass on what a child reports until it ends."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(child.stdout, lines), daemon=True).start()
    while True:
        line = _next_line(lines)
        if line is None:
            raise BuildError(
                f"{archive.name} was not read: a part of it keeps the reader busy without an end, as no table of runs "
                f"does. Fetch the archive again: rnn-warmstart fetch."
            )
        report: dict[str, Any] = json.loads(line) if line else {"ended": child.wait()}
        if "error" in report:
            raise BuildError(report["error"])
        if "ended" in report:
            if report["ended"]:
                raise BuildError(
                    f"{archive.name} was not read: the reader ended with status {report['ended']}, as it does when a "
                    f"pickle is nested too deeply or memory runs out. Fetch the archive again: rnn-warmstart fetch."
                )
            return
        if "done" in report:
            progress(report["done"], report["total"], report["name"])


def _next_line(lines: queue.SimpleQueue[bytes]) -> bytes | None:
    """Return the next line, None after a long silence: in parts, as both processes may have been suspended in one."""
    for _ in range(4):
        with suppress(queue.Empty):
            return lines.get(timeout=SILENCE / 4)
    return None


def _listen(stream: IO[bytes], lines: queue.SimpleQueue[bytes]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(b"")


class _Reports:
    """Writes one JSON object a line to standard output; once nobody reads it, the process ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def send(self, **report: object) -> None:
        with self._lock:
            try:
                os.write(1, json.dumps(report).encode() + b"\n")
            except OSError:
                os._exit(1)

    def beat(self) -> None:
        """Send a sign of life again and again; it stops while C code holds the interpreter."""
        wait = threading.Event()
        while not wait.wait(BEAT):
            self.send()


def serve() -> None:
    """Be the child: read what the command line says, and report."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    reports = _Reports()
    threading.Thread(target=reports.beat, daemon=True).start()
    archive, folder, join_builtin = sys.argv[1:]
    try:
        write_corpus(
            Path(archive),
            Path(folder),
            join_builtin == "1",
            lambda done, total, name: reports.send(done=done, total=total, name=name),
        )
    except (ValueError, OSError) as error:
        reports.send(error=str(error))
