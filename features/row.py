"""One configuration of one setup at a time, encoded without a table: what a benchmark does thousands of times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ..corpus.schema import SETUP
from .derived import derive
from .dimension import Floats, Value
from .encoder import SETUP_FEATURES, Encoder

_NOTHING: Final = np.float64(np.nan)


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
        self._logs = np.array([self._columns[name] for name, item in known.items() if item.scale == "log"], dtype=int)
        self._numbers = {name: self._columns[name] for name in known if name not in self._codes}
        self._architecture = architecture.lower()
        self._sizes: list[Any] = [
            blank[self._columns[name]] if name in self._columns else _NOTHING
            for name in ("log_hidden_units", "log_max_params")
        ]
        derived = (set(self._derive({}, blank)) & set(self._columns)) - set(encoder.hyperparameters)
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
        row = natural.copy()
        row[self._logs] = np.log(row[self._logs])
        derived = self._derive(config, natural)
        row[self._derived_columns] = [derived[name] for name in self._derived]
        return row

    def _derive(self, config: Mapping[str, Value], natural: Floats) -> dict[str, Any]:
        def get(name: str) -> Any:
            column = self._numbers.get(name)
            return _NOTHING if column is None else natural[column]

        def text(name: str) -> str:
            return self._architecture if name == "architecture" else str(config.get(name, "")).lower()

        return derive(get, text, *self._sizes)
