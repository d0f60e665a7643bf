"""From a run or a query to the columns that the surrogate sees."""

from .architecture import ARCHITECTURES, Architecture
from .coverage import ArchitectureCoverage, Condition, Coverage, Domain
from .encoder import Encoder
from .hyperparameters import Hyperparameter
from .spelling import unknown

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ArchitectureCoverage",
    "Condition",
    "Coverage",
    "Domain",
    "Encoder",
    "Hyperparameter",
    "unknown",
]
