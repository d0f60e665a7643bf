"""The targets, and the one function that exports to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from ...features import unknown
from .export import Export
from .fitting import POLICIES, OnMismatch, fitted
from .transforms import Transform, transformed
from .warm_start import draft, narrowed, possible, renamed

if TYPE_CHECKING:
    from ..recommendation import Recommendation

TARGETS: Final = {
    "optuna": "optuna_study",
    "configspace": "configspace",
    "smac": "configspace",
    "neps": "neps",
    "raytune": "raytune",
    "synetune": "synetune",
    "ax": "ax",
    "wandb": "wandb",
    "json": "documents",
    "yaml": "documents",
    "toml": "documents",
    "pandas": "frame",
}
"""Target to the module that has its function ``to_<target>``; loaded when asked for."""
TEXTS: Final = ("json", "yaml", "toml", "pandas", "wandb", "configspace")
"""The targets whose export is a `TextExport`; those of the others are Python objects."""
WITH_PRIOR: Final = ("configspace", "smac")
"""The targets whose space may have priors of two kinds, or none."""
PRIORS: Final = ("normal", "beta")


def export(
    found: Recommendation,
    target: str,
    *,
    names: Mapping[str, str] | None = None,
    transforms: Mapping[str, Transform] | None = None,
    space: Mapping[str, Any] | str | None = None,
    on_mismatch: OnMismatch = "error",
    prior: str | None = None,
) -> Export:
    """Return a recommendation as another tool takes it.

    First the values are transformed, then the hyperparameters renamed, then fitted into the user's space.

    Parameters
    ----------
    found : Recommendation
        From `recommend`.
    target : str
        One of `TARGETS`.
    names : mapping, optional
        The corpus's name to the user's, e.g. ``{"lr_init": "lr"}``. What it does not name keeps its name.
    transforms : mapping, optional
        The corpus's name to a change of its values: "sigmoid" (the momentum from ``optimizer_logit_momentum``), "log",
        "log10", a dict of choices (``{"optimizer": {"Adam": "adam"}}``), or a function that rises or falls throughout
        (``{"lr_init": lambda lr: lr / 2}``); see `transforms.transformed`.
    space : mapping or "whole", optional
        The space to export. Default: narrowed to where the best configurations of the search lie, and a tenth of the
        whole range beyond (see `warm_space`). "whole": all that was searched. A mapping is the user's own, by the
        user's names: ``(low, high)``, a list of choices, an Optuna distribution, or a hyperparameter of ConfigSpace.
    on_mismatch : {"error", "clip", "drop"}, default "error"
        Where the recommendation does not fit into the user's own space: refuse; move numbers to the nearer end of the
        range; or leave out the points that do not fit. With "clip", too, a point with a choice that the user does not
        have is left out; with both, a parameter that only one side has. All is told in ``dropped``.
    prior : {"normal", "beta"}, optional
        For configspace and smac: a space with priors, of this kind for numbers, weighted for categories. Default: none.

    Returns
    -------
    Export
        With ``points``, ``dropped`` (what was changed, left out, or cannot be expressed) and what the target takes: see
        the class that its module defines.

    Raises
    ------
    ValueError
        An argument is unknown, or the recommendation does not fit; the message says what was given and what to do.
    ModuleNotFoundError
        The target's package is not installed; the message says how to install it.
    """
    if target not in TARGETS:
        raise unknown("target", target, TARGETS)
    _check_options(target, space, on_mismatch, prior)
    start = renamed(transformed(draft(found), transforms or {}), names or {})
    if space is None:
        start = narrowed(start)
    elif not isinstance(space, str):
        start = fitted(start, space, on_mismatch)
    start = possible(start)
    convert: Callable[..., Export] = getattr(import_module(f".{TARGETS[target]}", __package__), f"to_{target}")
    return convert(start, prior) if target in WITH_PRIOR else convert(start)


def _check_options(target: str, space: object, on_mismatch: str, prior: str | None) -> None:
    if isinstance(space, str) and space != "whole":
        raise ValueError(f"space must be a mapping, 'whole' or None, but got {space!r}.")
    if on_mismatch not in POLICIES:
        raise unknown("on_mismatch:", on_mismatch, POLICIES)
    if on_mismatch != "error" and not isinstance(space, Mapping):
        raise ValueError(f"on_mismatch={on_mismatch!r} needs space=..., the space into which to fit.")
    if prior is not None and prior not in PRIORS:
        raise unknown("prior", prior, PRIORS)
    if prior is not None and target not in WITH_PRIOR:
        raise ValueError(
            f"prior={prior!r} is for {' and '.join(WITH_PRIOR)}, but the target is {target!r}; leave it out."
        )
