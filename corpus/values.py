"""Columns of whatever a source wrote, as columns of one clean type.

Sources write numbers as int, float or NumPy scalar, text as bytes or str, and nothing at all as None or NaN. Every
function here takes one column and works on all of its rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_NUMBERS = (int, float, np.integer, np.floating)


def as_objects(values: object) -> NDArray[np.object_]:
    """Return a column as a one-dimensional object array, nulls of every spelling as they are."""
    if isinstance(values, pd.Series):
        return values.to_numpy(dtype=object)
    column = list(values) if isinstance(values, Iterable) else [values]
    out = np.empty(len(column), dtype=object)
    out[:] = column
    return out


def decode_text(value: object) -> str | None:
    """Return text as str (bytes as UTF-8, else as Latin-1), None for anything that is not text or is empty."""
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            value = value.decode("latin1")
    return str(value) if isinstance(value, str) and value else None


def to_text(values: object) -> pd.Series:
    """Return a column of str; whatever is not text (a number, a list, empty text) is null."""
    objects = as_objects(values)
    if not set(map(type, objects)) <= {str, bytes, type(None), float}:
        objects = as_objects([value if isinstance(value, str | bytes) else None for value in objects])
    codes, uniques = pd.factorize(objects)
    words = as_objects([*map(decode_text, uniques), None])
    return pd.Series(words[codes], dtype=None if any(map(bool, words)) else object)


def to_number(values: object) -> NDArray[np.float64]:
    """Return a column as float64; None and whatever is not a number become NaN, infinities stay.

    Text that spells a number is read as one ("nan", "1e3"), as some sources print their losses.
    """
    if isinstance(values, pd.Series) and values.dtype.kind in "fiub":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    objects = as_objects(values)
    if set(map(type, objects)) <= {int, float, type(None)}:
        try:
            return objects.astype(np.float64)
        except OverflowError:  # an int beyond float64: handled below, one value at a time
            pass
    return np.array([_number(value) for value in objects], dtype=np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever float() refuses is not a number
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return np.nan


def to_integer(values: object, low: int = 0) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a column as int64 and where it holds a usable integer (whole, at least `low`, below 2**63); else 0.

    Values above 2**53 are exact only where the source holds integers.
    """
    if isinstance(values, pd.Series) and values.dtype == np.int64:
        exact = values.to_numpy()
        return np.where(exact >= low, exact, 0), exact >= low
    number = to_number(values)
    with np.errstate(invalid="ignore"):
        usable = (number >= low) & (number < 2.0**63) & (number == np.floor(number))
    whole = np.zeros(len(number), dtype=np.int64)
    big = usable & (number >= 2.0**53)
    whole[usable & ~big] = number[usable & ~big].astype(np.int64)
    if big.any():
        whole[big] = [int(value) for value in as_objects(values)[big]]
    return whole, usable


def integer_series(values: NDArray[np.int64], valid: NDArray[np.bool_]) -> pd.Series:
    """Return int64 where every row is valid, nullable Int64 otherwise."""
    return pd.Series(values) if valid.all() else pd.Series(pd.arrays.IntegerArray(values.copy(), ~valid))
