"""One configuration of one setup at a time, encoded without a table: what a benchmark does thousands of times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..corpus.schema import SETUP
from .derived import derive
from .dimension import Floats, Value
from .encoder import SETUP_FEATURES, Encoder

_NOTHING: Final = float("nan")


class RowEncoder:
    """Encodes single configurations of one setup: the bits of `Encoder.transform`, without its overhead.

    Parameters
    ----------
    encoder : Encoder
        Whose columns to give.
    architecture, task, n_layers, max_params : str, str, int, int
        The setup.
    """

    def __init__(self, encoder: Encoder, architecture: str, task: str, n_layers: int, max_params: int) -> None:
        setup = dict(zip(SETUP, (architecture, task, float(n_layers), float(max_params)), strict=True))
        blank = encoder.transform({name: np.array([value]) for name, value in setup.items()})[0]
        self._blank: list[float] = blank.tolist()
        self._columns = {name: column for column, name in enumerate(encoder.features)}
        known = {name: item for name, item in encoder.hyperparameters.items() if name in self._columns}
        self._codes = {
            name: {choice: code for code, choice in enumerate(item.choices)}
            for name, item in known.items()
            if item.scale == "category"
        }
        self._in_logs = np.array([name in known and known[name].scale == "log" for name in encoder.features])
        self._numbers = {name: self._columns[name] for name in known if name not in self._codes}
        self._architecture = architecture.lower()
        self._sizes = [
            self._blank[self._columns[name]] if name in self._columns else _NOTHING
            for name in ("log_hidden_units", "log_max_params")
        ]
        derived = (set(self._derive({}, self._blank, self._blank)) & set(self._columns)) - set(encoder.hyperparameters)
        self._derived = sorted(derived, key=self._columns.__getitem__)
        self._derived_columns = np.array([self._columns[name] for name in self._derived], dtype=int)

    @property
    def setup_features(self) -> dict[str, float]:
        """The features that the setup alone decides, by name."""
        return {name: self._blank[self._columns[name]] for name in SETUP_FEATURES if name in self._columns}

    def __call__(self, config: Mapping[str, Value]) -> Floats:
        """Return the features of a checked configuration (see `Space.complete`), shape (n_features,)."""
        values = self._blank.copy()
        for name, value in config.items():
            codes = self._codes.get(name)
            values[self._columns[name]] = float(value) if codes is None else codes[str(value)]
        natural = np.array(values)
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(natural)
        row = np.where(self._in_logs, logs, natural)
        derived = self._derive(config, values, logs.tolist())
        row[self._derived_columns] = [derived[name] for name in self._derived]
        return row

    def _derive(self, config: Mapping[str, Value], values: list[float], logs: list[float]) -> dict[str, Any]:
        columns = self._numbers

        def get(name: str) -> float:
            return values[columns[name]] if name in columns else _NOTHING

        def log(name: str) -> float:
            return logs[columns[name]] if name in columns else _NOTHING

        def text(name: str) -> str:
            return self._architecture if name == "architecture" else str(config.get(name, "")).lower()

        return derive(get, log, text, *self._sizes)
