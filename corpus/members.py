"""Members of the original archive, one after another, as one table.

Rows become columns while their pickle is read, a few thousand at a time: a member is never in memory as objects.
"""

from __future__ import annotations

from itertools import chain
from operator import itemgetter
from typing import IO, Any

import numpy as np
import pandas as pd

from .columns import Column, Layout, NumberColumn
from .hparams import HparamTable
from .schema import HPARAMS, LOSSES
from .unpickle import read_rows


class RunTable:
    """The runs of all members that were read, as columns under construction."""

    def __init__(self) -> None:
        self.members = 0
        self._columns: dict[str, Column] = {}
        self._hparams = HparamTable()
        self._start = 0
        self._layout: Layout | None = None
        self._emptied: list[list[object]] = []

    def read(self, file: IO[bytes], size: int, where: str) -> None:
        """Add the runs of a member, see `read_rows` for the parameters.

        Raises
        ------
        CorpusError
            The member is damaged, unsafe, or no table of runs.
        """
        self.members += 1
        self._start, self._layout, self._emptied = self._hparams.rows, None, []
        read_rows(file, size, where, self._take)

    def _take(self, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Add rows of the member that is being read."""
        if not rows:
            return
        position = {name: i for i, name in enumerate(names)}
        hparams = position.pop(HPARAMS, None)
        if self._layout is None:
            self._layout = Layout({i: self._column(name) for name, i in position.items()}, rows[0])
        start = self._hparams.rows
        self._layout.read(rows, np.arange(start, start + len(rows)))
        self._take_hparams([None] * len(rows) if hparams is None else list(map(itemgetter(hparams), rows)))

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = NumberColumn() if name in LOSSES else Column()
        return self._columns[name]

    def _take_hparams(self, cells: list[Any]) -> None:
        """Add the rows' dicts, and empty them, as the unpickler keeps them until the member's end.

        A dict that a later row shares is empty by then; that row copies the earlier one.
        """
        start = self._hparams.rows
        self._hparams.add(cells)
        if self._emptied and not all(cells):
            emptied = enumerate(chain.from_iterable(self._emptied), start=self._start)
            earlier = {id(cell): row for row, cell in reversed(list(emptied))}  # the first row that has a dict counts
            self._hparams.copy({start + i: earlier[id(cell)] for i, cell in enumerate(cells) if id(cell) in earlier})
        self._emptied.append(cells)
        for cell in cells:
            if type(cell) is dict:
                cell.clear()

    def finish(self) -> pd.DataFrame:
        """Return the runs, with `hparams` as columns ``hp_<name>``."""
        columns = [(name, self._columns[name].finish(self._hparams.rows, repaired=True)) for name in self._columns]
        self._columns.clear()
        columns += self._hparams.finish(repaired=True).items()
        frame = pd.DataFrame({i: values for i, (_, values) in enumerate(columns)}, copy=False)
        frame.columns = pd.Index([name for name, _ in columns])
        return frame
