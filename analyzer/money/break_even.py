"""From which speed-up, price or load on a scheme's pessimistic first year pays, all else as it is."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from analyzer.assumptions import Deployment
from analyzer.money.draws import Array, pessimistic
from analyzer.money.fleet import Replicas, growth, needed, replicas_needed

HOURS_PER_MONTH = 730.0
"""365 days / 12 months * 24 hours."""
MOST_RATIO = 16.0
"""Up to here a break-even speed-up is looked for: no scheme comes near."""
MOST_LOAD = 20.0
_HALVINGS = 24
_LOADS = np.geomspace(1.0, MOST_LOAD, 96)
_FEW = 4
"""Every so-many-th draw stands for all where many loads are tried."""


@dataclass(frozen=True, slots=True)
class PaysFrom:
    """From where on, all else as it is, the pessimistic first-year net exceeds the stated minimum; None: nowhere.

    `load_ratio` is a multiple of today's peak, at most `MOST_LOAD`, from which on it pays at every larger one too;
    `replicas` are those that carry that load without the scheme.
    """

    usd_per_gpu_hour: float | None
    load_ratio: float | None
    replicas: int | None
    ratio: float | None
    """Speed-up in capacity that suffices at the central load."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays as it is while one thing is varied."""

    deployment: Deployment
    owned: int
    gpus_per_replica: int

    @property
    def yearly_usd(self) -> float:
        """Re-quantization in a year; 0 where it is not stated, which `Costs.left_out` says."""
        stated = self.deployment.costs.yearly_usd
        return 0.0 if stated is None else stated

    @property
    def spent_usd(self) -> float:
        """What the first year's saving must exceed."""
        once = self.deployment.costs.investment_usd
        return (0.0 if once is None else once) + self.yearly_usd + self.deployment.minimum_year_1_net_usd

    def fleet(self, load: Array, ratio: Array) -> Replicas:
        """Replicas of each draw (draws,) through the first year."""
        grown = growth(self.deployment.growth_per_month)
        return replicas_needed(self.owned, self.deployment.minimum_replicas, load, ratio, grown)

    def gpu_hours(self, load: Array, ratio: Array) -> Array:
        """GPU-hours that the first year saves, by draw (draws,)."""
        fleet = self.fleet(load, ratio)
        return np.asarray((fleet.released + fleet.avoided).sum(axis=1) * self.gpus_per_replica * HOURS_PER_MONTH)

    def beyond_usd(self, load: Array, ratio: Array) -> Array:
        """What is left of the first year's saving after all that it must exceed, by draw; without a price nothing."""
        price = self.deployment.price
        return self.gpu_hours(load, ratio) * (0.0 if price is None else price.usd_per_gpu_hour) - self.spent_usd


def least_ratio(plan: Plan, load: Array) -> Array:
    """Least speed-up in capacity with which each draw of the load pays; infinite where even `MOST_RATIO` does not."""
    low, high = np.full(len(load), 1.0), np.full(len(load), MOST_RATIO)
    pays = plan.beyond_usd(load, high) > 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = plan.beyond_usd(load, middle) > 0
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(pays, high, inf)


def pays_from(plan: Plan, load: Array, ratio: Array, ratios: Array) -> PaysFrom:
    """Where it pays; `ratios` as `least_ratio` gives them for the same draws of the load."""
    hours = float(pessimistic(plan.gpu_hours(load, ratio)))
    times = _least_load(plan, load[::_FEW], ratio[::_FEW])
    middle = float(np.median(ratios))
    replicas = None
    if times is not None:
        floor = min(plan.deployment.minimum_replicas, plan.owned)
        replicas = int(needed(np.array([np.median(load) * times]), floor)[0])
    return PaysFrom(
        usd_per_gpu_hour=plan.spent_usd / hours if hours > 0 else None,
        load_ratio=times,
        replicas=replicas,
        ratio=middle if isfinite(middle) else None,
    )


def _least_load(plan: Plan, load: Array, ratio: Array) -> float | None:
    """The least load from which on every larger one that is tried pays at the pessimistic end."""
    count = len(load)
    loads = np.repeat(_LOADS, count) * np.tile(load, len(_LOADS))
    left = plan.beyond_usd(loads, np.tile(ratio, len(_LOADS))).reshape(len(_LOADS), count)
    pays = pessimistic(left) > 0
    if not pays[-1]:
        return None
    misses = np.flatnonzero(~pays)
    return float(_LOADS[0 if len(misses) == 0 else misses[-1] + 1])
