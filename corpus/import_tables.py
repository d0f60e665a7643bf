"""Foreign tables of runs: CSV, TSV, JSON lines, Parquet and Optuna storages, each as a plain table of its own columns.

Text tables give text in every cell, the others what they hold; `importing` gives the columns their types.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .archive import Progress, no_progress
from .errors import CorpusError, did_you_mean, printable
from .files import check_cells

SUFFIXES: Final = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
UNPACKERS: Final[dict[str, Callable[[Any], Any]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": partial(pa.CompressedInputStream, compression="zstd"),
}
ROWS: Final = 50_000
"""Rows that are read between two reports of progress."""
STUDY: Final = "study_name"
"""Column that says which study a trial is of."""


def read_table(
    path: Path, format: str | None = None, separator: str | None = None, progress: Progress = no_progress
) -> pd.DataFrame:
    """Read a file of runs, one row a run, under its own column names.

    Parameters
    ----------
    path : Path
        CSV, TSV or JSON lines (compressed or not), or Parquet.
    format : {"csv", "tsv", "jsonl", "parquet"}, optional
        Default: by the file's name.
    separator : str, optional
        Between the cells of a text table. Default: a tab in TSV, a comma in CSV.
    progress : callable, optional
        Called with (bytes done, bytes in all, name).

    Returns
    -------
    DataFrame
        Empty cells of text tables are null. Objects inside JSON lines or Parquet become columns ``outer.inner``.

    Raises
    ------
    CorpusError
        The file is missing, damaged, of another kind, or has a column twice.
    """
    if not path.is_file():
        raise CorpusError(f"{path} does not exist; give {ALLOWED}.")
    packed = path.suffix in UNPACKERS
    suffix = Path(path.stem).suffix if packed else path.suffix
    kind = format or SUFFIXES.get(suffix.lower())
    if kind is None:
        raise CorpusError(f'{path} is of no known kind; give {ALLOWED}, or say format = "csv" (or another) in the map.')
    with _explained(path, kind):
        if kind == "parquet":
            check_cells(pq.read_metadata(path), path)
            frame = pq.read_table(path).flatten().to_pandas(ignore_metadata=True, integer_object_nulls=True)
        else:
            frame = _read_stream(path, kind, separator, progress)
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise CorpusError(f"{path} has the columns {', '.join(map(repr, twice))} twice; rename all but one of each.")
    return frame


ALLOWED: Final = (
    f"a table ({', '.join(SUFFIXES)}; text may be compressed: {', '.join(UNPACKERS)}), or the URL of an Optuna "
    f"storage, e.g. sqlite:///study.db"
)


@contextmanager
def _explained(path: Path, kind: str) -> Iterator[None]:
    """Turn what the libraries raise on a damaged file into the one documented error."""
    try:
        yield
    except (pa.ArrowException, ValueError, OSError, EOFError, zlib.error, lzma.LZMAError, RecursionError) as error:
        if isinstance(error, CorpusError):
            raise
        raise CorpusError(f"{path} is not readable as {kind}: {printable(str(error), 200)}") from error


def _read_stream(path: Path, kind: str, separator: str | None, progress: Progress) -> pd.DataFrame:
    """Read a text table or JSON lines, unpacked on the way."""
    total = path.stat().st_size
    with path.open("rb") as raw, UNPACKERS.get(path.suffix, nullcontext)(raw) as stream:

        def report() -> None:
            progress(raw.tell(), total, path.name)

        if kind == "jsonl":
            return _read_json_lines(stream, report)
        return _read_text(stream, separator or ("\t" if kind == "tsv" else ","), report)


def _read_text(stream: IO[bytes], separator: str, report: Callable[[], None]) -> pd.DataFrame:
    reader = pd.read_csv(
        stream,
        sep=separator,
        header=None,  # a heading that pandas reads may not name a column twice without being changed
        dtype=str,
        keep_default_na=False,
        na_values=[""],
        encoding="utf-8-sig",
        chunksize=ROWS,
    )
    parts = []
    with reader:
        for part in reader:
            parts.append(part)
            report()
    frame = pd.concat(parts, ignore_index=True)
    names = [name if isinstance(name, str) else f"column {i}" for i, name in enumerate(frame.iloc[0], start=1)]
    return frame.iloc[1:].reset_index(drop=True).set_axis(names, axis=1)


def _read_json_lines(stream: IO[bytes], report: Callable[[], None]) -> pd.DataFrame:
    records = []
    with io.TextIOWrapper(stream, "utf-8-sig") as lines:
        for line in filter(str.strip, lines):
            records.append(_flat(json.loads(line)))
            if len(records) % ROWS == 0:
                report()
    return pd.DataFrame(records, dtype=object)


def _flat(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return an object whose inner objects are spread out under dotted names."""
    if not isinstance(record, dict):
        raise ValueError(f"each line must be one JSON object, but one is {record!r}")
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def read_studies(url: str, names: Sequence[str] | None = None) -> tuple[pd.DataFrame, set[str]]:
    """Read the trials of Optuna studies; the storage is not changed.

    Parameters
    ----------
    url : str
        A database as SQLAlchemy spells it, e.g. ``sqlite:///study.db``.
    names : sequence of str, optional
        Which studies. Default: all.

    Returns
    -------
    trials : DataFrame
        One row a trial, in any state: `STUDY`, ``number``, ``value`` (``values_0`` and so on with several
        objectives), ``params_<name>``, ``user_attrs_<name>``, ``state`` (``"COMPLETE"``, ``"FAIL"``, ...).
    directions : set of str
        ``"minimize"``, ``"maximize"``, or both; empty where a study has several objectives.

    Raises
    ------
    CorpusError
        There is no such storage or study, or it has no trials.
    """
    import optuna

    with _open_storage(url) as (storage, shown):
        known = optuna.get_all_study_names(storage)
        for name in names or ():
            if name not in known:
                listed = ", ".join(map(repr, known)) or "none"
                raise CorpusError(f"{shown} has no study {name!r}.{did_you_mean(name, known)} Its studies: {listed}.")
        studies = [optuna.load_study(study_name=name, storage=storage) for name in names or known]
        frames = [_trials(study) for study in studies if study.get_trials(deepcopy=False)]
        if not frames:
            raise CorpusError(f"{shown} has no trials in {', '.join(map(repr, names or known)) or 'it'}; run some.")
        several = any(len(study.directions) > 1 for study in studies)
        directions = set() if several else {study.direction.name.lower() for study in studies}
    return pd.concat(frames, ignore_index=True), directions


def _trials(study: Any) -> pd.DataFrame:
    frame = study.trials_dataframe(attrs=("number", "value", "params", "user_attrs", "state")).astype(object)
    frame.insert(0, STUDY, study.study_name)
    return frame


@contextmanager
def _open_storage(url: str) -> Iterator[tuple[Any, str]]:
    """Open a storage that exists, and close it; yield it and its URL without the password."""
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except ArgumentError:
        raise CorpusError(f"{printable(url)} is not the URL of a database; give e.g. sqlite:///study.db.") from None
    shown, file = parsed.render_as_string(hide_password=True), parsed.database
    if parsed.get_backend_name() == "sqlite" and not (file and Path(file).is_file()):
        raise CorpusError(f"{shown}: there is no file {file}; give the URL of an Optuna storage that exists.")
    storage = None
    try:
        storage = RDBStorage(url, skip_table_creation=True)
        yield storage, shown
    except CorpusError:
        raise
    except Exception as error:  # a damaged row may raise whatever its cell is good for
        raise CorpusError(
            f"{shown} is not a readable Optuna storage: {type(error).__name__}: {printable(str(error), 200)}"
        ) from error
    finally:
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()
