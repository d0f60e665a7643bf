"""Runs a minute: populations against the obvious way, one configuration after another with torch.nn and torch.optim.

    python benchmarks/training_throughput.py [--quick] [--out benchmarks/results/training_throughput.md]

Both ways train the same configurations of one setup and measure the final losses. The obvious way runs on one thread,
which is its fastest at these sizes, and gets its batches for nothing (they are made before the clock starts). The
populations make their own, on one core, and then on all cores of the machine, one process each, as `rnn-warmstart
train` does. Only rnn, gru and lstm are compared: torch.nn has no other cells, and a loop over time in Python would
make the obvious way slower still. The best of two rounds counts, the ways in turn, so that a busy machine harms all.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import joblib
import torch
import typer
from provenance import current_commit
from rnn_warmstart.training.draws import draw_configurations
from rnn_warmstart.training.losses import CrossEntropy
from rnn_warmstart.training.network import encode
from rnn_warmstart.training.population import train
from rnn_warmstart.training.setups import Setup, capacity
from rnn_warmstart.training.state import Member
from rnn_warmstart.training.task import Task
from torch import Tensor, nn

MODULES = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
SHARED = Path(os.environ.get("RNN_WARMSTART_SHARED", Path(__file__).parents[2] / "shared"))


class Obvious(nn.Module):
    """What one writes first: a recurrent module and a linear readout, batch first."""

    def __init__(self, setup: Setup, task: Task, width: int) -> None:
        super().__init__()
        self.recurrent = MODULES[setup.architecture](task.n_in, width, setup.n_layers, batch_first=True)
        self.readout = nn.Linear(width, task.n_out)
        self.scored = task.scored

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs at the scored steps, [B, S, O]."""
        return self.readout(self.recurrent(x)[0][:, self.scored])


