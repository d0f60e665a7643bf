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
from .schema import HP_PREFIX, hparam_columns
from .values import as_objects, compact, decode_text, integer_series, text_series, to_integer, to_number

MAX_HPARAMS: Final = 300
"""Most different hyperparameters that a corpus may have; more would make a table of mostly nothing."""
MAX_CELLS: Final = 200_000_000
"""Most runs times hyperparameters (1.6 GB); the original archive has about 50 million."""

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
        Numbers as float64 or Int64, all else as objects; `to_hyperparameter` judges them.

    Raises
    ------
    CorpusError
        A key is not text, two keys of a dict have the same spelling, or there are more than `MAX_HPARAMS` names or
        `MAX_CELLS` cells.
    """
    plain = set(map(type, hparams)) <= {dict}
    dicts: Sequence[dict[Any, object]] = hparams if plain else [x if isinstance(x, dict) else {} for x in hparams]  # type: ignore[assignment]
    parts: dict[str, list[_Part]] = {}
    for keys, members in _group(dicts).items():
        values = chain.from_iterable(map(dict.values, map(dicts.__getitem__, members)))
        block = np.fromiter(values, dtype=object, count=len(keys) * len(members))
        for i, name in enumerate(_names(keys)):
            parts.setdefault(name, []).append((members, compact(block[i :: len(keys)])))
        if len(parts) > min(MAX_HPARAMS, MAX_CELLS // len(dicts)):
            raise CorpusError(f"{len(dicts):,} runs have at least {len(parts):,} different hyperparameters, too many")
    columns = {HP_PREFIX + name: _assemble(parts[name], len(dicts)) for name in sorted(parts)}
    return pd.DataFrame(columns, index=range(len(dicts)))


_Part = tuple[Sequence[int], pd.Series]
"""Rows, and the values that a hyperparameter has there."""


def _group(dicts: Sequence[dict[Any, object]]) -> dict[tuple[object, ...], list[int]]:
    """Return the rows of each sequence of keys."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for row, keys in enumerate(map(tuple, dicts)):
        groups.setdefault(keys, []).append(row)
    return groups


def _names(keys: tuple[object, ...]) -> list[str]:
    names = [decode_text(key) for key in keys]
    texts = [name for name in names if name is not None]
    if len(texts) < len(keys):
        culprit = type(keys[names.index(None)]).__name__
        raise CorpusError(f"a hyperparameter's name must be text and not empty, but one is of type {culprit}")
    if len(set(texts)) < len(texts):
        raise CorpusError("a run names a hyperparameter twice, once as bytes and once as text")
    return texts


def _assemble(parts: Sequence[_Part], rows: int) -> pd.Series:
    """Return one column from the values of each group of rows, in the narrowest type that holds them all."""
    kinds = {values.dtype.kind for _, values in parts}
    if kinds == {"f"}:
        column = np.full(rows, np.nan)
        for members, values in parts:
            column[members] = values.to_numpy()
        return pd.Series(column)
    mixed = np.full(rows, None, dtype=object)
    for members, values in parts:
        mixed[members] = values.astype(object).where(values.notna(), None).to_numpy()
    return compact(mixed)


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
    if values.dtype.kind == "i":
        whole, present = to_integer(values, low=-(2**63))
        return integer_series(whole, present), np.zeros(len(values), dtype=bool)
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
    objects[null] = None
    codes, uniques = pd.factorize(objects)
    words = as_objects([*(decode_text(word) if isinstance(word, str | bytes) else str(word) for word in uniques), None])
    return text_series(words[codes])


def configurations(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each run's hyperparameters as a dict of plain Python values, without nulls; the inverse of `expand`."""
    table = {column.removeprefix(HP_PREFIX): runs[column] for column in hparam_columns(runs)}
    present = {name: values.notna().to_numpy() for name, values in table.items()}
    plain = {name: values.astype(object).tolist() for name, values in table.items()}
    return [{name: plain[name][i] for name in plain if present[name][i]} for i in range(len(runs))]
