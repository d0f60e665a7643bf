"""The command line: ``rnn-warmstart`` or ``python -m rnn_warmstart``."""

from __future__ import annotations

import typer

from .commands.benchmark import benchmark
from .commands.build import build
from .commands.corpus import group as corpus
from .commands.evaluate import evaluate
from .commands.fetch import fetch
from .commands.fit import fit
from .commands.insights import insights
from .commands.recommend import recommend
from .commands.report import report
from .commands.seed import seed
from .commands.train import train, verify

app = typer.Typer(
    help="Which hyperparameters should an RNN start with? Recommendations learned from real training runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (recommend, report, seed, fit, evaluate, train, verify, benchmark, insights, fetch, build):
    app.command()(command)
app.add_typer(corpus, name="corpus")


def main() -> None:
    """Run the command line."""
    app(prog_name="rnn-warmstart")


if __name__ == "__main__":
    main()
