"""The one function that most users call. What it needs is loaded when it is called, so that importing is cheap."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..features.dimension import Value
    from .history import History
    from .recommendation import Recommendation
    from .task_spec import TaskSpec


def recommend(
    arch: str,
    task: str | TaskSpec,
    params: float,
    *,
    depth: int | None = None,
    n: int = 5,
    fixed: Mapping[str, Value] | None = None,
    exclude: Mapping[str, Iterable[Value] | Value] | None = None,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    max_train_steps: int | None = None,
    max_seconds: float | None = None,
    seconds_per_step: float | None = None,
    history: History | None = None,
    seed: int = 0,
    models: str | os.PathLike[str] | None = None,
) -> Recommendation:
    """Recommend configurations to train an RNN with first.

    Parameters
    ----------
    arch : str
        Architecture: rnn, irnn, ugrnn, gru, lstm or +rnn.
    task : str or TaskSpec
        Task: text8, parens_counting, arithmetic, mem_thru, rcf or per_cap. Or the description of your own: the known
        tasks like it are asked, each with the weight that ``found.query.weights`` shows. Or "any": all tasks that the
        corpus covers for the architecture, with equal weights. What is averaged over several tasks is the ranking score
        within each; losses are then predicted task by task.
    params : float
        Parameter budget of the network, parameters.
    depth : int, optional
        Layers. Default: the search chooses among those that the corpus covers.
    n : int, default 5
        How many configurations. All are different; fewer come back only if the space holds fewer.
    fixed : mapping, optional
        Hyperparameters to hold fixed, e.g. ``{"optimizer": "Adam"}``. A value that the corpus does not cover is
        refused; only ``train_steps`` may leave what is covered, with a warning.
    exclude : mapping, optional
        Choices to leave out, e.g. ``{"optimizer": ["SGD", "Momentum"]}``; ``n_layers`` is a choice too.
    ranges : mapping, optional
        Ranges of numbers, both ends included, e.g. ``{"lr_init": (1e-4, 1e-2)}``; ``n_layers`` is a number too. Where a
        range reaches beyond what the corpus covers, the part that is covered is searched, with a warning. One that lies
        outside altogether is refused, but for ``train_steps``, as with `fixed`.
    max_train_steps : int, optional
        Most training steps a configuration may ask for, steps.
    max_seconds, seconds_per_step : float, optional
        Longest training, and the time that one step was measured to take, seconds of wall time; only together. They
        stand for a limit of max_seconds / seconds_per_step training steps, rounded down. Steps of other widths, depths
        and batch sizes take other times: measure with the network that the budget buys. Beside `max_train_steps` the
        tighter limit counts.
    history : list, DataFrame or Optuna study, optional
        What was trained already in the setup at hand: (configuration, loss) pairs, dicts or rows with the key ``loss``
        beside the hyperparameters, or a study of one objective. None, NaN or infinite: the training came to nothing.
        Every hyperparameter that varies must be there, ``n_layers`` too without a `depth`; numbers outside the space
        count as at its end. The trials correct the surrogate's scores, and say how far it is to be believed (see
        `recommend.correction`): order, gains and expected ranks are the corrected ones, predicted losses and intervals
        the surrogate's own.
    seed : int, default 0
        Seed of the search; the same question and seed give the same answer.
    models : path, optional
        Folder that ``rnn-warmstart fit`` or ``build`` wrote. Default: the one that the environment variable
        RNN_WARMSTART_MODELS names, or else the models shipped with the package.

    Returns
    -------
    Recommendation
        The best first, then whatever adds most to those before it; with predicted losses, 90 % intervals, risks to
        diverge, expected ranks, gains, tolerances and the nearest real runs.

    Raises
    ------
    ValueError
        An argument is unknown, out of range or contradicts another; the message says what was given, what is allowed
        and what to do. A damaged or missing models folder is a `ModelError`, which is a ValueError too.
    """
    from .answer import answer
    from .limits import Limits

    limits = Limits.check(fixed, exclude, ranges, max_train_steps, max_seconds, seconds_per_step)
    return answer(arch, task, params, depth, n, limits, seed, models, history)
