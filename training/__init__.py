"""Train real RNNs: populations of networks whose runs grow the corpus and check recommendations."""

try:
    import torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "rnn_warmstart.training needs PyTorch: pip install 'rnn-warmstart[torch]'", name="torch"
    ) from error

from .descent import Descent, optimizer
from .draws import draw_configuration, draw_configurations
from .farm import work_through
from .folder import RunFolder
from .losses import CrossEntropy, SquaredError
from .modules import InitialState, apply
from .plans import Grid, read_grids, setup_jobs
from .runs import Job, make_runs
from .setups import TASK_TYPES, Setup, make_task
from .task import Batch, Task, split
from .verify import Verification, compare, verification_jobs

__all__ = [
    "TASK_TYPES",
    "Batch",
    "CrossEntropy",
    "Descent",
    "Grid",
    "InitialState",
    "Job",
    "RunFolder",
    "Setup",
    "SquaredError",
    "Task",
    "Verification",
    "apply",
    "compare",
    "draw_configuration",
    "draw_configurations",
    "make_runs",
    "make_task",
    "optimizer",
    "read_grids",
    "setup_jobs",
    "split",
    "verification_jobs",
    "work_through",
]
