"""Which hyperparameters should an RNN start with? Recommendations learned from real training runs."""

from importlib import import_module
from typing import TYPE_CHECKING

from rnn_warmstart.recommend import recommend

if TYPE_CHECKING:
    from rnn_warmstart.recommend import TaskSpec, warm_space, warm_study
    from rnn_warmstart.surrogate import Benchmark

__version__ = "0.1.0"
__all__ = ["Benchmark", "TaskSpec", "recommend", "warm_space", "warm_study"]

_LAZY = {
    "Benchmark": "surrogate",
    "TaskSpec": "recommend.task_spec",
    "warm_space": "recommend.warm",
    "warm_study": "recommend.warm",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
