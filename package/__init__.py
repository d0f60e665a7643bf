"""Which hyperparameters should an RNN start with? Recommendations learned from real training runs."""

from typing import TYPE_CHECKING

from rnn_warmstart.recommend import recommend

if TYPE_CHECKING:
    from rnn_warmstart.surrogate import Benchmark

__version__ = "0.1.0"
__all__ = ["Benchmark", "recommend"]


def __getattr__(name: str) -> object:
    if name != "Benchmark":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rnn_warmstart.surrogate import Benchmark

    return Benchmark
