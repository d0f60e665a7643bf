"""The stand-in for the original archive: it reads as NumPy reads it, and its losses are what it says they are."""

import math
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from make_archive import DIVERGED_OBJECTS, MEMBERS, make_archive
from rnn_warmstart.corpus import ABSURD_LOSS, LOSSES, SETUP, Corpus, configurations, read_corpus

RUNS = 3000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """The archive, and what is known of its runs."""
    path = tmp_path_factory.mktemp("standin") / "runs.tar.gz"
    return path, make_archive(path, RUNS)


@pytest.fixture(scope="module")
def corpus(made: tuple[Path, pd.DataFrame]) -> Corpus:
    return read_corpus(made[0])


@pytest.fixture(scope="module")
def rows(made: tuple[Path, pd.DataFrame]) -> list[dict[str, Any]]:
    """The archive's rows as NumPy loads them."""
    found: list[dict[str, Any]] = []
    for content in members(made[0]).values():
        table = pickle.loads(content, encoding="latin1")
        found += [dict(zip(table.dtype.names, row, strict=True)) for row in table]
    return found


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        names = [name for name in tar.getnames() if name.endswith(".p") and "._" not in name]
        return {Path(name).name: tar.extractfile(name).read() for name in names}  # type: ignore[union-attr]


def plain(value: Any) -> Any:
    """Return a value as the corpus keeps it: text decoded, flags as text, scalars as numbers."""
    if isinstance(value, bytes):
        value = value.decode("latin1")
    if isinstance(value, str):
        try:
            return value.encode("latin1").decode()
        except UnicodeError:
            return value
    return str(value) if isinstance(value, bool | np.bool_) else value


def test_every_run_is_what_numpy_loads(corpus: Corpus, rows: list[dict[str, Any]]) -> None:
    assert len(corpus) == len(rows) == RUNS
    for name in SETUP:
        assert corpus.runs[name].tolist() == [plain(row[name]) for row in rows]
    expected = [{plain(k): plain(v) for k, v in row["hparams"].items() if v is not None} for row in rows]
    assert configurations(corpus.runs) == expected
    for name in LOSSES:
        loss = [
            float(row[name]) if type(row.get(name)) in (float, np.float64, np.float32) else math.nan for row in rows
        ]
        usable = [value if abs(value) <= ABSURD_LOSS else math.nan for value in loss]
        np.testing.assert_array_equal(corpus.runs[name], usable)
    assert corpus.runs["diverged"].tolist() == corpus.runs["eval_loss"].isna().tolist()


def test_it_holds_what_the_original_may_hold(made: tuple[Path, pd.DataFrame], rows: list[dict[str, Any]]) -> None:
    content = members(made[0])
    assert list(content) == [member.name for member in MEMBERS]
    beginnings = {data[:2] for data in content.values()}
    assert beginnings == {b"\x80\x02", b"cn"} and {member.protocol for member in MEMBERS} == {0, 1, 2}
    assert all(b"cnumpy.core.multiarray\n" in data for data in content.values())
    losses = [row[name] for row in rows for name in LOSSES if name in row]
    spellings = {repr(loss) for loss in losses}
    assert {repr(value) if not isinstance(value, bytes) else "'nan'" for value in DIVERGED_OBJECTS} <= spellings
    values = {
        name: {type(row["hparams"][name]) for row in rows if name in row["hparams"]} for name in ("lr_init", "note")
    }
    assert values == {"lr_init": {float, np.float64}, "note": {str}}
    assert {type(row["hparams"]["gradient_clip_val"]) for row in rows} == {float, int, np.float64}
    assert any(value is None for row in rows for value in row["hparams"].values())
    assert len({tuple(row) for row in rows}) > 2, "columns missing, and in another order"
    assert len({tuple(row["hparams"]) for row in rows}) > 36, "keys depend on architecture and task, in any order"


def test_losses_are_the_known_function_times_noise(made: tuple[Path, pd.DataFrame], corpus: Corpus) -> None:
    truth = made[1]
    pd.testing.assert_frame_equal(corpus.runs[list(SETUP)], truth[list(SETUP)], check_dtype=False)
    noise = np.log(corpus.runs["eval_loss"] / truth["noise_free_loss"]).dropna()
    assert abs(noise.mean()) < 0.02 and 0.1 < noise.std() < 0.3  # standard deviations by architecture: 0.1 to 0.3
    diverged = corpus.runs["diverged"]
    deviation = np.sqrt((truth["risk"] * (1 - truth["risk"])).sum())
    assert abs(diverged.sum() - truth["risk"].sum()) < 4 * deviation


def test_the_tuner_crowds_into_good_regions(tmp_path: Path) -> None:
    truth = make_archive(tmp_path / "runs.tar.gz", 540 * 24)
    first = truth.groupby(list(SETUP)).cumcount() < 6
    setups = truth.assign(first=first).groupby([*SETUP, "first"])["noise_free_loss"].median().unstack()
    assert (setups[False] < setups[True]).mean() > 0.8  # a random search: 0.5


def test_the_same_seed_makes_the_same_archive(tmp_path: Path) -> None:
    truths = [make_archive(tmp_path / f"{i}.tar.gz", 600, seed) for i, seed in enumerate((1, 1, 2))]
    contents = [members(tmp_path / f"{i}.tar.gz") for i in range(3)]
    assert contents[0] == contents[1] and truths[0].equals(truths[1])
    assert contents[0] != contents[2] and not truths[0].equals(truths[2])
