"""The surrogates at hand, shipped or fitted by the user, and their runs: each is read once a process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..corpus.schema import HP_PREFIX
from .forest import hold_to_one_thread_after_fork
from .storage import REGISTRY, RUNS, load_surrogate

if TYPE_CHECKING:
    import pandas as pd

    from .model import Surrogate

Folder = str | os.PathLike[str] | None
"""A folder of models; None for the one that `MODELS_VARIABLE` names, or else those shipped with the package."""
MODELS_VARIABLE: Final = "RNN_WARMSTART_MODELS"
"""The environment variable that names the folder of models to use where none is given."""


def chosen_folder(models: Folder = None) -> Folder:
    """Return the given folder of models, or else the one of the environment, or else None."""
    return models if models is not None else os.environ.get(MODELS_VARIABLE) or None


def get_surrogate(models: Folder = None) -> Surrogate:
    """Return the surrogate of a folder of models; a folder that is fitted again is read again.

    Raises
    ------
    ModelError
        As `load_surrogate` does.
    """
    hold_to_one_thread_after_fork()
    models = chosen_folder(models)
    return _read_surrogate(None if models is None else os.fspath(models), fingerprint(models))


def fingerprint(models: Folder = None) -> str:
    """Return the SHA-256 of a folder's registry, which lists the checksums of all else; "" without a registry."""
    models = chosen_folder(models)
    registry = (files("rnn_warmstart.models") if models is None else Path(models)) / REGISTRY
    return hashlib.sha256(registry.read_bytes()).hexdigest() if registry.is_file() else ""


def relevant_runs(models: Folder, architecture: str, task: str) -> pd.DataFrame:
    """Return the corpus's runs of an architecture on a task (of the task alone, if the architecture has none).

    A folder of models without runs of its own was fitted on the built-in corpus.
    """
    models = chosen_folder(models)
    folder = None if models is None else Path(models) / RUNS
    if folder is not None and folder.exists():
        return _read_runs(str(folder), fingerprint(models), architecture, task)
    with as_file(files("rnn_warmstart.corpus") / "data" / RUNS) as path:
        return _read_runs(str(path), "", architecture, task)


@lru_cache(maxsize=5)
def _read_surrogate(models: str | None, version: str) -> Surrogate:
    if models is not None:
        return load_surrogate(models)
    with as_file(files("rnn_warmstart.models")) as folder:
        return load_surrogate(folder, own=True)


@lru_cache(maxsize=32)
def _read_runs(path: str, version: str, architecture: str, task: str) -> pd.DataFrame:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    file = pq.ParquetFile(path)
    for wanted in ({"task_type": task, "architecture": architecture}, {"task_type": task}):
        table = file.read_row_groups([group for group in range(file.num_row_groups) if _may_hold(file, group, wanted)])
        for name, value in wanted.items():
            table = table.filter(pc.equal(table[name], value))
        if table.num_rows:
            break
    runs = table.to_pandas(ignore_metadata=True, integer_object_nulls=True)
    return runs.loc[:, [not str(name).startswith(HP_PREFIX) or bool(runs[name].notna().any()) for name in runs]]


def _may_hold(file: Any, group: int, wanted: Mapping[str, str]) -> bool:
    """Return whether a row group of a corpus may hold runs with these values; True where statistics do not say."""
    rows = file.metadata.row_group(group)
    columns = (rows.column(index) for index in range(rows.num_columns))
    known = {column.path_in_schema: column.statistics for column in columns if column.path_in_schema in wanted}
    return all(
        known.get(name) is None or not known[name].has_min_max or known[name].min <= value <= known[name].max
        for name, value in wanted.items()
    )
