"""From a run or a query to the columns that the surrogate sees."""

from .architecture import ARCHITECTURES, Architecture

__all__ = ["ARCHITECTURES", "Architecture"]
