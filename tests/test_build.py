"""The build: what it makes is used, a kill at any point costs nothing but time, and what it cannot do it says."""

from __future__ import annotations

import io
import itertools
import json
import pickle
import random
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from make_archive import make_archive
from rnn_warmstart import recommend
from rnn_warmstart.__main__ import app
from rnn_warmstart.building import BuildError, BuildPlan, build, build_models, lock
from rnn_warmstart.building.reading import write_corpus, write_corpus_apart
from rnn_warmstart.corpus import load_builtin, read_corpus
from rnn_warmstart.surrogate import NetworkSettings, Settings
from typer.testing import CliRunner

QUICK = Settings(trees=10, diverge_trees=5, folds=2, network=NetworkSettings(units=8, layers=1, members=1, epochs=2))
DTYPE = [("architecture", "O"), ("eval_loss", "f8"), ("hparams", "O"), ("max_params", "i8"), ("n_layers", "i8")]
DTYPE += [("task_type", "O")]
Files = dict[str, bytes]


def archive_of(path: Path, *members: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for number, content in enumerate(members):
            info = tarfile.TarInfo(f"{number}.p")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def small_archive(path: Path, seed: int = 0, runs: int = 12) -> Path:
    """Write an archive of 12 setups."""
    rng, rows = np.random.default_rng(seed), []
    for arch, task, depth in itertools.product(("gru", "lstm", "rnn"), ("text8", "rcf"), (1, 2)):
        for _ in range(runs):
            rate = float(10 ** rng.uniform(-4, -1))
            hparams = {"lr_init": rate, "optimizer": str(rng.choice(["Adam", "SGD"])), "train_steps": 1000}
            rows.append((arch, abs(np.log10(rate) + 2.5) + rng.random(), hparams, 5000, depth, task))
    return archive_of(path, pickle.dumps(np.array(rows, dtype=DTYPE), protocol=2))


def contents(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_archive(tmp_path_factory.mktemp("archive") / "runs.tar.gz")


@pytest.fixture(scope="module")
def built(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "models"
    build_models(BuildPlan(archive, out, settings=QUICK))
    return out


# --- what a build makes ----------------------------------------------------------------------------------------------


def test_the_corpus_is_the_archives(archive: Path, built: Path) -> None:
    corpus = read_corpus(built / "runs.parquet")
    assert corpus.sha256 == read_corpus(archive).sha256
    assert set(corpus.runs["source"]) == {"google"}


def test_the_card_says_what_was_read_and_how_good_it_is(built: Path) -> None:
    card = (built / "CARD.md").read_text()
    assert "# Model card" in card
    assert "| archive | 144 | 12 | 0 | 0 | 0 | 0 |" in card
    assert "| by-setup | 12 |" in card
    assert "CC BY 4.0" in card
    evaluation = json.loads((built / "evaluation.json").read_text())
    assert evaluation["corpus"]["sha256"] == read_corpus(built / "runs.parquet").sha256


def test_recommend_uses_the_models_given_or_named_in_the_environment(
    built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = recommend("gru", "text8", 5000, n=2, models=built)
    assert {item["source"] for item in given[0].evidence} == {"google"}
    shipped = recommend("gru", "text8", 5000, n=2)
    monkeypatch.setenv("RNN_WARMSTART_MODELS", str(built))
    assert recommend("gru", "text8", 5000, n=2).to_json() == given.to_json() != shipped.to_json()
    monkeypatch.setenv("RNN_WARMSTART_MODELS", "")
    assert recommend("gru", "text8", 5000, n=2).to_json() == shipped.to_json()


def test_a_folder_in_the_environment_without_models_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNN_WARMSTART_MODELS", str(tmp_path))
    with pytest.raises(ValueError, match=f"{tmp_path} holds no surrogate"):
        recommend("gru", "text8", 5000)


def test_joined_runs_are_told_apart_by_their_source(archive: Path, tmp_path: Path) -> None:
    write_corpus(archive, tmp_path, join_builtin=True)
    runs, own = read_corpus(tmp_path / "runs.parquet").runs, load_builtin().runs
    assert len(runs) == 144 + len(own)
    assert runs["source"].head(144).eq("google").all()
    assert runs["source"].iloc[144:].tolist() == own["source"].tolist()
    assert runs["hp_lr_init"].iloc[144:].tolist() == own["hp_lr_init"].tolist()
    found = json.loads((tmp_path / "corpus.json").read_text())
    assert found["both"]["rows"] == found["archive"]["rows"] + found["builtin"]["rows"]


def test_the_evaluation_draws_no_more_runs_than_asked_for(archive: Path, tmp_path: Path) -> None:
    build_models(BuildPlan(archive, tmp_path / "models", evaluated=130, settings=QUICK))
    assert json.loads((tmp_path / "models" / "evaluation.json").read_text())["corpus"]["rows"] == 130
    assert len(read_corpus(tmp_path / "models" / "runs.parquet")) == 144


# --- stopped and gone on ---------------------------------------------------------------------------------------------


def steps_done(plan: BuildPlan) -> set[str]:
    """Build, and return the steps that had something to do."""
    seen = set()

    def report(step: str, what: str, share: float) -> None:
        seen.update({step} if what not in ("checking", "done") else set())

    build_models(plan, report)
    return seen


def test_what_is_done_is_not_done_again(archive: Path, built: Path) -> None:
    before = contents(built)
    assert steps_done(BuildPlan(archive, built, settings=QUICK)) == set()
    assert contents(built) == before


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("rank.txt", {"surrogate"}),
        ("runs.parquet", {"corpus"}),
        ("evaluation.json", {"evaluation"}),
        ("CARD.md", set()),
    ],
)
def test_what_is_damaged_or_lost_is_made_again(
    archive: Path, built: Path, tmp_path: Path, name: str, steps: set[str]
) -> None:
    out = tmp_path / "models"
    for path, content in contents(built).items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        (out / path).write_bytes(content)
    (out / name).write_bytes(b"damaged")
    assert steps_done(BuildPlan(archive, out, settings=QUICK)) == steps
    assert contents(out) == contents(built)
    (out / name).unlink()
    build_models(BuildPlan(archive, out, settings=QUICK))
    assert contents(out) == contents(built)


def test_another_archive_is_built_anew(built: Path, tmp_path: Path) -> None:
    other, out = small_archive(tmp_path / "runs.tar.gz", seed=1), tmp_path / "models"
    out.mkdir()
    for path, content in contents(built).items():
        (out / path).write_bytes(content)
    assert steps_done(BuildPlan(other, out, settings=QUICK)) == {"corpus", "evaluation", "surrogate"}
    build_models(BuildPlan(other, tmp_path / "fresh", settings=QUICK))
    assert contents(out) == contents(tmp_path / "fresh")


CHILD = """
import json, os, sys, threading
from pathlib import Path
from rnn_warmstart.building import BuildPlan, build_models
from rnn_warmstart.surrogate import Settings
archive, out, settings, step, what, share, reports, delay = sys.argv[1:]
count = 0

def report(now, doing, done):
    global count
    count += 1
    if now == step and what in doing and done >= float(share):
        os.kill(os.getpid(), 9)
    if count == int(reports):
        threading.Timer(float(delay), os.kill, (os.getpid(), 9)).start()

build_models(BuildPlan(Path(archive), Path(out), settings=Settings.from_dict(json.loads(settings))), report)
"""


def start(
    archive: Path,
    out: Path,
    step: str = "",
    what: str = "",
    share: float = 0.0,
    *,
    reports: int = 0,
    delay: float = 0.0,
) -> subprocess.Popen[bytes]:
    """Start a build that kills itself at some point, or some seconds after so many reports of progress."""
    point = [step, what, str(share), str(reports), str(delay)]
    return subprocess.Popen([sys.executable, "-c", CHILD, archive, out, json.dumps(QUICK.to_dict()), *point])


@pytest.mark.parametrize(
    ("step", "what", "share"),
    [("corpus", "reading", 0.0), ("corpus", "done", 0.0), ("evaluation", "fold 3", 0.0), ("surrogate", "fitting", 0.8)],
)
def test_a_killed_build_goes_on_to_the_same_bytes(
    archive: Path, built: Path, tmp_path: Path, step: str, what: str, share: float
) -> None:
    out = tmp_path / "models"
    assert start(archive, out, step, what, share).wait() == -signal.SIGKILL
    assert contents(out) != contents(built)
    (out / ".rank.txt.abc.tmp").write_bytes(b"what a killed writer leaves")
    build_models(BuildPlan(archive, out, settings=QUICK))
    assert contents(out) == contents(built)


def test_a_build_that_stops_before_its_first_record_goes_on(
    archive: Path, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_and_stop(*arguments: Any) -> tuple[str, ...]:
        write_corpus_apart(*arguments)
        raise KeyboardInterrupt

    out = tmp_path / "models"
    with monkeypatch.context() as patch:
        patch.setattr(build, "write_corpus_apart", read_and_stop)
        with pytest.raises(KeyboardInterrupt):
            build_models(BuildPlan(archive, out, settings=QUICK))
    assert (out / "runs.parquet").exists()
    build_models(BuildPlan(archive, out, settings=QUICK))
    assert contents(out) == contents(built)


def test_folds_that_are_done_are_not_fitted_again(archive: Path, tmp_path: Path) -> None:
    out, folds = tmp_path / "models", set()
    assert start(archive, out, "evaluation", "fold 4").wait() == -signal.SIGKILL
    build_models(BuildPlan(archive, out, settings=QUICK), lambda step, what, share: folds.add(what.split(",")[0]))
    assert {fold for fold in folds if fold.startswith("fold")} == {"fold 4 of 5", "fold 5 of 5"}


@pytest.mark.slow
def test_twenty_kills_at_random_points_leave_the_bytes_of_an_undisturbed_build(tmp_path: Path) -> None:
    archive, out, told = tmp_path / "runs.tar.gz", tmp_path / "models", []
    make_archive(archive, 4000)
    plan = BuildPlan(archive, tmp_path / "undisturbed", settings=QUICK)
    build_models(plan, lambda step, what, share: told.append(step))
    kill_again_and_again(archive, out, contents(plan.out), len(told))


def kill_again_and_again(archive: Path, out: Path, expected: Files, reports: int) -> None:
    """Kill a build, and those that go on, twenty times in all; what comes to its end begins anew."""
    rng, kills, last = random.Random(0), 0, False
    while kills < 20 or not last:
        point = 0 if kills == 20 else rng.randint(1, max(2, reports // 2))
        ended = start(archive, out, reports=point, delay=rng.uniform(0, 0.5)).wait()
        assert ended in (0, -signal.SIGKILL)
        kills, last = kills + bool(ended), not ended
        if last:
            assert contents(out) == expected
            for path in out.iterdir():
                path.unlink()


# --- refusals --------------------------------------------------------------------------------------------------------


def test_plans_that_cannot_be_carried_out(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("a")
    (tmp_path / "file").write_text("")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "registry.json").write_text("{}")
    for plan, why in {
        BuildPlan(tmp_path / "none.tar.gz", tmp_path / "o"): "does not exist; rnn-warmstart fetch brings the original",
        BuildPlan(tmp_path / "runs.csv", tmp_path / "o"): r"runs\.csv must end in one of \.tar\.gz",
        BuildPlan(archive, tmp_path / "file"): "is a file; give a folder as --out",
        BuildPlan(archive, archive.parent): r"runs\.tar\.gz lies in .*; give a folder of its own",
        BuildPlan(archive, foreign): r"holds registry\.json, which no build wrote; give another --out",
        BuildPlan(archive, tmp_path / "o", evaluated=0): "At least 1 run must be evaluated, but got 0",
    }.items():
        with pytest.raises(BuildError, match=why):
            build_models(plan)
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"format": 2, "steps": {}}', "has format 2; this package reads 1"),
        ("{", "is not a build's record"),
        ("[]", "is not a build's record"),
        ('{"format": 1, "steps": {"corpus": {"inputs": {}}}}', "is not a build's record"),
    ],
)
def test_records_that_cannot_be_read(archive: Path, tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "build.json").write_text(text)
    with pytest.raises(BuildError, match=rf"build\.json {why}.* delete the folder to build anew"):
        build_models(BuildPlan(archive, tmp_path, settings=QUICK))


def test_one_build_at_a_time(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.2)
    with lock.locked(tmp_path), pytest.raises(BuildError, match="Another build is at work in"):
        build_models(BuildPlan(archive, tmp_path, settings=QUICK))


def test_setups_of_too_few_runs_cannot_be_judged(tmp_path: Path) -> None:
    archive = small_archive(tmp_path / "runs.tar.gz", runs=3)
    with pytest.raises(
        BuildError, match=r"No setup has 8 or more of the 36 evaluated runs.*rnn-warmstart fit --corpus"
    ):
        build_models(BuildPlan(archive, tmp_path / "models", settings=QUICK))


def with_key(key: bytes) -> bytes:
    """Return a table whose row has a dict with the key that these opcodes leave on the stack."""
    rows = [("gru", 0.5, {"HERE": 1}, 1, 1, "t")]
    data = pickle.dumps(np.array(rows, dtype=DTYPE), protocol=2)
    place = data.index(b"X\x04\0\0\0HERE")
    return data[:place] + key + data[place + 11 :]


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (b"cos\nsystem\n(S'touch ran'\ntR.", r"0\.p asks for os\.system, which is not on the list"),
        (with_key(b")" + b"2\x86" * 60), r"0\.p keeps Python busy without an end"),
        (with_key(b")" + b"\x85" * 10**6), r"0\.p keeps Python busy without an end, or nests values too deeply"),
    ],
    ids=["code", "a hash without an end", "a hash without a bottom"],
)
def test_hostile_archives_do_not_end_the_build(member: bytes, why: str, tmp_path: Path) -> None:
    archive = archive_of(tmp_path / "runs.tar.gz", member)
    with pytest.raises(BuildError, match=why):
        write_corpus_apart(archive, tmp_path, join_builtin=False)
    assert [path.name for path in tmp_path.iterdir()] == ["runs.tar.gz"]


def test_the_command_names_what_is_wrong(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["build", "--archive", str(tmp_path / "x.tar.gz"), "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    assert "Error: " in result.stderr
    assert "does not exist; rnn-warmstart fetch brings the original archive" in result.stderr


def test_the_command_builds(archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[BuildPlan] = []
    monkeypatch.setattr("rnn_warmstart.building.build_models", lambda plan, report: plans.append(plan) or Made())
    command = [
        "build",
        "--archive",
        str(archive),
        "--out",
        str(tmp_path),
        "--join-builtin",
        "--evaluated",
        "9",
        "--seed",
    ]
    result = CliRunner().invoke(app, [*command, "3"])
    assert result.exit_code == 0, result.output
    assert plans == [BuildPlan(archive, tmp_path, True, 9, Settings(seed=3))]
    assert "Wrote the models of 144 runs" in result.output


class Made:
    """Stands for the surrogate that a build returns."""

    def __init__(self) -> None:
        self.corpus = {"rows": 144}