def one_batch(task: Task, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Return a batch as torch.nn likes it: inputs [B, T, I], targets [B, S] or [B, S, O]."""
    batch = task.training_batch(torch.tensor([[seed]]), torch.tensor([[step]]))
    inputs = torch.empty(task.steps, 1, task.n_in, task.batch)
    encode(batch.inputs, inputs)
    targets = batch.targets[:, 0]
    return inputs[:, 0].permute(2, 0, 1).contiguous(), targets.movedim(-1, 0).contiguous()


def optimizer_of(hparams: dict[str, Any], parameters: Any) -> torch.optim.Optimizer:
    lr, s = hparams["lr_init"], 1 / (1 + math.exp(-hparams["optimizer_logit_momentum"]))
    return {
        "SGD": lambda: torch.optim.SGD(parameters, lr),
        "Momentum": lambda: torch.optim.SGD(parameters, lr, momentum=s),
        "Adam": lambda: torch.optim.Adam(parameters, lr, betas=(s, 0.999)),
        "RMSProp": lambda: torch.optim.RMSprop(parameters, lr, alpha=s, eps=1e-10),
    }[hparams["optimizer"]]()


def loss_of(task: Task, outputs: Tensor, targets: Tensor) -> Tensor:
    if isinstance(task.loss, CrossEntropy):
        heads = task.loss.heads
        return nn.functional.cross_entropy(outputs.reshape(-1, task.n_out // heads), targets.reshape(-1))
    return nn.functional.mse_loss(outputs, targets)


def one_by_one(
    setup: Setup, configurations: list[dict[str, Any]], batches: list[tuple[Tensor, Tensor]], evaluations: int
) -> None:
    """Train the configurations one after another."""
    task = setup.task()
    width = setup.layout(task).width
    held_out = tuple(torch.cat(parts) for parts in zip(*batches[: 256 // task.batch], strict=True))
    for hparams in configurations:
        network = Obvious(setup, task, width)
        optimizer = optimizer_of(hparams, network.parameters())
        decay = hparams["lr_decay_rate"] ** (1 / hparams["train_steps"])
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)
        for step in range(hparams["train_steps"]):
            inputs, targets = batches[step % len(batches)]
            optimizer.zero_grad()
            loss = loss_of(task, network(inputs), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), hparams["gradient_clip_val"])
            if not math.isfinite(loss.item()):
                break
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            for _ in range(evaluations):
                loss_of(task, network(held_out[0]), held_out[1])


def as_population(setup: Setup, configurations: list[dict[str, Any]]) -> None:
    """Train the configurations as populations."""
    task = setup.task()
    layout = setup.layout(task)
    members = [Member(place, hparams, place) for place, hparams in enumerate(configurations)]
    list(train(task, layout, members, torch.zeros(()), capacity(layout.num_params, torch.device("cpu"))))


def seconds(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def on_all_cores(setup: Setup, configurations: list[dict[str, Any]], workers: int) -> None:
    """Train the configurations once in every process."""
    job = joblib.delayed(_one_thread)
    joblib.Parallel(n_jobs=workers)(job(setup, configurations) for _ in range(workers))


def _one_thread(setup: Setup, configurations: list[dict[str, Any]]) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    as_population(setup, configurations)


def compare(setup: Setup, steps: int, few: int, many: int, rounds: int = 2) -> tuple[float, float, float]:
    """Return runs a minute of the obvious way, of populations on one core, and of populations on all."""
    drawn = [hparams | {"train_steps": steps} for hparams in draw_configurations(setup.architecture, many, 0)]
    task = setup.task()
    batches = [one_batch(task, 1, step) for step in range(20)]
    evaluations = sum(len(task.evaluation_items(part)) for part in task.parts) // 256
    workers = os.cpu_count() or 1
    on_all_cores(setup, drawn[:1], workers)  # starts the processes
    ways = (
        (few, lambda: one_by_one(setup, drawn[:few], batches, evaluations)),
        (many, lambda: as_population(setup, drawn)),
        (many * workers, lambda: on_all_cores(setup, drawn, workers)),
    )
    times = [[seconds(action) for _, action in ways] for _ in range(rounds)]
    best = [min(column) for column in zip(*times, strict=True)]
    slow, fast, all_cores = (60 * runs / second for (runs, _), second in zip(ways, best, strict=True))
    return slow, fast, all_cores


def main(
    quick: Annotated[bool, typer.Option(help="One small setup, few steps: does it run?")] = False,
    out: Annotated[Path | None, typer.Option(help="Write the table here too.")] = None,
) -> None:
    """Compare and print a table."""
    os.environ.setdefault("RNN_WARMSTART_TEXT8", str(SHARED / "data" / "text8_prefix.txt.xz"))
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    lines = [
        f"# Runs a minute (commit {current_commit()}, torch {torch.__version__}, {os.cpu_count()} cores)\n",
        "| setup | one by one | populations, one core | ratio | all cores | ratio |\n|---|---|---|---|---|---|",
    ]
    tasks = ("rcf",) if quick else ("text8", "arithmetic", "rcf")
    grid = [(1000, 1)] if quick else [(1000, 1), (1000, 4), (3000, 2), (10_000, 2), (30_000, 2)]
    ratios: dict[int, list[float]] = {}
    for size, depth in grid:
        for task, architecture in [(t, a) for t in tasks for a in (("gru",) if quick else ("rnn", "gru", "lstm"))]:
            setup = Setup(architecture, task, depth, size)
            many = 8 if quick else max(8, min(64, 160_000 // size))
            slow, fast, most = compare(setup, 20 if quick else 200, 3, many, 1 if quick else 2)
            ratios.setdefault(size, []).append(most / slow)
            cells = f"{slow:.0f} | {fast:.0f} | {fast / slow:.1f} | {most:.0f} | {most / slow:.1f}"
            lines.append(f"| {architecture} {task} {depth} x {size} | {cells} |")
            typer.echo(lines[-1], err=True)
    for size, found in ratios.items():
        mean = math.exp(sum(map(math.log, found)) / len(found))
        lines.append(f"\n{size} parameters, all cores: geometric mean {mean:.1f}, {min(found):.1f} to {max(found):.1f}")
    torch.set_num_threads(os.cpu_count() or 1)
    if not quick:
        slow, _, _ = compare(Setup("gru", "text8", 1, 1000), 100, 4, 8, 1)
        lines.append(f"\ngru text8 1 x 1000 one by one with {os.cpu_count()} threads: {slow:.0f} runs a minute")
    typer.echo("\n".join(lines))
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    typer.run(main)
