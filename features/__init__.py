"""From a run or a query to the columns that the surrogate sees."""

from .architecture import ARCHITECTURES, Architecture
from .arguments import check_number, check_whole
from .coverage import ArchitectureCoverage, Condition, Coverage, Domain
from .dimension import Dimension
from .encoder import Encoder
from .hyperparameters import Hyperparameter
from .space import Space
from .spelling import unknown

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ArchitectureCoverage",
    "Condition",
    "Coverage",
    "Dimension",
    "Domain",
    "Encoder",
    "Hyperparameter",
    "Space",
    "check_number",
    "check_whole",
    "unknown",
]
