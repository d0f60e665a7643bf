"""A fitted model that answers one row at a time quickly, from any thread and after any fork.

LightGBM's C API prepares a prediction once (``LGBM_BoosterPredictForMatSingleRowFastInit``) and then takes one row a
call: a few microseconds beside the trees themselves. Every thread has a handle of its own, so that none waits for, or
writes into the memory of, another.

OpenMP's threads do not survive a fork, and a forked process that asks for them waits for ever: there, LightGBM is held
to one thread before it loads or predicts.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from .boosting import Floats

_FLOAT64: Final = 1  # C_API_DTYPE_FLOAT64
_NORMAL: Final = 0  # C_API_PREDICT_NORMAL
_NEEDED: Final = (
    "LGBM_BoosterLoadModelFromString",
    "LGBM_BoosterPredictForMatSingleRowFastInit",
    "LGBM_BoosterPredictForMatSingleRowFast",
    "LGBM_FastConfigFree",
    "LGBM_BoosterFree",
    "LGBM_GetLastError",
)
_forked = threading.Event()
"""Set in a process that came from a fork of one that had loaded this module."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked.set)


class Forest:
    """A model in LightGBM's text format, ready to predict.

    Parameters
    ----------
    text : str
        What `Booster.model_to_string` or `prune_model` returns.
    """

    def __init__(self, text: str) -> None:
        import lightgbm

        hold_to_one_thread_after_fork()
        self._text = text
        self._booster = lightgbm.Booster(model_str=text)
        self._handles = threading.local()

    def one(self, row: Floats) -> float:
        """Predict one row of shape (n_features,), float64 and contiguous; the bits are those of `many`."""
        predict = getattr(self._handles, "predict", None)
        if predict is None:
            self._handles.predict = predict = self._single_row()
        return predict(row)

    def many(self, matrix: Floats) -> Floats:
        """Predict every row of a feature matrix of shape (n_rows, n_features)."""
        hold_to_one_thread_after_fork()
        return np.asarray(self._booster.predict(matrix))

    def _single_row(self) -> Callable[[Floats], float]:
        library = c_library()
        if all(hasattr(library, name) for name in _NEEDED):
            return _SingleRow(library, self._text, self._booster.num_feature())
        return lambda row: float(self.many(row[None, :])[0])


def c_library() -> Any:
    """Return the C library that LightGBM has loaded; None if it keeps it elsewhere than it used to."""
    import lightgbm

    return getattr(lightgbm.basic, "_LIB", None)


def hold_to_one_thread_after_fork() -> None:
    """Let LightGBM use one thread only if this process was forked; to be called before it is put to work."""
    library = c_library()
    if _forked.is_set() and hasattr(library, "LGBM_SetMaxThreads"):
        library.LGBM_SetMaxThreads(1)


class _SingleRow:
    """One thread's handle of a model: called with a row, it returns the prediction."""

    def __init__(self, library: Any, text: str, features: int) -> None:
        self._library = library
        self._model, self._prepared = ctypes.c_void_p(), ctypes.c_void_p()
        self._length, self._result = ctypes.c_int64(), ctypes.c_double()
        self._outputs = ctypes.byref(self._length), ctypes.byref(self._result)
        trees = ctypes.c_int()
        self._check(
            library.LGBM_BoosterLoadModelFromString(text.encode(), ctypes.byref(trees), ctypes.byref(self._model))
        )
        options = (_NORMAL, 0, -1, _FLOAT64, features, b"num_threads=1")
        self._check(
            library.LGBM_BoosterPredictForMatSingleRowFastInit(self._model, *options, ctypes.byref(self._prepared))
        )

    def __call__(self, row: Floats) -> float:
        address = ctypes.c_void_p(row.ctypes.data)
        self._check(self._library.LGBM_BoosterPredictForMatSingleRowFast(self._prepared, address, *self._outputs))
        return self._result.value

    def _check(self, code: int) -> None:
        if code:
            raise RuntimeError(f"LightGBM could not predict: {self._library.LGBM_GetLastError().decode()}")

    def __del__(self) -> None:
        self._library.LGBM_FastConfigFree(self._prepared)
        self._library.LGBM_BoosterFree(self._model)
