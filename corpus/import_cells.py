"""Cells of a foreign table as columns of the corpus: items, replacements, and types that do not depend on the format.

A text table has "3", "0.5" and "True" where JSON has 3, 0.5 and true: both become the same column here.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from types import NoneType
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .errors import CorpusError, printable
from .import_map import Entry
from .schema import COLUMNS
from .values import as_objects, compact, to_integer, to_number

NO_NUMBER: Final = frozenset({"nan", "none", "null", "na", "n/a"})
"""Words, in any case, that stand for no number in a column of numbers."""
FLAGS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""Words, in any case, for flags."""
_EXACT: Final = 2.0**53
"""Whole numbers below it are exact as float64."""
_STRANGER: Final = object()
"""Stands for a cell that is no number."""


def convert(entry: Entry, rows: pd.DataFrame, where: str) -> pd.Series:
    """Return one column of the corpus.

    Parameters
    ----------
    entry : Entry
        What it is and where it comes from.
    rows : DataFrame
        The foreign table.
    where : str
        Its name in messages.

    Returns
    -------
    Series
        Text, flags or numbers, as the schema asks; a hyperparameter is numbers if all of its cells are, text otherwise.

    Raises
    ------
    CorpusError
        A cell is not what the column needs.
    """
    if entry.column is None:
        return pd.Series([entry.constant] * len(rows), dtype=object)
    what = f"{where}: column {entry.column!r} ({entry.target})"
    cells = _replaced(selected(rows, entry), entry)
    kind = COLUMNS[entry.target].kind if entry.target in COLUMNS else None
    if kind == "text":
        return spelled(cells)
    if kind == "flag":
        return _flags(cells, what)
    if entry.category:
        return spelled(cells)
    numbers, strangers = _numbers(cells)
    if kind is None:
        return spelled(cells) if strangers.any() else numbers
    _check(strangers, cells, f"{what} must hold numbers", "nan")
    if entry.budgets:
        return _budgeted(numbers, entry.budgets, what)
    if kind == "integer" and not COLUMNS[entry.target].required:
        usable = to_integer(numbers)[1]
        _check(~usable & numbers.notna().to_numpy(), cells, f"{what} must hold whole numbers of at least 0", "nan")
    return numbers


def selected(rows: pd.DataFrame, entry: Entry) -> pd.Series:
    """Return the cells that an entry reads, before `values`: its column, or an item of each list in it."""
    cells, item = _hashable(rows[entry.column]), entry.item
    return cells if item is None else _each(cells, lambda cell: _item(cell, item, entry))


def spelled(cells: pd.Series) -> pd.Series:
    """Return cells as a text table would spell them, null where they are null."""
    return _each(_hashable(cells), _spell)


def _replaced(cells: pd.Series, entry: Entry) -> pd.Series:
    return _each(cells, lambda cell: entry.values.get(_spell(cell), cell)) if entry.values else cells


def _each(cells: pd.Series, function: Callable[[object], object]) -> pd.Series:
    """Apply a function to each different cell; null stays None, and a NaN that comes out is None."""
    codes, uniques = pd.factorize(as_objects(cells))
    new = as_objects([*map(function, uniques), None])
    new[np.asarray(pd.isna(new))] = None
    return pd.Series(new[codes], dtype=object)


def _hashable(cells: pd.Series) -> pd.Series:
    """Return cells with lists and objects spelled as JSON."""
    objects = as_objects(cells)
    if set(map(type, objects)) & {list, tuple, dict, np.ndarray}:
        objects = as_objects(map(_dumped, objects))
    return pd.Series(objects, dtype=object)


def _dumped(cell: object) -> object:
    return json.dumps(cell, default=_plain) if isinstance(cell, list | tuple | dict | np.ndarray) else cell


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _item(cell: object, item: int, entry: Entry) -> object:
    """Return an item of a list that a cell spells, None where it has none; what is no list is its own item 0 and -1."""
    listed = isinstance(cell, str) and cell.strip()[:1] in ("[", "(")
    try:
        items = ast.literal_eval(str(cell).strip()) if listed else [cell]
        items = items if isinstance(items, list | tuple) else [items]
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise CorpusError(
            f"column {entry.column!r} ({entry.target}): item needs lists of numbers or text, e.g. [0.5, 0.25], but one "
            f"cell is {printable(repr(cell))}; correct it in the file, or leave item out."
        ) from None
    return _dumped(items[item]) if -len(items) <= item < len(items) else None


def _spell(cell: object) -> str:
    """Return a cell as text: whole numbers without a point, flags as True and False."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer() and abs(float(cell)) < _EXACT:
        return str(int(cell))
    return str(cell)


def _flags(cells: pd.Series, what: str) -> pd.Series:
    flags = _each(cells, lambda cell: FLAGS.get(_spell(cell).strip().lower()))
    _check((flags.isna() & cells.notna()).to_numpy(), cells, f"{what} must hold flags ({', '.join(FLAGS)})", "true")
    return flags


def _numbers(cells: pd.Series) -> tuple[pd.Series, NDArray[np.bool_]]:
    """Return a column as numbers (integers where all are whole), and where its cells are no numbers."""
    numbers = _plain_numbers(as_objects(cells))
    strangers = np.zeros(len(cells), dtype=bool)
    if numbers is None:
        parsed = as_objects(_each(cells, _parse))
        strangers = np.array([cell is _STRANGER for cell in parsed], dtype=bool)
        parsed[strangers] = None
        numbers = compact(parsed)
    if numbers.dtype.kind == "f":
        known = numbers.dropna()
        if ((known == np.floor(known)) & (known.abs() < _EXACT)).all():
            numbers = numbers.astype("Int64")
    return numbers, strangers


def _plain_numbers(objects: NDArray[np.object_]) -> pd.Series | None:
    """Return what `_parse` makes of a column, at once; None where a cell is a word or not exact as float64."""
    if not set(map(type, objects)) <= {str, int, float, NoneType}:
        return None
    try:
        numbers = pd.Series(objects.astype(np.float64))
    except (ValueError, OverflowError):
        return None
    return None if (numbers.abs() >= _EXACT).any() else numbers


def _parse(cell: object) -> object:
    if isinstance(cell, np.generic):
        cell = cell.item()
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        return cell
    if not isinstance(cell, str):
        return _STRANGER
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return None if cell.strip().lower() in NO_NUMBER else _STRANGER


def _budgeted(sizes: pd.Series, budgets: tuple[int, ...], what: str) -> pd.Series:
    """Return for each size the smallest budget that holds it."""
    number = to_number(sizes)
    if np.nanmax(number, initial=0) > budgets[-1]:
        raise CorpusError(f"{what} has sizes up to {np.nanmax(number):,.0f}, above the largest of the budgets, "
                          f"{budgets[-1]:,}; add a larger one.")  # fmt: skip
    held = np.append(budgets, budgets[-1])[np.searchsorted(budgets, number)]
    return pd.Series(np.where(np.isnan(number), np.nan, held))


def _check(wrong: NDArray[np.bool_], cells: pd.Series, rule: str, instead: str) -> None:
    """Raise CorpusError if any cell is wrong, with the first of them and how to map it."""
    if wrong.any():
        first = _spell(cells[wrong].iloc[0])
        raise CorpusError(
            f"{rule}, but {int(wrong.sum()):,} of {len(cells):,} rows do not, e.g. {printable(repr(first))}; say what "
            f"that means in the map: values = {{ {json.dumps(first)} = {instead} }}"
            + (" (nan: no value)." if instead == "nan" else ".")
        )
