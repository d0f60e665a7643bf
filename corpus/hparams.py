"""Hyperparameters: a dict a run, as sources write them, and one ``hp_<name>`` column each, as the corpus keeps them.

`expand` goes one way, `configurations` the other. A hyperparameter that a run lacks (absent, None, NaN) is null in the
table and absent from the dict. Flags are categories: True becomes "True".
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import CorpusError
from .schema import HP_PREFIX
from .values import as_objects, decode_text, integer_series, to_integer, to_number

MAX_HPARAMS: Final = 1000
"""Most different hyperparameter names a corpus may have; more would make a table of mostly nothing."""

_TEXT = (str, bytes, bool, np.bool_)
_NUMBER = (int, float, np.integer, np.floating)


def expand(hparams: Sequence[object]) -> pd.DataFrame:
    """Turn one dict a run into columns ``hp_<name>``, alphabetically; a run whose cell is no dict has only nulls.

    Parameters
    ----------
    hparams : sequence of dict or None
        Keys are str or bytes, values numbers, text, flags or None.

    Returns
    -------
    DataFrame
        Object columns, None where absent; `to_hyperparameter` gives them their type.

    Raises
    ------
    CorpusError
        A key is not text, two keys of a dict have the same spelling, or there are more than `MAX_HPARAMS` names.
    """
    rows = [cell if isinstance(cell, dict) else {} for cell in hparams]
    signatures, uniques = pd.factorize(as_objects([tuple(row) for row in rows]))
    columns: dict[str, NDArray[np.object_]] = {}
    for code, keys in enumerate(uniques):
        members = np.flatnonzero(signatures == code)
        block = _values_of([rows[i] for i in members], len(keys))
        for name, values in zip(_names(keys), block.T, strict=True):
            columns.setdefault(name, np.full(len(rows), None, dtype=object))[members] = values
        if len(columns) > MAX_HPARAMS:
            raise CorpusError(f"the runs have more than {MAX_HPARAMS} different hyperparameters, which no corpus has")
    return pd.DataFrame({HP_PREFIX + name: columns[name] for name in sorted(columns)}, index=range(len(rows)))


def _values_of(rows: Sequence[dict[Any, object]], width: int) -> NDArray[np.object_]:
    """Return the values of dicts with the same keys in the same order: [row, key]."""
    count = len(rows) * width
    flat = np.fromiter(chain.from_iterable(map(dict.values, rows)), dtype=object, count=count)
    return flat.reshape(len(rows), width)


def _names(keys: tuple[object, ...]) -> list[str]:
    names = [decode_text(key) for key in keys]
    if None in names:
        raise CorpusError(f"a hyperparameter's name must be text, but got one of type {_type_of(keys, names)}")
    if len(set(names)) < len(names):
        raise CorpusError("a run names a hyperparameter twice, once as bytes and once as text")
    return [str(name) for name in names]


def _type_of(keys: tuple[object, ...], names: list[str | None]) -> str:
    return type(keys[names.index(None)]).__name__


def to_hyperparameter(values: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Give a hyperparameter's column its type, and say which rows it makes unusable.

    Returns
    -------
    column : Series
        Text if any value is text or a flag (numbers are then spelled out), integers (int64, Int64 with nulls) if all
        are, float64 otherwise.
    unusable : array of bool
        Rows where the value is infinite or neither number nor text (a list, a dict).
    """
    if values.dtype.kind == "f":
        return _finite(to_number(values))
    objects = as_objects(values)
    null = np.asarray(pd.isna(objects))
    kinds = set(map(type, objects[~null]))
    unusable = np.zeros(len(objects), dtype=bool)
    if any(not issubclass(kind, _TEXT + _NUMBER) for kind in kinds):
        unusable = np.array([not isinstance(value, _TEXT + _NUMBER) for value in objects]) & ~null
        objects[unusable] = None
        return to_hyperparameter(pd.Series(objects, dtype=object))[0], unusable
    if any(issubclass(kind, _TEXT) for kind in kinds):
        return _spell(objects, null), unusable
    if kinds and all(issubclass(kind, int | np.integer) for kind in kinds):
        whole, fits = to_integer(objects, low=-(2**63))
        if (fits | null).all():
            return integer_series(whole, ~null), unusable
    return _finite(to_number(objects))


def _finite(number: NDArray[np.float64]) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Return numbers with infinities as NaN, and where they were."""
    infinite = np.isinf(number)
    return pd.Series(np.where(infinite, np.nan, number) if infinite.any() else number), infinite


def _spell(objects: NDArray[np.object_], null: NDArray[np.bool_]) -> pd.Series:
    """Return a column of categories as text."""
    codes, uniques = pd.factorize(np.where(null, None, objects))
    words = as_objects([*(decode_text(word) if isinstance(word, str | bytes) else str(word) for word in uniques), None])
    return pd.Series(words[codes])


def configurations(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each run's hyperparameters as a dict of plain Python values, without nulls; the inverse of `expand`."""
    table = {column.removeprefix(HP_PREFIX): runs[column] for column in runs if column.startswith(HP_PREFIX)}
    present = {name: values.notna().to_numpy() for name, values in table.items()}
    plain = {name: values.astype(object).tolist() for name, values in table.items()}
    return [{name: plain[name][i] for name in plain if present[name][i]} for i in range(len(runs))]
