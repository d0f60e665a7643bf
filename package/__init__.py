"""Which hyperparameters should an RNN start with? Recommendations learned from real training runs."""

from rnn_warmstart.recommend import recommend

__version__ = "0.1.0"
__all__ = ["recommend"]
