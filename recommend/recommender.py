"""The one function that most users call. What it needs is loaded when it is called, so that importing is cheap."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..features.dimension import Value
    from .recommendation import Recommendation


def recommend(
    arch: str,
    task: str,
    params: float,
    *,
    depth: int | None = None,
    n: int = 5,
    fixed: Mapping[str, Value] | None = None,
    max_train_steps: int | None = None,
    seed: int = 0,
    models: str | os.PathLike[str] | None = None,
) -> Recommendation:
    """Recommend configurations to train an RNN with first.

    Parameters
    ----------
    arch : str
        Architecture: rnn, irnn, ugrnn, gru, lstm or +rnn.
    task : str
        Task: text8, parens_counting, arithmetic, mem_thru, rcf or per_cap; choose the one most like your own.
    params : float
        Parameter budget of the network, parameters.
    depth : int, optional
        Layers. Default: the search chooses among those that the corpus covers.
    n : int, default 5
        How many configurations. All are different; fewer come back only if the space holds fewer.
    fixed : mapping, optional
        Hyperparameters to hold fixed, e.g. ``{"optimizer": "Adam"}``.
    max_train_steps : int, optional
        Most training steps a configuration may ask for, steps.
    seed : int, default 0
        Seed of the search; the same question and seed give the same answer.
    models : path, optional
        Folder that ``rnn-warmstart fit`` wrote. Default: the models shipped with the package.

    Returns
    -------
    Recommendation
        Best first, with predicted losses, 90 % intervals, risks to diverge, expected ranks and the nearest real runs.

    Raises
    ------
    ValueError
        An argument is unknown, out of range or contradicts another; the message says what was given, what is allowed
        and what to do. A damaged or missing models folder is a `ModelError`, which is a ValueError too.
    """
    from .answer import answer

    return answer(arch, task, params, depth, n, fixed, max_train_steps, seed, models)
