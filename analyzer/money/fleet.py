"""Load, capacity, floor and growth -> whole replicas needed, month by month, with and without a scheme."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analyzer.capacity import CapacityReport
from analyzer.capacity.fleet import FleetCapacity
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.money.draws import Array

HORIZON_MONTHS = 12
"""The growth forecast holds for a year; afterwards the load stays."""
ROUNDING = 1e-9
"""What floating point may add to a whole number before it needs one replica more."""


@dataclass(frozen=True, slots=True)
class Load:
    """The observed peak in replicas' worth of what one replica carries today: 3.4 needs 4 replicas.

    `computed`: from a peak and a capacity; else today's number of replicas stands in as just enough. `apart` says how
    far the logarithms of one replica's capacity, before and after the scheme, move by one standard deviation of each
    independent doubt, (2, k); None: both are unsure on their own.
    """

    replicas: Estimate
    computed: bool
    apart: Array | None = None


def load_of(fleet: FleetCapacity, under: CapacityReport | Missing | None = None) -> Load | Missing:
    """The load of a fleet whose capacity is known; `under` is its busiest replica under the scheme asked about."""
    if isinstance(fleet.load, Missing):
        return fleet.load
    if fleet.load.low <= 0:
        return Missing("no request came in the busiest stretch: there is no load to carry")
    replicas = fleet.load.map(lambda share: share * fleet.replicas)
    apart = under.apart if isinstance(under, CapacityReport) else None
    return Load(replicas, computed=True, apart=apart)


def just_enough(replicas: int) -> Load:
    """Today's replicas as the load: nothing else is known."""
    return Load(Estimate.exact(float(replicas), Evidence.ASSUMED, "todays_replicas"), computed=False)


def growth(per_month: float | None) -> Array:
    """Load at the start of each month of the horizon over today's, (HORIZON_MONTHS,): 1 throughout without growth."""
    factor = 1.0 if per_month is None else 1.0 + per_month
    return np.asarray(factor ** np.arange(HORIZON_MONTHS))


def needed(load: Array, floor: int) -> Array:
    """Whole replicas that carry the load, never fewer than `floor`; same shape."""
    return np.asarray(np.maximum(np.ceil(load - ROUNDING), max(floor, 1)))


@dataclass(frozen=True, slots=True)
class Replicas:
    """Whole replicas per draw and month, (draws, months): owned now, needed without and with the scheme."""

    owned: int
    without: Array
    under: Array

    @property
    def consolidated(self) -> Array:
        """Owned replicas that could be given back without any scheme: no saving of the scheme's."""
        return np.asarray(self.owned - np.minimum(self.owned, self.without))

    @property
    def released(self) -> Array:
        """Owned replicas that the scheme frees beyond that; negative where it is slower."""
        return np.asarray(np.minimum(self.owned, self.without) - np.minimum(self.owned, self.under))

    @property
    def avoided(self) -> Array:
        """Replicas that need not be bought beyond those owned."""
        return np.asarray(np.maximum(self.without - self.owned, 0) - np.maximum(self.under - self.owned, 0))


def replicas_needed(owned: int, floor: int, load: Array, ratio: Array, grown: Array) -> Replicas:
    """`load` in replicas and `ratio` of capacities, both (draws,), over the months of `grown`.

    The floor never raises the number above the owned one: a fleet below its floor is not made larger by a scheme.
    """
    monthly = load[:, None] * grown[None, :]
    own_floor = min(floor, owned)
    return Replicas(owned, needed(monthly, own_floor), needed(monthly / ratio[:, None], own_floor))
