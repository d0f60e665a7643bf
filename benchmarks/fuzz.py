"""Fuzzing of everything that reads a file from elsewhere: a correct result or the documented error, and nothing else.

Usage: ``python benchmarks/fuzz.py --minutes 5 [--target NAME|all] [--seed 0] [--case N] [--keep DIR] [--write]``, a
target being one of `fuzz_targets.CHECKS`.

Cases depend on the seed, the target and their number alone; ``--case N`` runs a single one. Each is read in a worker
process, which has

- a limit on its address space: what it had before, `limits.GROWTH` times the file (unzipped) and `limits.ALLOWANCE`;
- a limit on time: CASE_SECONDS of processor time, and ten times that of waiting;
- a hook that reports every process, connection or file that is opened for writing outside the case's folder.

A finding is an undocumented exception, a worker that dies, hangs or wants more memory, something that the hook saw, or
a result that breaks what a corpus promises. ``--keep`` saves the findings' files.

The time is spent in pieces of at most PIECE_SECONDS for each target, whose seeds count up from ``--seed``. With
``--write``, each is added to results/fuzz.json and results/fuzz.md when it ends, so that a kill loses one piece.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import json
import math
import os
import queue
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import fuzz_cases
import fuzz_targets
from provenance import RESULTS, current_commit, markdown_table, write_result
from rnn_warmstart.corpus.limits import ALLOWANCE, GROWTH
from rnn_warmstart.corpus.rehearsal import CODE

CASE_SECONDS: Final = 20.0
"""Processor time of one case; the slowest good one takes less than one second."""
CASES_A_WORKER: Final = 3000
PIECE_SECONDS: Final = 60.0
TICKS: Final = os.sysconf("SC_CLK_TCK")
STARTS: Final = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen", "pty.spawn",
    "socket.connect", "socket.bind", "webbrowser.open", "ctypes.dlopen", "urllib.Request",
)  # fmt: skip
CHANGES: Final = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")


Piece = dict[str, Any]
"""What some time on one target gave: target, seed, commit, cases, minutes, counts of outcomes, kinds of findings."""


class Seen(BaseException):
    """Something happened that reading a file has no need of."""


@dataclass
class Watch:
    """The hook of a worker: what it saw since it was last asked."""

    folder: str = ""
    seen: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an event of the interpreter, see `sys.addaudithook`."""
        if not self.folder:
            return
        if event == "subprocess.Popen" and CODE in arguments[1]:
            return  # the child that reads pickles first
        if event in STARTS or (event in CHANGES and self._is_outside(arguments[0])):
            self._report(f"{event} {arguments!r:.200}")
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path, mode, flags = arguments
            writes = any(letter in (mode or "") for letter in "wax+") or bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))
            if writes and self._is_outside(path):
                self._report(f"open {path!r} {mode!r}")

    def _is_outside(self, path: Any) -> bool:
        return not os.path.realpath(os.fsdecode(path)).startswith(self.folder + os.sep)

    def _report(self, what: str) -> None:
        self.seen.append(what)
        raise Seen(what)


# --- the worker ------------------------------------------------------------------------------------------------------


def work(target: str) -> None:
    """Read cases whose paths come on standard input, and answer one JSON line each."""
    warnings.simplefilter("ignore")
    sys.set_int_max_str_digits(4300)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _warm_up(target)
    watch = Watch()
    sys.addaudithook(watch)
    for line in sys.stdin:
        order = json.loads(line)
        answers.write(json.dumps(_read_case(target, Path(order["path"]), order["size"], watch)) + "\n")
        answers.flush()


