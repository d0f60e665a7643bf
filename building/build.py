"""The build: four steps from an archive to a folder of models, each of which is done once.

| step | reads | writes |
|---|---|---|
| corpus | the archive | runs.parquet, corpus.json |
| evaluation | runs.parquet | evaluation.json, evaluation.md, splits.parquet |
| surrogate | runs.parquet | registry.json and what it lists |
| card | all of them | CARD.md |
"""

from __future__ import annotations

import json
import pkgutil
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from ..corpus import Corpus, read_corpus
from ..corpus.archive import ARCHIVES, MEMBERS
from ..corpus.atomic import write_atomically
from ..surrogate import Settings, Surrogate
from ..surrogate.fitting import CARD, fit_folder, write_card
from ..surrogate.library import get_surrogate
from ..surrogate.protocol import code_digest
from ..surrogate.storage import LIBRARIES, REGISTRY, RUNS
from .card import describe_build
from .errors import BuildError
from .evaluation import EVALUATION, evaluate_corpus
from .lock import locked
from .reading import FOUND, write_corpus_apart
from .record import RECORD, BuildRecord, sha256_of

STEPS: Final = ("corpus", "evaluation", "surrogate", "card")
CACHE: Final = "cache"
"""Folder of what an evaluation has computed so far; it is deleted at the end."""
PACKAGES: Final = ("building", "corpus", "features", "surrogate")
"""Whose code the result depends on: when it changes, a build begins anew."""
Report = Callable[[str, str, float], None]
"""Called with (step, what is being done, share of the step that is done, 0 to 1)."""


@dataclass(frozen=True)
class BuildPlan:
    """What is built, and how.

    Parameters
    ----------
    archive : path
        The original archive, one of its members, or a Parquet file of runs.
    out : path
        Folder of the models; made if needed.
    join_builtin : bool, default False
        Whether the runs shipped with the package join those of the archive; `source` tells them apart.
    evaluated : int, default 10000
        Runs, drawn at random, on which the evaluation fits and judges.
    settings : Settings
        How the surrogate is fitted.
    """

    archive: Path
    out: Path
    join_builtin: bool = False
    evaluated: int = 10_000
    settings: Settings = field(default_factory=Settings)

    def check(self) -> None:
        """Raise BuildError if it cannot be carried out."""
        allowed = (*ARCHIVES, MEMBERS, ".parquet")
        if not self.archive.is_file():
            raise BuildError(f"{self.archive} does not exist; rnn-warmstart fetch brings the original archive.")
        if not self.archive.name.endswith(allowed):
            raise BuildError(f"{self.archive} must end in one of {', '.join(allowed)}.")
        if self.evaluated < 1:
            raise BuildError(f"At least 1 run must be evaluated, but got {self.evaluated}.")
        if self.out.exists() and not self.out.is_dir():
            raise BuildError(f"{self.out} is a file; give a folder as --out.")
        if self.archive.resolve().parent == self.out.resolve():
            raise BuildError(f"{self.archive} lies in {self.out}; give a folder of its own as --out.")
        foreign = [name for name in (REGISTRY, RUNS, CARD) if (self.out / name).exists()]
        if foreign and not (self.out / RECORD).exists():
            raise BuildError(f"{self.out} holds {foreign[0]}, which no build wrote; give another --out.")


def build_models(plan: BuildPlan, progress: Report | None = None) -> Surrogate:
    """Build the models of an archive; steps that an earlier call completed are not done again.

    A build that was stopped, by `kill -9` too, goes on when it is called again, and ends with the same bytes as one
    that was not, on the same machine with as many threads. A changed archive, plan or package begins anew from
    the first step that depends on it.

    Parameters
    ----------
    plan : BuildPlan
    progress : callable, optional
        See `Report`.

    Returns
    -------
    Surrogate
        That of the folder; ``recommend(..., models=plan.out)`` uses it.

    Raises
    ------
    BuildError
        The plan cannot be carried out, the archive cannot be read, or another build is at work in the folder.
    ValueError
        The archive has too few setups.
    """
    plan.check()
    plan.out.mkdir(parents=True, exist_ok=True)
    with locked(plan.out) as inherited:
        _clean(plan.out)
        _carry_out(plan, BuildRecord(plan.out), progress or (lambda step, what, share: None), inherited)
        _clean(plan.out)
        shutil.rmtree(plan.out / CACHE, ignore_errors=True)
        return get_surrogate(plan.out)


def _carry_out(plan: BuildPlan, record: BuildRecord, progress: Report, inherited: Sequence[int]) -> None:
    out, common = plan.out, {"code": _code(), "libraries": {name: version(name) for name in LIBRARIES}}
    settings = plan.settings.to_dict()

    def step(name: str, inputs: dict[str, Any], work: Callable[[], Iterable[str]]) -> None:
        progress(name, "checking", 0.0)
        record.carry_out(name, common | inputs, work)
        progress(name, "done", 1.0)

    def read_archive() -> Iterable[str]:
        report = partial(_read_share, progress)
        return write_corpus_apart(plan.archive, out, plan.join_builtin, report, inherited)

    def evaluate() -> Iterable[str]:
        return evaluate_corpus(
            corpus(), out, plan.evaluated, plan.settings, out / CACHE, partial(progress, "evaluation")
        )

    def fit() -> Iterable[str]:
        fit_folder(corpus(), out, plan.settings, progress=partial(progress, "surrogate"))
        return (REGISTRY, *json.loads((out / REGISTRY).read_text(encoding="utf-8"))["sha256"])

    corpus = _Once(out / RUNS)
    archive = {"archive": sha256_of(plan.archive), "name": plan.archive.name, "join_builtin": plan.join_builtin}
    step("corpus", archive, read_archive)
    runs = {"runs": sha256_of(out / RUNS), "settings": settings}
    step("evaluation", runs | {"evaluated": plan.evaluated}, evaluate)
    step("surrogate", runs, fit)
    sums = {name: sha256_of(out / name) for name in (REGISTRY, FOUND, EVALUATION)}
    step("card", archive | sums, lambda: _write_card(out, plan.archive.name))


class _Once:
    """Reads the corpus when it is first needed, and keeps it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._corpus: Corpus | None = None

    def __call__(self) -> Corpus:
        if self._corpus is None:
            self._corpus = read_corpus(self._path)
        return self._corpus


def _read_share(progress: Report, done: int, total: int, name: str) -> None:
    progress("corpus", f"reading {name}", 0.95 * done / max(total, 1))


def _write_card(folder: Path, archive: str) -> Iterable[str]:
    found = json.loads((folder / FOUND).read_text(encoding="utf-8"))
    evaluation = (folder / EVALUATION).read_text(encoding="utf-8")
    text = f"{write_card(get_surrogate(folder))}\n{describe_build(archive, found, evaluation)}"
    write_atomically(folder / CARD, text.encode())
    return (CARD,)


def _code() -> str:
    root = __package__.rpartition(".")[0]
    packages = [import_module(f"{root}.{name}") for name in PACKAGES]
    names = [
        f"{package.__name__}.{info.name}" for package in packages for info in pkgutil.iter_modules(package.__path__)
    ]
    return code_digest(tuple(sorted(names)))


def _clean(folder: Path) -> None:
    """Delete what writers that were killed left behind."""
    for part in (folder, folder / CACHE):
        for path in part.glob(".*.tmp"):
            path.unlink(missing_ok=True)
