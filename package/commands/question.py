"""Options of the commands that ask for a recommendation, and how their texts are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

if TYPE_CHECKING:
    from ..features.dimension import Value
    from ..recommend import TaskSpec

Parsed = TypeVar("Parsed")
Arch = Annotated[str, typer.Option(help="Architecture: rnn, irnn, ugrnn, gru, lstm, +rnn.")]
Task = Annotated[
    str,
    typer.Option(
        help="Task: text8, parens_counting, arithmetic, mem_thru, rcf, per_cap; any: good on all; FILE.toml: a "
        "description of your own."
    ),
]
Params = Annotated[float, typer.Option(help="Parameter budget of the network, e.g. 1e6.")]
Depth = Annotated[int | None, typer.Option(help="Layers. Default: the search chooses.", show_default=False)]
Count = Annotated[int, typer.Option("--n", help="How many configurations.")]
Fix = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Hold a hyperparameter fixed; may be repeated.", show_default=False),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=A,B", help="Choices to leave out; may be repeated.", show_default=False),
]
Ranges = Annotated[
    list[str] | None,
    typer.Option("--range", metavar="NAME=LOW:HIGH", help="Range of a number; may be repeated.", show_default=False),
]
MaxTrainSteps = Annotated[
    int | None, typer.Option(help="Most training steps a configuration may ask for.", show_default=False)
]
MaxSeconds = Annotated[
    float | None, typer.Option(help="Longest training, seconds; needs --seconds-per-step.", show_default=False)
]
SecondsPerStep = Annotated[
    float | None, typer.Option(help="Measured time of one training step, seconds.", show_default=False)
]
Seed = Annotated[int, typer.Option(help="Seed of the search.")]
Models = Annotated[
    Path | None,
    typer.Option(
        envvar="RNN_WARMSTART_MODELS",
        help="Folder that `rnn-warmstart fit` or `build` wrote. Default: the shipped models.",
        show_default=False,
    ),
]
EXAMPLES: Final = {
    "--fix": "NAME=VALUE, e.g. optimizer=Adam",
    "--exclude": "NAME=A,B, e.g. optimizer=SGD,Momentum",
    "--range": "NAME=LOW:HIGH, e.g. lr_init=1e-4:1e-2",
    "--names": "NAME=YOURS, e.g. lr_init=lr",
}


def read_limits(
    fix: list[str] | None,
    exclude: list[str] | None,
    ranges: list[str] | None,
    max_train_steps: int | None,
    max_seconds: float | None,
    seconds_per_step: float | None,
) -> dict[str, Any]:
    """Return the arguments of `recommend` that limit its answer; a text that cannot be read is refused."""
    return {
        "fixed": _by_name("--fix", fix, _value),
        "exclude": _by_name("--exclude", exclude, _values),
        "ranges": _by_name("--range", ranges, _range),
        "max_train_steps": max_train_steps,
        "max_seconds": max_seconds,
        "seconds_per_step": seconds_per_step,
    }


def read_names(names: list[str] | None) -> dict[str, str]:
    """Return the argument `names` of `Recommendation.export`; a text that cannot be read is refused."""
    return _by_name("--names", names, str)


@contextmanager
def told_errors(*others: type[Exception]) -> Iterator[None]:
    """Tell errors on stderr and end the program, with 1 for models and `others`, 2 for what cannot be answered."""
    from ..surrogate.storage import ModelError

    ending_with_1: tuple[type[Exception], ...] = (ModelError, *others)
    try:
        yield
    except ending_with_1 as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from None


def read_task(text: str) -> str | TaskSpec:
    """Return the task of `recommend`: a name, or the description that a TOML file holds.

    Raises
    ------
    ValueError
        The file cannot be read, or describes no task.
    """
    if not text.endswith(".toml"):
        return text
    from ..corpus import CorpusError
    from ..corpus.toml_file import read_toml
    from ..recommend import TaskSpec

    try:
        data = read_toml(Path(text))
    except (FileNotFoundError, CorpusError) as error:
        raise ValueError(f"The task's description cannot be read: {error}") from None
    return TaskSpec.from_dict({"name": Path(text).stem} | data)


def _by_name(option: str, texts: list[str] | None, parse: Callable[[str], Parsed]) -> dict[str, Parsed]:
    """Parse the texts of an option that may be repeated, each NAME=... and each name once."""
    found: dict[str, Parsed] = {}
    for text in texts or []:
        name, _, rest = text.partition("=")
        try:
            if not name or not rest:
                raise ValueError
            value = parse(rest)
        except ValueError:
            raise typer.BadParameter(f"{option} needs {EXAMPLES[option]}, but got {text!r}.") from None
        if name in found:
            raise typer.BadParameter(f"{option} names {name} twice; give it once.")
        found[name] = value
    return found


def _value(text: str) -> Value:
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "." not in text else number


def _values(text: str) -> list[Value]:
    return [_value(part) for part in text.split(",")]


def _range(text: str) -> tuple[float, float]:
    low, high = text.split(":")
    return float(low), float(high)
