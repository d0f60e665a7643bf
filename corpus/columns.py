"""Columns of millions of Python values, filled part by part without a look at each value in Python.

Rows that are written alike (the same keys, the same kinds of values) are read together, as a `Layout` says: their
numbers are packed by one C call a row, their texts become codes. A `Column` collects what all parts gave it, and
becomes a pandas column in the end.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping, Sequence
from itertools import compress, starmap
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import whole_characters
from .values import as_objects, compact, repair, repair_text, to_number

_FORMATS: Final[dict[type, str]] = {float: "d", int: "q"}
"""How the module `struct` packs a number, in 8 bytes."""
_ONE: Final = np.float64(1).view(np.uint64)


class _Numbering(dict[str, int]):
    """Numbers texts in the order in which they are first looked up."""

    def __missing__(self, text: str) -> int:
        number = self[text] = len(self)
        return number


class Column:
    """One column of a table under construction; rows that no part fills are null."""

    __slots__ = ("_codes", "_parts")

    def __init__(self) -> None:
        self._parts: list[tuple[slice | NDArray[np.intp], NDArray[Any]]] = []
        self._codes = _Numbering()

    def encode(self, values: Sequence[object]) -> NDArray[Any]:
        """Return values as an array: float64, int64, codes of texts and flags, else objects; empty if all are None."""
        kinds = set(map(type, values))
        if kinds == {bool}:
            values, kinds = list(map(str, values)), {str}
        if kinds == {str}:
            return np.fromiter(map(self._codes.__getitem__, values), dtype=np.uint32, count=len(values))  # type: ignore[arg-type]
        if kinds == {type(None)}:
            return np.empty(0)
        found = as_objects(values)
        try:
            if float in kinds and kinds <= {float, int, type(None)}:
                return found.astype(np.float64)
            return found.astype(np.int64) if kinds == {int} else found
        except OverflowError:  # an integer beyond 64 bits stays exact
            return found

    def add(self, rows: NDArray[np.intp], values: NDArray[Any]) -> None:
        """Give some rows, in ascending order, their values, as `encode` returns them."""
        if not len(values):
            return
        whole = rows[-1] - rows[0] + 1 == len(rows)
        self._parts.append((slice(rows[0], rows[-1] + 1) if whole else rows, values))

    def finish(self, rows: int, *, repaired: bool = False) -> pd.Series:
        """Return the column: floats, integers, categories of text, or whatever else the objects are.

        With `repaired`, text is read as UTF-8 where it was read as Latin-1 by mistake, see `values.repair_text`.
        """
        kinds = {values.dtype.kind for _, values in self._parts}
        if kinds == {"u"}:
            return self._texts(rows, repaired)
        if kinds <= {"f", "i"} and "f" in kinds:
            return pd.Series(self._fill(np.full(rows, np.nan)), copy=False)
        if kinds == {"i"}:
            return self._integers(rows)
        objects = self._objects(rows)
        return compact(repair_text(objects) if repaired else objects)

    def _objects(self, rows: int) -> NDArray[np.object_]:
        objects, words = np.full(rows, None, dtype=object), as_objects(self._codes)
        for where, values in self._parts:
            objects[where] = words[values] if values.dtype.kind == "u" else values.astype(object)
        return objects

    def _texts(self, rows: int, repaired: bool) -> pd.Series:
        words = [word if word.isascii() else _readable(word, repaired) for word in self._codes]
        known = dict(zip(dict.fromkeys(words), range(len(words)), strict=False))
        merged = np.array([*map(known.__getitem__, words), -1], dtype=np.int32)  # repaired words may coincide
        codes = self._fill(np.full(rows, -1, dtype=np.int32))
        return pd.Series(pd.Categorical.from_codes(merged[codes], categories=pd.Index(list(known))), copy=False)

    def _integers(self, rows: int) -> pd.Series:
        numbers = self._fill(np.zeros(rows, dtype=np.int64))
        null = np.ones(rows, dtype=bool)
        for where, _ in self._parts:
            null[where] = False
        return pd.Series(pd.arrays.IntegerArray(numbers, null) if null.any() else numbers, copy=False)

    def _fill(self, column: NDArray[Any]) -> NDArray[Any]:
        for where, values in self._parts:
            column[where] = values
        return column


def _readable(word: str, repaired: bool) -> str:
    return whole_characters(repair(word) if repaired else word)


class NumberColumn(Column):
    """A column of numbers, whatever a source writes into it: what is no number becomes NaN, see `values.to_number`."""

    __slots__ = ()

    def encode(self, values: Sequence[object]) -> NDArray[Any]:
        """Return values as float64."""
        return to_number(as_objects(values))


class Layout:
    """How rows of the same keys become arrays; it learns which of the values are numbers.

    Parameters
    ----------
    columns : dict of Column
        The column of each key; for rows that are tuples, the keys are their positions.
    sample : dict or tuple
        One of the rows.
    """

    __slots__ = ("_columns", "_kinds", "_pack", "_packed")

    def __init__(self, columns: Mapping[Any, Column], sample: Any) -> None:
        self._columns = columns
        self._kinds: dict[Hashable, type] = {key: type(sample[key]) for key in columns}
        self._plan()

    def _plan(self) -> None:
        """Decide which keys are packed; a single one would not be worth it."""
        self._packed = [key for key, kind in self._kinds.items() if kind in _FORMATS]
        self._packed = self._packed if len(self._packed) > 1 else []
        self._pack = struct.Struct("=" + "".join(_FORMATS[self._kinds[key]] for key in self._packed)).pack

    def read(self, items: Sequence[Any], rows: NDArray[np.intp]) -> None:
        """Add rows to the columns.

        Raises
        ------
        KeyError
            A row lacks a key; no column has changed then.
        """
        found = self._numbers(items)
        found |= {
            key: column.encode(list(map(itemgetter(key), items)))
            for key, column in self._columns.items()
            if key not in found
        }
        for key, values in found.items():
            self._columns[key].add(rows, values)

    def _numbers(self, items: Sequence[Any]) -> dict[Hashable, NDArray[Any]]:
        """Return the packed columns, if all of their values are numbers of the expected kind."""
        if not self._packed:
            return {}
        try:
            raw = b"".join(starmap(self._pack, map(itemgetter(*self._packed), items)))
        except (struct.error, OverflowError):
            return self._learn(items)
        block = np.ascontiguousarray(np.frombuffer(raw, dtype=np.uint64).reshape(len(items), -1).T)
        found = {key: bits.view(f"={_KINDS[self._kinds[key]]}8") for key, bits in zip(self._packed, block, strict=True)}
        flags = [key for key, bits in zip(self._packed, block, strict=True) if _has_flag(key, bits, items)]
        return {key: values for key, values in found.items() if key not in flags}

    def _learn(self, items: Sequence[Any]) -> dict[Hashable, NDArray[Any]]:
        """Read the numbers one column at a time, and remember what they turn out to be."""
        found = {key: self._columns[key].encode(list(map(itemgetter(key), items))) for key in self._packed}
        for key in found:
            kinds = set(map(type, map(itemgetter(key), items)))
            self._kinds[key] = float if kinds == {float, int} else kinds.pop() if len(kinds) == 1 else object
        self._plan()
        return found


_KINDS: Final = {float: "f", int: "i"}


def _has_flag(key: Hashable, bits: NDArray[np.uint64], items: Sequence[Any]) -> bool:
    """Return whether True or False is among the packed values of a key: packing takes them for 1 and 0."""
    like = (bits <= 1) | (bits == _ONE)
    return bool(like.any()) and bool in map(type, map(itemgetter(key), compress(items, like)))
