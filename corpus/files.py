"""Files that hold a corpus: Parquet, the original archive, its members; one function reads them all."""

from __future__ import annotations

import io
import os
from importlib.resources import as_file, files
from inspect import signature
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .archive import ARCHIVES, MEMBERS, Progress, no_progress, read_archive, read_members
from .atomic import write_atomically
from .checks import as_corpus
from .errors import CorpusError, printable
from .table import Corpus

ORIGINAL_SOURCE: Final = "google"
"""`source` of the runs of the original archive."""

GROUP_ROWS: Final = 2048
"""Rows of a Parquet row group, at least."""
MOST_GROUPS: Final = 64
LARGE: Final = 2**17
"""Rows of a corpus that is written in row groups of so many: small groups let a question read less, large ones take
less room."""
MAX_CELLS: Final = 2_000_000_000
"""Most rows times columns that a Parquet file may declare (16 GB as numbers)."""


def read_corpus(path: str | os.PathLike[str], *, progress: Progress = no_progress) -> Corpus:
    """Read a corpus from whatever holds one.

    Parameters
    ----------
    path : str or path
        The original archive (``.tar.gz``, ``.tgz``, ``.tar``), one of its members (``.p``), a Parquet file
        (``.parquet``), or a folder of members or of Parquet files.
    progress : callable, optional
        Called with (bytes done, bytes in all, name of what is being read).

    Returns
    -------
    Corpus
        Its `summary` says what was read, and what was not and why.

    Raises
    ------
    CorpusError
        The file is missing, of another kind, damaged, or unsafe to read.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path, progress)
    if not path.is_file():
        raise CorpusError(f"{path} does not exist; give {_ALLOWED}.")
    if path.name.endswith(ARCHIVES):
        frame, notes = read_archive(path, progress)
        return as_corpus(frame, ORIGINAL_SOURCE, where=path.name, notes=notes, copy=False)
    if path.suffix == MEMBERS:
        return as_corpus(read_members([path], progress), ORIGINAL_SOURCE, where=path.name, copy=False)
    if path.suffix == ".parquet":
        return as_corpus(_read_parquet([path], progress), where=path.name, copy=False)
    raise CorpusError(f"{path} is not of a kind that holds a corpus; give {_ALLOWED}.")


_ALLOWED: Final = (
    f"an archive ({', '.join(ARCHIVES)}), a member of one ({MEMBERS}), a Parquet file (.parquet), or a folder of either"
)


def _read_folder(folder: Path, progress: Progress) -> Corpus:
    members, shards = sorted(folder.glob(f"*{MEMBERS}")), sorted(folder.glob("*.parquet"))
    if members and shards:
        raise CorpusError(f"{folder} holds {MEMBERS} and .parquet files; give a folder with one kind of them.")
    if members:
        return as_corpus(read_members(members, progress), ORIGINAL_SOURCE, where=folder.name, copy=False)
    if shards:
        return as_corpus(_read_parquet(shards, progress), where=folder.name, copy=False)
    raise CorpusError(f"{folder} holds no {MEMBERS} and no .parquet file; give {_ALLOWED}.")


def _read_parquet(paths: list[Path], progress: Progress) -> pd.DataFrame:
    """Return the rows of Parquet files, columns by name."""
    total, done, frames = sum(path.stat().st_size for path in paths), 0, []
    for path in paths:
        progress(done, total, path.name)
        frames.append(_read_shard(path))
        done += path.stat().st_size
    progress(total, total, paths[-1].name)
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _read_shard(path: Path) -> pd.DataFrame:
    try:
        with pq.ParquetFile(path) as file:
            text = _text_columns(file.schema_arrow)
        with pq.ParquetFile(path, read_dictionary=text) as file:  # text as categories: each word is decoded once
            check_cells(file.metadata, path)
            table = file.read()
            table.validate(full=True)  # text is decoded only when it is used, too late for a clear error
            borrowed = _borrowed(table)
            options = {"ignore_metadata": True, "integer_object_nulls": True, "split_blocks": True}
            options |= {"self_destruct": True, "use_threads": False}  # a column's memory serves the next one
            frame = table.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get, **options)
            for name in borrowed:
                frame[name] = frame[name].copy()
            return frame
    except CorpusError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorpusError(f"{path} is not a readable Parquet file: {printable(str(error))}") from error


def check_cells(declared: pq.FileMetaData, path: Path) -> None:
    """Raise CorpusError if a Parquet file declares more cells than are read, however few bytes it has."""
    cells = declared.num_rows * declared.num_columns
    if cells > MAX_CELLS:
        raise CorpusError(f"{path} declares {cells:,} cells; at most {MAX_CELLS:,} are read.")


def _borrowed(table: pa.Table) -> list[str]:
    """Return the columns that pandas takes from Arrow as they are, in memory that cannot be written to."""
    columns = zip(table.schema, table.columns, strict=True)
    return [field.name for field, values in columns if pa.types.is_floating(field.type) and not values.null_count]


def _text_columns(schema: pa.Schema) -> list[str]:
    return [field.name for field in schema if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]


def load_builtin() -> Corpus:
    """Return the corpus shipped with the package; ``corpus/data/CARD.md`` says how its runs were made."""
    with as_file(files("rnn_warmstart.corpus") / "data" / "runs.parquet") as path:
        return as_corpus(_read_shard(path), where="the built-in corpus", copy=False)


def write_parquet(corpus: Corpus | pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write a corpus, or a table that `as_corpus` accepts, as Parquet; `path` appears only once it is complete.

    In row groups, whose statistics let a reader of a corpus that is sorted by setup leave out most of the file.
    """
    if isinstance(corpus, pd.DataFrame):
        corpus = as_corpus(corpus)
    target = Path(path)
    table = pa.Table.from_pandas(corpus.runs, preserve_index=False).replace_schema_metadata(None)
    large = len(table) >= LARGE
    buffer = io.BytesIO()
    # Random numbers do not compress, but their exponents do, once they are apart from the other bytes; zstd takes up to
    # 128 KiB together, so that each byte of a large group's numbers is compressed on its own.
    split = {field.name: "BYTE_STREAM_SPLIT" for field in table.schema if pa.types.is_floating(field.type)}
    words = _text_columns(table.schema)
    pq.write_table(
        table,
        buffer,
        row_group_size=LARGE if large else max(GROUP_ROWS, len(table) // MOST_GROUPS),
        **(_whole_pages() if large else {}),
        compression="zstd",
        compression_level=3,
        use_dictionary=words,
        column_encoding=split,
    )
    write_atomically(target, buffer.getvalue())


def _whole_pages() -> dict[str, int]:
    """Return what keeps a row group's column in one page; pyarrow bounds a page's rows since it has this option."""
    return {"max_rows_per_page": LARGE} if "max_rows_per_page" in signature(pq.write_table).parameters else {}
