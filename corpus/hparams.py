"""Hyperparameters: a dict a run, as sources write them, and one ``hp_<name>`` column each, as the corpus keeps them.

`expand` goes one way, `configurations` the other. A hyperparameter that a run lacks (absent, None, NaN) is null in the
table and absent from the dict. Flags are categories: True becomes "True".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .columns import Column, Layout
from .errors import CorpusError
from .limits import TOGETHER
from .schema import HP_PREFIX, hparam_columns
from .values import as_objects, decode_text, integer_series, is_text, text_series, to_integer, to_number, to_text

MAX_HPARAMS: Final = 300
"""Most different hyperparameters that a corpus may have; more would make a table of mostly nothing."""
MAX_CELLS: Final = 200_000_000
"""Most runs times hyperparameters (1.6 GB); the original archive has about 50 million."""

MAX_LAYOUTS: Final = 1000
"""Most sequences of keys that are remembered."""

_TEXT = (str, bytes, bool, np.bool_)
_NUMBER = (int, float, np.integer, np.floating)


class HparamTable:
    """Columns ``hp_<name>`` under construction, from dicts that come in parts."""

    def __init__(self) -> None:
        self.rows = 0
        self._columns: dict[str, Column] = {}
        self._layouts: dict[tuple[object, ...], Layout] = {}
        self._copies: dict[int, int] = {}

    def add(self, cells: Sequence[object]) -> None:
        """Add the dicts of the next runs; a run whose cell is no dict has only nulls.

        Raises
        ------
        CorpusError
            As `expand`.
        """
        plain = set(map(type, cells)) <= {dict}
        dicts: Sequence[dict[Any, object]] = cells if plain else [x if isinstance(x, dict) else {} for x in cells]  # type: ignore[assignment]
        start, self.rows = self.rows, self.rows + len(dicts)
        lengths = np.fromiter(map(len, dicts), dtype=np.int64, count=len(dicts))
        for length in set(lengths.tolist()) - {0}:
            self._add_alike(dicts, np.flatnonzero(lengths == length), start)

    def _add_alike(self, dicts: Sequence[dict[Any, object]], rows: NDArray[np.intp], start: int) -> None:
        """Add some of the dicts, all of one length: if they have all keys of the first, they have no other keys."""
        part = [dicts[row] for row in rows.tolist()] if len(rows) < len(dicts) else dicts
        try:
            self._layout(part[0]).read(part, start + rows)
        except KeyError:
            for members in _group(part).values():
                alike = [part[member] for member in members]
                self._layout(alike[0]).read(alike, start + rows[members])

    def _layout(self, sample: dict[Any, object]) -> Layout:
        keys = tuple(sample)
        if keys not in self._layouts:
            columns = {
                key: self._columns.setdefault(name, Column()) for key, name in zip(keys, _names(keys), strict=True)
            }
            if len(self._columns) > min(MAX_HPARAMS, MAX_CELLS // self.rows):
                many = len(self._columns)
                raise CorpusError(f"{self.rows:,} runs have at least {many:,} different hyperparameters, too many")
            if len(self._layouts) >= MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[keys] = Layout(columns, sample)
        return self._layouts[keys]

    def copy(self, rows: Mapping[int, int]) -> None:
        """Give rows the hyperparameters of other rows: {row: the row that it copies}."""
        self._copies.update(rows)

    def finish(self, *, repaired: bool = False) -> dict[str, pd.Series]:
        """Return the columns, alphabetically, see `Column.finish`."""
        order = np.arange(self.rows)
        order[list(self._copies)] = list(self._copies.values())
        found = {}
        for name in sorted(self._columns):
            values = self._columns.pop(name).finish(self.rows, repaired=repaired)
            found[HP_PREFIX + name] = values.take(order).reset_index(drop=True) if self._copies else values
        return found


def expand(hparams: Sequence[object]) -> pd.DataFrame:
    """Turn one dict a run into columns ``hp_<name>``, alphabetically; a run whose cell is no dict has only nulls.

    Parameters
    ----------
    hparams : sequence of dict or None
        Keys are str or bytes, values numbers, text, flags or None.

    Returns
    -------
    DataFrame
        Numbers as float64, int64 or Int64, text as categories, all else as objects; `to_hyperparameter` judges them.

    Raises
    ------
    CorpusError
        A key is not text, two keys of a dict have the same spelling, or there are more than `MAX_HPARAMS` names or
        `MAX_CELLS` cells.
    """
    table = HparamTable()
    for start in range(0, len(hparams), TOGETHER):
        table.add(hparams[start : start + TOGETHER])
    return pd.DataFrame(table.finish(), index=range(len(hparams)))


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
    if is_text(values):
        return to_text(values), np.zeros(len(values), dtype=bool)
    if values.dtype == np.float64 and not (infinite := np.isinf(values.to_numpy())).any():
        return values, infinite
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
    return pd.Series(np.where(infinite, np.nan, number) if infinite.any() else number, copy=False), infinite


def _spell(objects: NDArray[np.object_], null: NDArray[np.bool_]) -> pd.Series:
    """Return a column of categories as text."""
    objects[null] = None
    codes, uniques = pd.factorize(objects)
    words = as_objects([*(decode_text(word) if isinstance(word, str | bytes) else str(word) for word in uniques), None])
    return text_series(words, codes)


def configurations(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each run's hyperparameters as a dict of plain Python values, without nulls; the inverse of `expand`."""
    table = {column.removeprefix(HP_PREFIX): runs[column] for column in hparam_columns(runs)}
    present = {name: values.notna().to_numpy() for name, values in table.items()}
    plain = {name: values.astype(object).tolist() for name, values in table.items()}
    return [{name: plain[name][i] for name in plain if present[name][i]} for i in range(len(runs))]
