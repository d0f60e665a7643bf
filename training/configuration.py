"""What a user hands over as a configuration: a recommended one, or a plain dict of its hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..features import ARCHITECTURES


class Recommended(Protocol):
    """What is read of a `RecommendedConfiguration` of `rnn_warmstart.recommend`; see there."""

    @property
    def hparams(self) -> Mapping[str, Any]:
        """Every hyperparameter that the architecture has, under the corpus's names."""
        ...

    @property
    def n_layers(self) -> int:
        """Depth, layers."""
        ...

    @property
    def hidden_units(self) -> int | None:
        """Width of each layer; None where it is unknown."""
        ...


Configuration = Mapping[str, Any] | Recommended
"""Hyperparameters by the corpus's names, or a recommended configuration, which also knows its depth and width."""


def hparams_of(config: Configuration) -> Mapping[str, Any]:
    """Return a configuration's hyperparameters.

    Raises
    ------
    TypeError
        Where it is neither a mapping nor has any.
    """
    hparams = config if isinstance(config, Mapping) else getattr(config, "hparams", None)
    if not isinstance(hparams, Mapping):
        raise TypeError(
            f"config must be a recommended configuration, e.g. recommend(...)[0], or a dict of hyperparameters, "
            f"got {type(config).__name__}"
        )
    return hparams


def architecture_of(hparams: Mapping[str, Any]) -> str:
    """Return the architecture that hyperparameters are of: the one with their gates; `irnn` is the one without bias.

    Raises
    ------
    ValueError
        Where no architecture has these gates.
    """
    gates = {name.removeprefix("input_scale").removeprefix("_") for name in hparams if name.startswith("input_scale")}
    biased = any(name.startswith("recurrent_bias") for name in hparams)
    for name, cell in ARCHITECTURES.items():
        if set(cell.gates) == gates and biased == (name != "irnn"):
            return name
    known = "; ".join(f"{name}: {_scales(cell.gates)}" for name, cell in ARCHITECTURES.items())
    raise ValueError(
        f"a configuration must have an input scale for each gate of its architecture ({known}), "
        f"but got {_scales(sorted(gates)) or 'none'} among {', '.join(sorted(hparams))}"
    )


def _scales(gates: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f"input_scale_{gate}" if gate else "input_scale" for gate in gates)
