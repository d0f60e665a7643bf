"""Columns of whatever a source wrote, as columns of one clean type.

Sources write numbers as int, float or NumPy scalar, text as bytes or str, and nothing at all as None or NaN. Every
function here takes one column and works on all of its rows at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import NoneType

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from .errors import whole_characters

_NUMBERS = (int, float, np.integer, np.floating)

_TEXT_DTYPE = pd.Series(["text"]).dtype
"""str from pandas 3 on, object before."""


def as_objects(values: Iterable[object]) -> NDArray[np.object_]:
    """Return a column as a one-dimensional object array, whatever its cells are; a copy."""
    if isinstance(values, pd.Series):
        return np.array(values.to_numpy(dtype=object))
    return np.fromiter(values, dtype=object)


def compact(objects: NDArray[np.object_]) -> pd.Series:
    """Return a column of Python objects in a quarter of the memory, without a loss.

    Integers and None become Int64, floats, integers and None float64; any other column stays as it is.
    """
    kinds = set(map(type, objects))
    try:
        if kinds <= {float, int, NoneType} and float in kinds:
            return pd.Series(objects.astype(np.float64))
        if kinds <= {int, NoneType}:
            null = np.asarray(pd.isna(objects))
            return pd.Series(pd.arrays.IntegerArray(np.where(null, 0, objects).astype(np.int64), null))
    except OverflowError:  # an integer beyond 64 bits stays exact
        pass
    return pd.Series(objects, dtype=object)


def decode_text(value: object) -> str | None:
    """Return text as str (bytes as UTF-8, else as Latin-1), None for anything that is not text or is empty.

    Half a character (a lone surrogate, as JSON's ``"\\ud800"`` spells it), which no file can hold, becomes U+FFFD.
    """
    if isinstance(value, bytes):
        value = repair(value.decode("latin1"))
    return whole_characters(str(value)) if isinstance(value, str) and value else None


def repair_text(objects: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return a column in which text that Python 2 wrote as bytes is read as UTF-8 where it can be.

    A pickle of Python 2 does not tell text from bytes, so that its text is read as Latin-1 first: "naÃ¯ve" was "naïve".
    """
    texts = {value for value in objects if type(value) is str}
    repaired = {text: repair(text) for text in texts if not text.isascii()}
    if not repaired:
        return objects
    return as_objects(repaired.get(value, value) if type(value) is str else value for value in objects)


def repair(text: str) -> str:
    """Return one text as `repair_text` does."""
    try:
        return text.encode("latin1").decode("utf-8")
    except UnicodeError:
        return text


def is_text(values: pd.Series) -> bool:
    """Return whether all values of a column are text or null, and it says so itself: categories, pandas' own str."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return set(map(type, values.cat.categories)) <= {str}
    return isinstance(values.dtype, pd.StringDtype)


def to_text(values: pd.Series) -> pd.Series:
    """Return a column of str; whatever is not text (a number, a list, empty text) is null."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _decoded(values.cat.codes.to_numpy(), values.cat.categories)
    if isinstance(values.dtype, pd.StringDtype):
        return _decoded(*pd.factorize(values))
    objects = as_objects(values)
    if not set(map(type, objects)) <= {str, bytes, type(None), float}:
        objects = as_objects([value if isinstance(value, str | bytes) else None for value in objects])
    return _decoded(*pd.factorize(objects))


def _decoded(codes: NDArray[np.integer], uniques: Iterable[object]) -> pd.Series:
    return text_series(as_objects([*map(decode_text, uniques), None]), codes)


def to_number(values: pd.Series | NDArray[np.object_]) -> NDArray[np.float64]:
    """Return a column as float64; None and whatever is not a number become NaN, infinities stay.

    Text that spells a number is read as one ("nan", "1e3"), as some sources print their losses.
    """
    if isinstance(values, pd.Series) and values.dtype == np.float64:
        return values.to_numpy()
    if isinstance(values, pd.Series) and values.dtype.kind in "fiub":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    objects = as_objects(values)
    odd = [row for row, kind in enumerate(map(type, objects)) if kind is not float]
    if odd:
        objects[odd] = [_number(value) for value in objects[odd]]
    return objects.astype(np.float64)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # whatever float() refuses is not a number
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return np.nan


def to_integer(values: pd.Series | NDArray[np.object_], low: int = 0) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return a column as int64 and where it holds a usable integer (whole, at least `low`, below 2**63); else 0.

    Values above 2**53 are exact only where the source holds integers.
    """
    if isinstance(values, pd.Series) and values.dtype.kind == "i":
        whole = values.to_numpy(dtype=np.int64, na_value=0)
        usable = values.notna().to_numpy() & (whole >= low)
        return np.where(usable, whole, 0), usable
    number = to_number(values)
    with np.errstate(invalid="ignore"):
        usable = (number >= low) & (number < 2.0**63) & (number == np.floor(number))
    whole = np.zeros(len(number), dtype=np.int64)
    big = usable & (np.abs(number) >= 2.0**53)
    whole[usable & ~big] = number[usable & ~big].astype(np.int64)
    if big.any():
        whole[big] = [int(value) for value in as_objects(values)[big]]
    return whole, usable


def integer_series(values: NDArray[np.int64], valid: NDArray[np.bool_]) -> pd.Series:
    """Return int64 where every row is valid, nullable Int64 otherwise."""
    return pd.Series(values if valid.all() else pd.arrays.IntegerArray(values, ~valid), copy=False)


def text_series(words: NDArray[np.object_], codes: NDArray[np.integer]) -> pd.Series:
    """Return a column of str and null, in pandas' own type for text; `codes` are indices of `words`, -1 the last."""
    if not isinstance(_TEXT_DTYPE, pd.StringDtype):
        return pd.Series(words[codes], dtype=object)
    at = pa.array(np.where(codes < 0, len(words) - 1, codes))
    column = pa.array(words, type=pa.large_string()).take(at)
    return pd.Series(_TEXT_DTYPE.__from_arrow__(column), copy=False)  # type: ignore[attr-defined]  # not in the stubs