def _warm_up(target: str) -> None:
    """Import what reading imports, and let libraries start their threads, so that limits hold for the case alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"good{fuzz_targets.SUFFIXES[target]}"
        fuzz_cases.write_case(target, fuzz_cases.good_case(target), path)
        if _outcome(target, path)["outcome"] != "correct":
            raise RuntimeError(f"A good {target} is not read correctly.")


def _read_case(target: str, path: Path, size: int, watch: Watch) -> dict[str, str]:
    before = sorted(path.parent.iterdir())
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + GROWTH * size + ALLOWANCE
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    watch.folder, watch.seen = str(path.parent.resolve()), []
    found = _outcome(target, path)
    watch.folder = ""
    found["what"] = found["what"].replace(f"{path.parent}{os.sep}", "")
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if watch.seen:
        return {"outcome": "finding", "what": f"saw {watch.seen[0]}"}
    if sorted(path.parent.iterdir()) != before:
        return {"outcome": "finding", "what": "left a file"}
    return found


def _outcome(target: str, path: Path) -> dict[str, str]:
    try:
        fuzz_targets.CHECKS[target](path)
    except fuzz_targets.DOCUMENTED as error:
        return {"outcome": "refused", "what": str(error)[:200]} if str(error).isprintable() or "\n" in str(error) else {
            "outcome": "finding", "what": f"unprintable message {error!r:.200}"}  # fmt: skip
    except Seen as error:
        return {"outcome": "finding", "what": f"saw {error}"}
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is a finding
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "/site-packages/" not in f.filename]
        where = frames[-1] if frames else None
        place = f"{Path(where.filename).name}:{where.name}" if where else "?"
        return {"outcome": "finding", "what": f"{type(error).__name__} in {place}: {str(error)[:150]}"}
    return {"outcome": "correct", "what": ""}


# --- the master ------------------------------------------------------------------------------------------------------


class Worker:
    """A worker process that is replaced when it dies, hangs or has done its share."""

    def __init__(self, target: str) -> None:
        command = [sys.executable, __file__, "--work", target]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", "ARROW_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, env=environment, text=True, **pipes)  # type: ignore[call-overload]
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.cases = 0

    def _listen(self) -> None:
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def read(self, path: Path, size: int) -> dict[str, str]:
        """Let it read a case."""
        self.cases += 1
        self._process.stdin.write(json.dumps({"path": str(path), "size": size}) + "\n")
        self._process.stdin.flush()
        slept, used = 0, self._used() if self.cases > 1 else None
        while True:
            try:
                line = self._answers.get(timeout=1.0)
                break
            except queue.Empty:
                used = self._used() if used is None else used  # the first case waits for the imports
                slept += self._sleeps()
                if self._used() - used > CASE_SECONDS + 30 * (self.cases == 1) or slept > 10 * CASE_SECONDS:
                    self.end()
                    return {"outcome": "finding", "what": "hangs"}
        if line:
            return json.loads(line)
        status = self._process.wait()
        return {"outcome": "finding", "what": f"dies with {-status if status < 0 else status}"}

    def _used(self) -> float:
        fields = self._fields()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def _sleeps(self) -> bool:
        """Return whether it waits for something other than a processor."""
        return self._fields()[0] == "S"

    def _fields(self) -> list[str]:
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()

    @property
    def spent(self) -> bool:
        """Whether it should be replaced."""
        return self._process.poll() is not None or self.cases >= CASES_A_WORKER

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._process.wait()


def unzipped_size(content: bytes) -> int:
    """Return how many bytes a file declares: its own, or those that it unpacks to (once)."""
    if not content.startswith(b"\x1f\x8b"):
        return len(content)
    size = 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while chunk := file.read(2**20):
                size += len(chunk)
    except (OSError, EOFError, zlib.error):
        pass
    return max(size, len(content))


def run_case(worker: Worker, target: str, content: bytes) -> dict[str, str]:
    """Write a case into a fresh folder, let it be read, and remove the folder."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        path = folder / f"case{fuzz_targets.SUFFIXES[target]}"
        fuzz_cases.write_case(target, content, path)
        return worker.read(path, unzipped_size(content))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fuzz_target(target: str, seed: int, seconds: float, keep: Path | None) -> dict[str, Any]:
    """Run cases for some time; return counts and the first case of each kind of finding."""
    fuzz_cases.good_case(target)
    worker, counts, findings, number = Worker(target), Counter[str](), {}, 0
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        if worker.spent:
            worker.end()
            worker = Worker(target)
        content = fuzz_cases.make_case(target, seed, number)
        found = run_case(worker, target, content)
        counts[found["outcome"]] += 1
        kind = found["what"].partition(":")[0] if found["outcome"] == "finding" else ""
        if kind and kind not in findings:
            findings[kind] = {"case": number, "what": found["what"]}
            print(f"{target} case {number}: {found['what']}", flush=True)
            if keep is not None:
                (keep / f"{target}-{seed}-{number}{fuzz_targets.SUFFIXES[target] or '.json'}").write_bytes(content)
        number += 1
    worker.end()
    return {"cases": number, "minutes": (time.monotonic() - start) / 60, **counts, "kinds": findings}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="in all, over the targets")
    parser.add_argument("--target", choices=(*fuzz_targets.CHECKS, "all"), default="all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this one case only, and say how it ends")
    parser.add_argument("--keep", type=Path, help="folder for the files of findings")
    parser.add_argument("--write", action="store_true", help="write results/fuzz.json and results/fuzz.md")
    parser.add_argument("--work", choices=tuple(fuzz_targets.CHECKS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    targets = list(fuzz_targets.CHECKS) if options.target == "all" else [options.target]
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    if options.case is not None:
        for target in targets:
            content = fuzz_cases.make_case(target, options.seed, options.case)
            print(target, options.case, run_case(Worker(target), target, content))
        return
    pieces = []
    for piece in run_pieces(targets, options.seed, 60 * options.minutes, options.keep):
        pieces.append(piece)
        if options.write:
            add_to_results(piece)
    print(describe(pieces))
    sys.exit(any(piece["kinds"] for piece in pieces))


def run_pieces(targets: list[str], seed: int, seconds: float, keep: Path | None) -> Iterator[Piece]:
    """Share the time out among the targets, and yield what each piece of it gave."""
    count = max(1, math.ceil(seconds / len(targets) / PIECE_SECONDS))
    for number, target in itertools.product(range(count), targets):
        found = fuzz_target(target, seed + number, seconds / len(targets) / count, keep)
        yield {"target": target, "seed": seed + number, "commit": current_commit(), **found}


def add_to_results(piece: Piece) -> None:
    """Add a piece to the results; one of the same target, seed and commit is replaced."""
    path = RESULTS / "fuzz.json"
    pieces: list[Piece] = json.loads(path.read_text(encoding="utf-8"))["pieces"] if path.exists() else []
    same = ("target", "seed", "commit")
    pieces = [old for old in pieces if any(old[name] != piece[name] for name in same)] + [piece]
    write_result("fuzz", {"pieces": pieces}, describe(pieces))


def describe(pieces: list[Piece]) -> str:
    """Return the results as Markdown: a line a target, then all, then what was found."""
    names = list(dict.fromkeys(piece["target"] for piece in pieces))
    parts = {name: [piece for piece in pieces if piece["target"] == name] for name in names}
    rows = [_row(name, part) for name, part in {**parts, "all": pieces}.items()]
    found = [
        f"- {p['target']}, seed {p['seed']}, case {k['case']}, commit {p['commit']}: {k['what']}"
        for p in pieces
        for k in p["kinds"].values()
    ]
    commits = ", ".join(dict.fromkeys(piece["commit"] for piece in pieces))
    table = markdown_table(["target", "cases", "minutes", *OUTCOMES], rows)
    return (
        f"# Fuzzing\n\n`python benchmarks/fuzz.py`, commit {commits}.\n\n{table}\n"
        + "\n".join(
            ["Findings, each mended before the next commit that is named:\n", *found] if found else ["No finding."]
        )
        + "\n"
    )


def _row(name: str, pieces: list[Piece]) -> list[str]:
    cases, minutes = (sum(piece[key] for piece in pieces) for key in ("cases", "minutes"))
    counts = [sum(piece.get(outcome, 0) for piece in pieces) for outcome in OUTCOMES]
    return [name, f"{cases:,}", f"{minutes:.1f}", *(f"{count:,}" for count in counts)]


OUTCOMES: Final = ("correct", "refused", "finding")

if __name__ == "__main__":
    main()
