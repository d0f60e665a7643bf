"""The encoder: runs and queries become the columns that the surrogate sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..corpus.schema import HP_PREFIX, SETUP
from .architecture import ARCHITECTURES
from .derived import Names, derive
from .hyperparameters import Hyperparameter, distinct, encode_category
from .task_sizes import TaskSizes, hidden_units, infer_task_sizes

SETUP_FEATURES: Final = ("architecture", "task_type", "n_layers", "log_max_params", "log_hidden_units")
"""Features that describe the setup; no hyperparameter may have such a name."""
Table = pd.DataFrame | Mapping[str, Any]
"""Rows as columns: a frame, or a mapping from column name to an array of shape (n_rows,)."""


@dataclass(frozen=True)
class Encoder:
    """Turns runs or queries into the feature matrix; the same object for both.

    Parameters
    ----------
    architectures, tasks : tuple of str
        The known categories, sorted; a code is an index into them.
    hyperparameters : dict
        Name to `Hyperparameter`, in the order of the columns.
    task_sizes : dict
        Task to (inputs, outputs) of its networks, for the hidden units.
    features : tuple of str
        Names of the columns of the matrix. The setup and the hyperparameters come first, under their own names, then
        what is derived from them (see `features.derived`); a corpus's own hyperparameter wins over a derived column of
        its name.
    """

    architectures: tuple[str, ...]
    tasks: tuple[str, ...]
    hyperparameters: dict[str, Hyperparameter]
    task_sizes: TaskSizes
    features: tuple[str, ...]

    @classmethod
    def fit(cls, runs: pd.DataFrame) -> Encoder:
        """Learn categories, scales and task sizes from a table of runs in the corpus schema.

        Columns that no run has a value in are left out.

        Raises
        ------
        ValueError
            The table is empty, or a hyperparameter is named like one of `SETUP_FEATURES`.
        """
        if runs.empty:
            raise ValueError("An encoder needs at least one run to be fitted on, got an empty table.")
        clash = sorted({HP_PREFIX + name for name in SETUP_FEATURES} & set(runs))
        if clash:
            raise ValueError(
                f"The hyperparameters {', '.join(clash)} are named like features of the setup; rename them."
            )
        names = [str(column) for column in runs if str(column).startswith(HP_PREFIX) and runs[column].notna().any()]
        hyperparameters = {
            name.removeprefix(HP_PREFIX): Hyperparameter.from_values(name.removeprefix(HP_PREFIX), runs[name])
            for name in sorted(names)
        }
        draft = cls(
            tuple(sorted(runs["architecture"].astype(str).unique())),
            tuple(sorted(runs["task_type"].astype(str).unique())),
            hyperparameters,
            infer_task_sizes(runs),
            (),
        )
        columns = draft._columns(runs)
        features = tuple(name for name, values in columns.items() if not np.isnan(values).all())
        return cls(draft.architectures, draft.tasks, draft.hyperparameters, draft.task_sizes, features)

    @property
    def categorical(self) -> list[str]:
        """The features whose numbers are codes without an order."""
        chosen = [name for name, item in self.hyperparameters.items() if item.scale == "category"]
        return [name for name in ("architecture", "task_type", *chosen) if name in self.features]

    def transform(self, rows: Table, *, strict: bool = True) -> NDArray[np.float64]:
        """Return the feature matrix of shape (n_rows, n_features).

        Parameters
        ----------
        rows : DataFrame or mapping
            Runs or queries: the columns of a setup, and ``hp_<name>`` for each hyperparameter that a row may have.
            A hyperparameter that is null or whose column is missing counts as absent. Losses are never looked at.
        strict : bool, default True
            Whether an unknown category is an error; else it counts as absent.

        Raises
        ------
        ValueError
            If a column of the setup is missing, or a category is unknown (named, with the known ones and the nearest
            spelling).
        """
        missing = [name for name in SETUP if name not in rows]
        if missing:
            raise ValueError(f"Rows to encode need the columns {', '.join(SETUP)}; missing: {', '.join(missing)}.")
        columns = self._columns(rows, strict)
        return np.column_stack([columns[name] for name in self.features])

    def hidden_units(self, rows: Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (units a layer, trained parameters) of every row, NaN where the architecture or task is unknown."""
        return hidden_units(
            np.asarray(rows["architecture"], dtype=object),
            np.asarray(rows["task_type"], dtype=object),
            np.asarray(rows["n_layers"], dtype=np.float64),
            np.asarray(rows["max_params"], dtype=np.float64),
            self.task_sizes,
        )

    def check_width(self, architecture: str, task: str, n_layers: int, max_params: int) -> None:
        """Raise ValueError if the parameter budget cannot hold one hidden unit a layer (where sizes are known)."""
        if architecture not in ARCHITECTURES or task not in self.task_sizes:
            return
        least = int(ARCHITECTURES[architecture].num_params(1, n_layers, *self.task_sizes[task]))
        if max_params < least:
            raise ValueError(
                f"params={max_params} cannot hold one hidden unit: {architecture} of {n_layers} layers on {task} needs "
                f"at least {least} parameters."
            )

    def _columns(self, rows: Table, strict: bool = True) -> dict[str, NDArray[np.float64]]:
        architecture = np.asarray(rows["architecture"], dtype=object)
        size = len(architecture)

        def get(name: str) -> NDArray[np.float64]:
            column, item = HP_PREFIX + name, self.hyperparameters.get(name)
            if column not in rows or (item is not None and item.scale == "category"):
                return np.full(size, np.nan)
            values = pd.Series(rows[column])
            if item is None:  # the corpus may lack it where other cells have its like
                values = pd.to_numeric(values, errors="coerce")
            return pd.to_numeric(values).to_numpy(np.float64, na_value=np.nan)

        def names(name: str) -> Names:
            if name != "architecture" and HP_PREFIX + name not in rows:
                return np.full(size, "", dtype=object)
            values = pd.Series(rows["architecture" if name == "architecture" else HP_PREFIX + name], dtype=object)
            return values.fillna("").astype(str).str.lower().to_numpy(object)

        def known(values: Any, choices: tuple[str, ...]) -> Any:
            if strict:
                return values
            texts = pd.Series(values, dtype=object)
            return texts.where(texts.isna() | texts.astype(str).isin(choices), None)

        def code(values: Any, choices: tuple[str, ...], what: str) -> NDArray[np.float64]:
            return encode_category(known(values, choices), choices, what=what)

        params = np.log(np.asarray(rows["max_params"], dtype=np.float64))
        units, _ = self.hidden_units(rows)
        log_units = np.log(np.where(units > 0, units, np.nan))
        columns = {
            "architecture": encode_category(
                known(architecture, self.architectures), self.architectures, what="architecture"
            ),
            "task_type": encode_category(known(rows["task_type"], self.tasks), self.tasks, what="task"),
            "n_layers": np.asarray(rows["n_layers"], dtype=np.float64),
            "log_max_params": params,
            "log_hidden_units": log_units,
        }
        for name, item in self.hyperparameters.items():
            if HP_PREFIX + name not in rows:
                columns[name] = np.full(size, np.nan)
            else:
                values = rows[HP_PREFIX + name]
                columns[name] = item.encode(known(values, item.choices) if item.scale == "category" else values)
        derived = derive(get, lambda name: np.log(get(name)), names, log_units, params)
        return columns | {name: values for name, values in derived.items() if name not in self.hyperparameters}

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {
            "architectures": list(self.architectures),
            "tasks": list(self.tasks),
            "hyperparameters": [item.to_dict() for item in self.hyperparameters.values()],
            "task_sizes": {task: list(pair) for task, pair in self.task_sizes.items()},
            "features": list(self.features),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Encoder:
        """Rebuild from `to_dict`, or from its JSON."""
        items = [Hyperparameter.from_dict(item) for item in data["hyperparameters"]]
        return cls(
            distinct(data["architectures"], "architectures"),
            distinct(data["tasks"], "tasks"),
            {item.name: item for item in items},
            {task: (pair[0], pair[1]) for task, pair in data["task_sizes"].items()},
            tuple(data["features"]),
        )
