"""Files that the fuzz harness found or tries: each is read correctly, or refused with the documented error."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest
from fuzz_cases import good_case, json_case, map_case, pickle_case, write_case
from fuzz_targets import CHECKS, DOCUMENTED, SUFFIXES
from rnn_warmstart.corpus import CorpusError, configurations, read_corpus, rehearsal

FOLDER = Path(__file__).parent / "assets" / "fuzz"
ENDS = {
    "pickle-half-a-character-as-architecture.p": None,
    "pickle-half-a-character-as-value.p": None,
    "pickle-half-a-character-as-name.p": None,
    "pickle-lists-shared-to-a-depth-of-25.p": None,
    "pickle-key-of-shared-tuples.p": "keeps Python busy without an end",
    "pickle-set-of-shared-tuples.p": "keeps Python busy without an end",
    "pickle-counted-bytes.p": "not a readable pickle|wants more memory",
    "pickle-memo-index.p": "not a readable pickle|wants more memory",
    "json-half-a-character.jsonl": None,
    "json-deep.jsonl": "is not readable as jsonl",
    "json-many-digits.jsonl": "is not readable as jsonl",
    "map-many-digits.toml": "a whole number has 16000 bits; at most 64 are allowed",
    "map-dots.toml": "a line has more than 1,000 dots",
    "map-tables-within-tables.toml": "its tables and lists are nested more than 20 deep",
    "map-large.toml": "it is larger than 65,536 bytes",
    "spec-deep.toml": "description cannot be read.*recursion",
    "archive-zipped-three-times.tar.gz": "is damaged or no archive",
    "archive-sparse.tar.gz": "is a link, a device or sparse",
    "archive-long-name.tar.gz": "is larger than it declares, or than what is read",
    "archive-declares-too-much.tar.gz": "declares 8,796,093,022,208 bytes",
    "archive-good.tar.gz": None,
}
"""File to the error that reading it ends in, None where it is read."""


def test_every_file_has_an_end() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file() and path.suffix != ".py"} == set(ENDS)


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "SECONDS", 0)


@pytest.mark.parametrize("name", ENDS)
def test_files_end_as_documented(name: str, tmp_path: Path) -> None:
    path, why = Path(shutil.copy(FOLDER / name, tmp_path)), ENDS[name]
    check = CHECKS[name.partition("-")[0]]
    if why is None:
        check(path)
    else:
        with pytest.raises(CorpusError, match=why):
            check(path)
    assert [left.name for left in tmp_path.iterdir()] == [name]


def test_half_characters_become_the_replacement_character() -> None:
    value = read_corpus(FOLDER / "pickle-half-a-character-as-value.p").runs
    name = read_corpus(FOLDER / "pickle-half-a-character-as-name.p").runs
    assert [*configurations(value), *configurations(name)] == [{"x": "a\ufffd"}, {"x\ufffd": 1}]


@pytest.mark.parametrize("target", sorted(set(CHECKS) - {"models"}))
def test_the_harness_reads_good_files_correctly(target: str, tmp_path: Path) -> None:
    path = tmp_path / f"good{SUFFIXES[target]}"
    write_case(target, good_case(target), path)
    CHECKS[target](path)


@pytest.mark.parametrize(
    "change",
    [
        "update trial_params set distribution_json = '{\"a\"'",
        "update trial_user_attributes set value_json = '['",
        "update trial_values set value_type = 'much'",
        "update trials set datetime_start = 7",
        "update trials set datetime_start = '2026-13-45'",
        "update trials set state = x'ff'",
        "delete from study_directions",
        "drop table trial_values",
    ],
)
def test_storages_with_a_damaged_row_are_refused(change: str, tmp_path: Path) -> None:
    path = tmp_path / "case.db"
    path.write_bytes(good_case("storage"))
    with sqlite3.connect(path) as database:
        database.execute(change)
    database.close()
    with pytest.raises(CorpusError, match="is not a readable Optuna storage"):
        CHECKS["storage"](path)


@pytest.mark.parametrize(("target", "make"), [("pickle", pickle_case), ("json", json_case), ("map", map_case)])
def test_some_cases_of_the_harness(target: str, make: object, tmp_path: Path) -> None:
    ends = set()
    for number in range(60):
        path = tmp_path / f"case{SUFFIXES[target]}"
        content = make(Random(f"test/{target}/{number}"))  # type: ignore[operator]
        if len(content) > 10**5:
            continue
        path.write_bytes(content)
        try:
            CHECKS[target](path)
            ends.add("correct")
        except DOCUMENTED:
            ends.add("refused")
    assert ends == {"correct", "refused"}
