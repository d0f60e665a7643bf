"""What a hyperparameter is: its scale and its values, read off the runs of a corpus.

No list of names is kept here: whatever ``hp_`` columns a corpus has become hyperparameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .spelling import unknown

Scale = Literal["category", "linear", "log", "logit"]
LOG_RATIO: Final = 10.0
"""A log scale needs positive values whose largest is at least this many times the smallest."""


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of a corpus.

    Parameters
    ----------
    name : str
        Its name without the ``hp_`` prefix.
    scale : {"category", "linear", "log", "logit"}
        How its values are compared: as names, by difference, by ratio, or by difference of logits. On the logit scale
        the recorded value already is the logit (its name says so, as in ``optimizer_logit_momentum``).
    integer : bool
        Whether only whole numbers occur.
    choices : tuple of str
        The values of a category, sorted; empty for numbers.
    """

    name: str
    scale: Scale
    integer: bool = False
    choices: tuple[str, ...] = ()

    @classmethod
    def from_values(cls, name: str, values: pd.Series) -> Hyperparameter:
        """Infer the scale from the values of all runs (nulls are ignored)."""
        known = values.dropna()
        if not pd.api.types.is_numeric_dtype(known) or pd.api.types.is_bool_dtype(known):
            return cls(name, "category", choices=tuple(sorted(known.astype(str).unique())))
        numbers = known.to_numpy(np.float64)
        integer = bool(np.all(numbers == np.round(numbers)))
        if "logit" in name:
            return cls(name, "logit", integer)
        return cls(name, "log" if _looks_logarithmic(numbers) else "linear", integer)

    def encode(self, values: Any) -> NDArray[np.float64]:
        """Map values to numbers: a choice to its index, a number onto the scale; null to NaN.

        Parameters
        ----------
        values : array-like of shape (n_rows,)

        Raises
        ------
        ValueError
            If a choice is unknown; the message names the known ones and the nearest spelling.
        """
        if self.scale != "category":
            numbers = pd.to_numeric(pd.Series(values)).to_numpy(np.float64, na_value=np.nan)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.log(numbers) if self.scale == "log" else numbers
        return encode_category(values, self.choices, what=self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {"name": self.name, "scale": self.scale, "integer": self.integer, "choices": list(self.choices)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Hyperparameter:
        """Rebuild from `to_dict`."""
        return cls(data["name"], data["scale"], data["integer"], distinct(data["choices"], data["name"]))


def _looks_logarithmic(numbers: NDArray[np.float64]) -> bool:
    """Whether the median lies nearer the geometric than the arithmetic middle of the range, in ratio.

    Values drawn uniformly have their median at the arithmetic middle, log-uniform ones at the geometric middle.
    """
    low, high = numbers.min(), numbers.max()
    if low <= 0 or high < LOG_RATIO * low:
        return False
    median, geometric, arithmetic = np.log([np.median(numbers), np.sqrt(low * high), (low + high) / 2])
    return bool(abs(median - geometric) < abs(median - arithmetic))


def distinct(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return names as a tuple; raise ValueError if one is there twice, as its code would be ambiguous."""
    if len(set(names)) < len(names):
        repeated = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"{what} has {repeated!r} twice; each name may stand for one code only")
    return tuple(names)


def encode_category(values: Any, choices: tuple[str, ...], what: str) -> NDArray[np.float64]:
    """Map names to their index in `choices`, null to NaN; raise ValueError on an unknown name."""
    names = np.asarray(values, dtype=object)
    codes = pd.Index(choices, dtype=object).get_indexer(pd.Index(names, dtype=object)).astype(np.float64)
    if (codes < 0).any():
        missing = np.asarray(pd.isna(names))
        strangers = (codes < 0) & ~missing
        codes[missing] = np.nan
        codes[strangers] = _as_text(names[strangers], choices, what)
    return codes


def _as_text(names: NDArray[np.object_], choices: tuple[str, ...], what: str) -> NDArray[np.float64]:
    """Encode values that are not text (flags, say) by their text; raise ValueError on an unknown one."""
    texts = pd.Index([str(name) for name in names], dtype=object)
    codes = pd.Index(choices, dtype=object).get_indexer(texts).astype(np.float64)
    if (codes < 0).any():
        raise unknown(what, texts[int(np.argmax(codes < 0))], choices)
    return codes
