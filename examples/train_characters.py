"""Train a character model on a text file with the first recommendation, and print its curve against PyTorch's defaults.

    python examples/train_characters.py my_text.txt --params 1e4

Needs ``pip install 'rnn-warmstart[torch]'``. Both models are the same network, read the same windows, and take the same
number of steps; one has the recommended initial weights, optimizer, schedule and clip, the other those of `nn.LSTM`
and Adam with a learning rate of 0.001. The loss is that of the corpus's task text8: bits per character of windows of 25
characters, the first 5 not scored, as the state begins anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Final

import torch
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rnn_warmstart import recommend
from rnn_warmstart.features import ARCHITECTURES
from rnn_warmstart.training import InitialState, apply, optimizer
from torch import Tensor, nn

WINDOW: Final = 25
SCORED: Final = slice(5, None)
BATCH: Final = 16
MEASURED: Final = 512
"""Windows that a validation loss is measured on."""
POINTS: Final = 10
"""Points of a curve."""


class CharacterModel(nn.Module):
    """Logits of the next character, [T, B, symbols], for windows of characters, integers [T, B]."""

    def __init__(self, symbols: int, units: int, layers: int) -> None:
        super().__init__()
        self.lstm, self.readout = nn.LSTM(symbols, units, layers), nn.Linear(units, symbols)
        self.initial = InitialState(self.lstm)

    def forward(self, windows: Tensor) -> Tensor:
        """See the class."""
        one_hot = nn.functional.one_hot(windows, self.lstm.input_size).float()
        return self.readout(self.lstm(one_hot, self.initial(windows.shape[1]))[0])


def bits(model: CharacterModel, windows: Tensor) -> Tensor:
    """Return the mean loss, bits per character, on windows [T + 1, B]."""
    logits, targets = model(windows[:-1])[SCORED], windows[1:][SCORED]
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten()) / math.log(2)


def read_symbols(path: Path) -> tuple[Tensor, int]:
    """Return a text as numbers of its characters, int64 [characters], and how many different ones there are."""
    text = path.read_text(encoding="utf-8")
    numbers = {character: number for number, character in enumerate(sorted(set(text)))}
    if len(text) < 40 * WINDOW:
        raise typer.BadParameter(f"{path} must have at least {40 * WINDOW} characters, it has {len(text)}")
    return torch.tensor([numbers[character] for character in text]), len(numbers)


def draw_windows(text: Tensor, count: int, seed: int) -> Iterator[Tensor]:
    """Yield batches of windows from random places, [T + 1, count] each, without end."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        starts = torch.randint(len(text) - WINDOW, (count,), generator=generator)
        yield text[starts + torch.arange(WINDOW + 1).unsqueeze(1)]


def train(
    model: CharacterModel, step: Callable[[], None], steps: int, text: Tensor, seed: int, tick: Callable[[], None]
) -> list[float]:
    """Train on the first 95 % of the text; return validation losses at `POINTS` evenly spaced steps."""
    border, curve = int(0.95 * len(text)), []
    held_out = next(draw_windows(text[border:], MEASURED, seed=0))
    batches = draw_windows(text[:border], BATCH, seed)
    for done in range(1, steps + 1):
        bits(model, next(batches)).backward()
        step()
        tick()
        if done * POINTS // steps > (done - 1) * POINTS // steps:
            with torch.no_grad():
                curve.append(bits(model, held_out).item())
    return curve


def default_step(model: nn.Module) -> Callable[[], None]:
    """Return a step of Adam with PyTorch's defaults."""
    adam = torch.optim.Adam(model.parameters())

    def step() -> None:
        adam.step()
        adam.zero_grad()

    return step


def show(title: str, steps: int, curves: dict[str, list[list[float]]]) -> None:
    """Print the mean curve of each name, with the lowest and highest where there are several."""
    table = Table("step", *curves, title=title)
    for point in range(POINTS):
        losses = [[curve[point] for curve in several] for several in curves.values()]
        cells = [f"{sum(x) / len(x):.3f}" + (f" ({min(x):.3f}..{max(x):.3f})" if len(x) > 1 else "") for x in losses]
        table.add_row(f"{-(-(point + 1) * steps // POINTS):,}", *cells)
    Console().print(table)


def main(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A text file, UTF-8.")],
    params: Annotated[float, typer.Option(help="Parameter budget of the network.")] = 1e4,
    max_steps: Annotated[int | None, typer.Option(min=POINTS, help="Most training steps.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each model.")] = 1,
) -> None:
    """Train a character model with the first recommendation, and print its curve against PyTorch's defaults."""
    text, symbols = read_symbols(file)
    first = recommend(arch="lstm", task="text8", params=params, max_train_steps=max_steps, n=1)[0]
    # first.hidden_units is for text8's 27 characters; this is what the budget buys with the characters of this file
    units = int(ARCHITECTURES["lstm"].width(params, first.n_layers, symbols, symbols))
    steps = int(first.hparams["train_steps"])
    curves: dict[str, list[list[float]]] = {"recommended": [], "PyTorch's defaults": []}
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("training", total=2 * seeds * steps)
        for seed in range(1, seeds + 1):
            torch.manual_seed(seed)
            models = [CharacterModel(symbols, units, first.n_layers) for _ in curves]
            apply(first.hparams, models[0].lstm, models[0].readout)
            ways = optimizer(first, models[0].parameters()).step, default_step(models[1])
            for model, step, several in zip(models, ways, curves.values(), strict=True):
                several.append(train(model, step, steps, text, seed, lambda: progress.advance(bar)))
    show(f"bits per character, {first.n_layers} x {units} units, {symbols} characters", steps, curves)


if __name__ == "__main__":
    typer.run(main)
