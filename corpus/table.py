"""The corpus itself: a checked table of runs, what was found while reading it, and the questions one asks of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from .schema import HP_PREFIX, SETUP, hparam_columns
from .summary import Summary


@dataclass(frozen=True, eq=False)
class Corpus:
    """A table of runs; `as_corpus` and `read_corpus` build it.

    Parameters
    ----------
    runs : DataFrame
        One row a run: the schema's columns in their order, then ``hp_<name>`` alphabetically. Text is str,
        integers are int64 (Int64 where a run lacks one), numbers float64 (NaN where a run lacks one), flags bool.
    summary : Summary
        What reading it found.
    """

    runs: pd.DataFrame
    summary: Summary

    def __len__(self) -> int:
        return len(self.runs)

    def __str__(self) -> str:
        return str(self.summary)

    @property
    def hparams(self) -> tuple[str, ...]:
        """Names of the hyperparameters, without prefix, alphabetically."""
        return tuple(name.removeprefix(HP_PREFIX) for name in hparam_columns(self.runs))

    @cached_property
    def sha256(self) -> str:
        """Hash of the table's content (names, kinds, values, row order): the same from whatever file it was read."""
        digest = hashlib.sha256()
        for name in self.runs.columns:
            kind, content = _canonical(self.runs[name])
            digest.update(json.dumps([name, kind, len(self.runs)]).encode())
            for part in content:
                digest.update(part)
        return digest.hexdigest()

    def setups(self) -> pd.DataFrame:
        """Return the setups, sorted, one row each, with the number of their `runs`."""
        return self.runs.groupby(list(SETUP), sort=True).size().rename("runs").reset_index()

    def best(
        self,
        architecture: str | None = None,
        task_type: str | None = None,
        n_layers: int | None = None,
        max_params: int | None = None,
        n: int = 1,
    ) -> pd.DataFrame:
        """Return the runs of lowest `eval_loss`, best first; `configurations` turns them into dicts.

        Parameters
        ----------
        architecture, task_type : str, optional
            Only these; default all. Losses of different tasks have different units, so ask for one task.
        n_layers : int, optional
            Only this depth, layers.
        max_params : int, optional
            Only setups with at most this budget, parameters.
        n : int, default 1
            How many runs at most. Runs that diverged are never among them.

        Returns
        -------
        DataFrame
            Rows of `runs`, with those of its columns that are not null in all of them.

        Raises
        ------
        ValueError
            `n` is below 1, or no run that did not diverge fits.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, but got {n}.")
        wanted = {"architecture": architecture, "task_type": task_type, "n_layers": n_layers}
        wanted = {column: value for column, value in wanted.items() if value is not None}
        fits = ~self.runs["diverged"] & self.runs["eval_loss"].notna()
        for column, value in wanted.items():
            fits &= self.runs[column] == value
        if max_params is not None:
            fits &= self.runs["max_params"] <= max_params
            wanted["max_params"] = f"at most {max_params}"
        if not fits.any():
            raise ValueError(f"No run fits {wanted}; the corpus has {self._vocabulary()}.")
        return self.runs[fits].nsmallest(n, "eval_loss").dropna(axis=1, how="all")

    def _vocabulary(self) -> str:
        values = {column: sorted(self.runs[column].unique()) for column in SETUP}
        return "; ".join(f"{column}: {', '.join(map(str, known))}" for column, known in values.items())


def _canonical(values: pd.Series) -> tuple[str, list[bytes]]:
    """Return a column's kind, and bytes that depend on its values only, not on its dtype or memory layout."""
    if values.dtype.kind in "iub":
        mask = values.isna().to_numpy()
        return "integer", [np.asarray(values.fillna(0)).astype("<i8").tobytes(), np.packbits(mask).tobytes()]
    if values.dtype.kind == "f":
        numbers = values.to_numpy(dtype="<f8") + 0.0  # -0.0 is 0.0
        numbers[np.isnan(numbers)] = np.nan
        return "number", [numbers.tobytes()]
    codes, uniques = pd.factorize(values, sort=True)
    return "text", [json.dumps(list(uniques)).encode(), codes.astype("<i4").tobytes()]
