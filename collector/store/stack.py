"""Samples of several epochs as they were read: stacked, for the sums of all at once, and each epoch's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analyzer.columns import Columns
from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.stacked import Stacked
from collector.store.codec import replica_columns, replica_sample, stacked_samples
from collector.store.grid import Rows


class Stack:
    """Rows of some epochs of given replicas. An epoch's own samples are made only when they are asked for."""

    def __init__(self, rows: Rows, keys: Mapping[int, ReplicaKey]) -> None:
        """`rows` of `replica_samples`, at least one, each epoch's together and oldest first."""
        self.stacked: Stacked
        self.stacked, numbers, _ = stacked_samples(rows)
        self.owners = [(keys[epoch], epoch) for epoch in numbers]
        """Replica and epoch by number of owner."""
        ends = np.cumsum(np.bincount(self.stacked.owner)).tolist()
        self._within = dict(zip(numbers, zip([0, *ends[:-1]], ends, strict=True), strict=True))
        self._rows = rows
        self._keys = keys

    def columns(self, epoch: int) -> Columns:
        """The samples of one of the epochs as columns."""
        return replica_columns(self._rows[slice(*self._within[epoch])], self._keys[epoch])

    def last(self, epoch: int) -> ReplicaSample:
        """The newest sample of one of the epochs."""
        return replica_sample(self._rows[self._within[epoch][1] - 1], self._keys[epoch])
