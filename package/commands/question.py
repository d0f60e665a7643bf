"""Options of the commands that ask for a recommendation and make something of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Arch = Annotated[str, typer.Option(help="Architecture: rnn, irnn, ugrnn, gru, lstm, +rnn.")]
Task = Annotated[
    str, typer.Option(help="Task: text8, parens_counting, arithmetic, mem_thru, rcf, per_cap; any: good on all.")
]
Params = Annotated[float, typer.Option(help="Parameter budget of the network, e.g. 1e6.")]
Depth = Annotated[int | None, typer.Option(help="Layers. Default: the search chooses.", show_default=False)]
Count = Annotated[int, typer.Option("--n", help="How many configurations.")]
MaxTrainSteps = Annotated[
    int | None, typer.Option(help="Most training steps a configuration may ask for.", show_default=False)
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
