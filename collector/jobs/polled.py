"""What one poll found of one replica, before the store has given it an epoch; and the roster of what was found last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analyzer.samples import Identity, ReplicaKey, ReplicaSample


@dataclass(frozen=True, slots=True)
class Polled:
    """One replica at one poll. `tick_s` is the aligned time the poll was planned for, `at_s` when it was sent.

    `histograms` are those of the polls that store them, empty at the others.
    """

    replica: ReplicaKey
    job: str
    identity: Identity
    process_start: str | None
    tick_s: float
    at_s: float
    interval_s: float
    fields: Mapping[str, float | None]
    simulated: bool = False
    lumpy: frozenset[str] = frozenset()
    unreported: tuple[str, ...] = ()
    gpu_uuids: tuple[str, ...] = ()
    histograms: Mapping[str, tuple[float, ...] | None] = field(default_factory=dict)

    def sample(self, epoch: int) -> ReplicaSample:
        """The sample within its epoch."""
        told: dict[str, Any] = {**self.fields, **self.histograms}
        return ReplicaSample(self.replica, epoch, self.at_s, self.interval_s, **told)


@dataclass(slots=True)
class Roster:
    """The replicas that targets showed last, with their current epoch once the store gave one."""

    polled: dict[ReplicaKey, Polled] = field(default_factory=dict)
    epochs: dict[ReplicaKey, int] = field(default_factory=dict)
    _shown: dict[str, set[ReplicaKey]] = field(default_factory=dict, init=False, repr=False)

    def show(self, target: str, polled: Sequence[Polled]) -> None:
        """These are what a target shows now: its other replicas are no longer there."""
        shown, before = {one.replica: one for one in polled}, self._shown.get(target)
        if before != shown.keys():
            for key in (self._of(target) if before is None else before) - shown.keys():
                self._forget(key)
            self._shown[target] = set(shown)
        self.polled.update(shown)

    def recall(self, polled: Polled, epoch: int) -> None:
        """A replica that an earlier run saw, unless its target has shown since what is there."""
        key = polled.replica
        if key not in self.polled and key.target not in self._shown:
            self.polled[key], self.epochs[key] = polled, epoch

    def forget(self, target: str) -> None:
        """The target is no longer polled: none of its replicas is there."""
        for key in self._of(target):
            self._forget(key)
        self._shown.pop(target, None)

    def newest_s(self, target: str) -> float | None:
        """When the newest poll of a target's replicas was sent; None where there is none."""
        return max((self.polled[key].at_s for key in self._of(target)), default=None)

    def _of(self, target: str) -> set[ReplicaKey]:
        """Searches all, also those that an earlier run left there: too slow for each poll of a large fleet."""
        return {key for key in self.polled if key.target == target}

    def _forget(self, key: ReplicaKey) -> None:
        self.polled.pop(key, None)
        self.epochs.pop(key, None)
