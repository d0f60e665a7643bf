"""The map of an import: which column of a foreign table is which column of the corpus.

A map is a TOML file; ``docs/import.md`` explains every key. Whatever it does not allow is refused when it is read, not
when the table is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .errors import CorpusError, did_you_mean
from .schema import COLUMNS, HP_PREFIX, LOSSES
from .toml_file import check_values, read_toml

Value = str | int | float
FORMATS: Final = ("csv", "tsv", "jsonl", "parquet")
OUTCOMES: Final = (*LOSSES, "diverged", "steps_done", "wall_seconds")
"""Columns that a run has only once it is over: they may not be hyperparameters as well."""
_TARGETS: Final = tuple(name for name in COLUMNS if name != "source")
_NEEDED: Final = ("architecture", "task_type")
_KEYS: Final = ("source", "format", "separator", "study", "higher_is_better", "perfect_score", "run", "hparams", "keep")
_COLUMN_KEYS: Final = ("values", "item", "category", "budgets")
_NAME: Final = re.compile(r"[A-Za-z0-9_.+-]+")


@dataclass(frozen=True)
class Entry:
    """Where one column of the corpus comes from: a column of the table, or a constant.

    Parameters
    ----------
    target : str
        Column of the corpus: one of the schema, or ``hp_<name>``.
    column : str or None
        Column of the table; None for a constant.
    constant : str, number, bool or None
        The same value in every run; None for a column.
    values : dict
        Cell, spelled out, to what stands for it (NaN: null); other cells stay as they are.
    item : int or None
        The cells are lists: take this item, counted from 0, or from the end if negative.
    category : bool
        Numbers are names: a hyperparameter's values are compared as text, and none between them is recommended.
    budgets : tuple of int
        Ascending; each size is replaced by the smallest budget that holds it. Only for ``max_params``.
    """

    target: str
    column: str | None = None
    constant: Value | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    item: int | None = None
    category: bool = False
    budgets: tuple[int, ...] = ()

    @property
    def is_hparam(self) -> bool:
        """Whether it is a hyperparameter."""
        return self.target.startswith(HP_PREFIX)


@dataclass(frozen=True)
class ImportMap:
    """What the columns of a foreign table mean; `read_map` and `ImportMap.from_dict` build it.

    Parameters
    ----------
    where : str
        The map's name in messages.
    source : str
        `source` of the imported runs.
    entries : dict of Entry
        Target to where it comes from.
    format : str or None
        One of `FORMATS`; None: the file's name tells.
    separator : str or None
        Between the cells of a text table; None: a tab in TSV, a comma in CSV.
    studies : tuple of str or None
        Studies of an Optuna storage; None: all.
    higher_is_better : bool or None
        Whether the table's losses are scores; None: no, or what the Optuna study says.
    perfect_score : float or None
        The loss is this minus the score; None: the loss is the negative of the score.
    keep : dict
        Column of the table to the cells, spelled out, of the rows that are imported. Empty: all rows.
    """

    where: str
    source: str
    entries: Mapping[str, Entry]
    format: str | None = None
    separator: str | None = None
    studies: tuple[str, ...] | None = None
    higher_is_better: bool | None = None
    perfect_score: float | None = None
    keep: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the map") -> ImportMap:
        """Check a map and build it.

        Parameters
        ----------
        data : mapping
            What the TOML file holds.
        where : str, default "the map"
            What to call it in messages.

        Raises
        ------
        CorpusError
            A key is unknown or missing, or its value is not of the kind that it needs.
        """
        try:
            check_values(data)
        except ValueError as error:
            raise CorpusError(f"{where}: {error}.") from None
        check_names(data, _KEYS, f"{where}: unknown key", "keys of a map")
        study = data.get("study")
        found = cls(
            where=where,
            source=_text(data, "source", where) or _missing("source", where),
            entries=_entries(data, where),
            format=_text(data, "format", where),
            separator=_text(data, "separator", where),
            studies=None if study is None else _texts(study, f"{where}: study"),
            higher_is_better=_flag(data, "higher_is_better", where),
            perfect_score=_number(data, "perfect_score", where),
            keep={column: _texts(cells, f"{where}: keep.{column}") for column, cells in _table(data, "keep", where)},
        )
        found._check()
        return found

    def _check(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise CorpusError(
                f"{self.where}: format must be one of {', '.join(FORMATS)}, but is {self.format!r}; leave it out to go "
                f"by the file's name."
            )
        if self.separator is not None and len(self.separator) != 1:
            raise CorpusError(f"{self.where}: separator must be one character, but is {self.separator!r}.")
        if self.perfect_score is not None and self.higher_is_better is False:
            raise CorpusError(f"{self.where}: perfect_score is for scores; leave it out where higher is not better.")
        outcomes = {entry.column for entry in self.entries.values() if entry.target in OUTCOMES}
        for entry in self.entries.values():
            if entry.is_hparam and entry.column in outcomes:
                raise CorpusError(
                    f"{self.where}: column {entry.column!r} is an outcome of the run, so it cannot be the "
                    f"hyperparameter {entry.target.removeprefix(HP_PREFIX)!r} as well; drop that line."
                )


def read_map(path: str | os.PathLike[str]) -> ImportMap:
    """Read a map from a TOML file.

    Raises
    ------
    CorpusError
        The file is missing, no TOML, or no map.
    """
    path = Path(path)
    try:
        data = read_toml(path)
    except FileNotFoundError:
        raise CorpusError(f"{path} does not exist; give the TOML file that maps the columns.") from None
    return ImportMap.from_dict(data, path.name)


def check_names(given: Collection[str], known: Collection[str], unknown: str, kind: str) -> None:
    """Raise CorpusError on the first name that is not known: named, with the nearest spelling and the known ones."""
    for name in given:
        if name not in known:
            listed = ", ".join(map(repr, known))
            raise CorpusError(f"{unknown} {name!r}.{did_you_mean(name, known)} The {kind} are {listed}.")


def named_hparam(name: str, where: str) -> str:
    """Return the corpus's column of a hyperparameter.

    Raises
    ------
    CorpusError
        The name is not letters, digits and ``_ . + -``, begins with ``hp_``, or is a column of the schema.
    """
    if not _NAME.fullmatch(name):
        raise CorpusError(
            f"{where}: hyperparameter {name!r} has a name that models cannot keep; allowed are letters A to Z, digits "
            f"and _ . + -. Rename it under [hparams]: a_name = {name!r}."
        )
    if name.startswith(HP_PREFIX):
        raise CorpusError(f"{where}: name the hyperparameter {name!r} without the prefix {HP_PREFIX!r}.")
    if name in COLUMNS:
        raise CorpusError(f"{where}: {name!r} is a column of every run, not a hyperparameter; map it under [run].")
    return HP_PREFIX + name


def _entries(data: Mapping[str, Any], where: str) -> dict[str, Entry]:
    run = dict(_table(data, "run", where))
    check_names(run, _TARGETS, f"{where}: [run] has no", "columns of a run")
    entries = {target: _entry(target, given, f"{where}: run.{target}") for target, given in run.items()}
    for target in _NEEDED:
        if target not in run:
            _missing(target, f"{where}: [run]")
    for name, given in _table(data, "hparams", where):
        target = named_hparam(name, where)
        entries[target] = _entry(target, given, f"{where}: hparams.{name}")
    return entries


def _entry(target: str, given: object, where: str) -> Entry:
    if isinstance(given, str):
        given = {"column": given}
    elif isinstance(given, bool | int | float):
        given = {"constant": given}
    if not isinstance(given, dict):
        raise CorpusError(
            f"{where} must be a column's name, a number, or a table with column or constant; got {given!r}."
        )
    check_names(given, ("column", "constant", *_COLUMN_KEYS), f"{where}: unknown key", "keys")
    if ("column" in given) == ("constant" in given):
        raise CorpusError(f"{where} needs exactly one of column and constant, but has {_listed(given)}.")
    if "constant" in given:
        return _constant(target, given, where)
    return Entry(
        target,
        column=_text(given, "column", where),
        values=_values(given, where),
        item=_whole(given, "item", where),
        category=_category(target, given, where),
        budgets=_budgets(target, given, where),
    )


def _constant(target: str, given: dict[str, Any], where: str) -> Entry:
    if len(given) > 1:
        raise CorpusError(f"{where}: constant stands alone, but is with {_listed(set(given) - {'constant'})}.")
    constant = given["constant"]
    if target in LOSSES:
        raise CorpusError(f"{where} must be a column, not the constant {constant!r}: every run has its own.")
    if not isinstance(constant, str | int | float):
        raise CorpusError(f"{where}: constant must be text, a number or a flag, but is {constant!r}.")
    kind = COLUMNS[target].kind if target in COLUMNS else None
    if kind is not None and (kind == "text") != isinstance(constant, str):
        raise CorpusError(f"{where} is {_an(kind)}, so its constant cannot be {constant!r}; a column is named by "
                          f"{{ column = ... }} or by its name alone.")  # fmt: skip
    return Entry(target, constant=constant)


def _values(given: dict[str, Any], where: str) -> dict[str, Value]:
    values = given.get("values", {})
    if not isinstance(values, dict) or not all(isinstance(value, str | int | float) for value in values.values()):
        raise CorpusError(f"{where}: values must map cells to text, numbers or flags (nan: no value); got {values!r}.")
    return values


def _category(target: str, given: dict[str, Any], where: str) -> bool:
    if "category" in given and target in COLUMNS:
        raise CorpusError(f"{where}: category is for hyperparameters alone.")
    return bool(_flag(given, "category", where))


def _budgets(target: str, given: dict[str, Any], where: str) -> tuple[int, ...]:
    budgets = given.get("budgets", [])
    if "budgets" in given and target != "max_params":
        raise CorpusError(f"{where}: budgets are for max_params alone.")
    whole = isinstance(budgets, list) and all(type(size) is int and size > 0 for size in budgets)
    if not whole or budgets != sorted(set(budgets)) or ("budgets" in given and not budgets):
        raise CorpusError(f"{where}: budgets must be ascending whole numbers of at least 1; got {budgets!r}.")
    return tuple(budgets)


def _table(data: Mapping[str, Any], key: str, where: str) -> Collection[tuple[str, Any]]:
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise CorpusError(f"{where}: {key} must be a table, [{key}], but is {table!r}.")
    return table.items()


def _text(data: Mapping[str, Any], key: str, where: str) -> str | None:
    text = data.get(key)
    if key in data and (not isinstance(text, str) or not text):
        raise CorpusError(f"{where}: {key} must be text and not empty, but is {text!r}.")
    return text


def _texts(given: object, where: str) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise CorpusError(f"{where} must be text or a list of texts and not empty, but is {given!r}.")
    return tuple(texts)


def _flag(data: Mapping[str, Any], key: str, where: str) -> bool | None:
    flag = data.get(key)
    if key in data and not isinstance(flag, bool):
        raise CorpusError(f"{where}: {key} must be true or false, but is {flag!r}.")
    return flag


def _number(data: Mapping[str, Any], key: str, where: str) -> float | None:
    number = data.get(key)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < float("inf"):
        raise CorpusError(f"{where}: {key} must be a finite number, but is {number!r}.")
    return float(number)


def _whole(data: Mapping[str, Any], key: str, where: str) -> int | None:
    whole = data.get(key)
    if whole is not None and type(whole) is not int:
        raise CorpusError(f"{where}: {key} must be a whole number, but is {whole!r}.")
    return whole


def _missing(key: str, where: str) -> Any:
    raise CorpusError(f"{where} lacks {key}; docs/import.md has an example.")


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "neither"


def _an(kind: str) -> str:
    return {"text": "text", "integer": "a whole number", "number": "a number", "flag": "a flag"}[kind]
