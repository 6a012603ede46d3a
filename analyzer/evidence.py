"""How a number was obtained: the evidence ladder, estimates with their interval, and absence with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class Evidence(StrEnum):
    """How a number was obtained, best first."""

    MEASURED = "measured"
    FITTED = "fitted"
    MODELLED = "modelled"
    ASSUMED = "assumed"


_ORDER = tuple(Evidence)


def worst(*evidence: Evidence) -> Evidence:
    """The weakest of the inputs' evidence: a result is never better than its worst input.

    Raises ValueError when called with nothing.
    """
    return max(evidence, key=_ORDER.index)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 80 % interval (P10, P90), its evidence and the method that gave it."""

    value: float
    low: float
    high: float
    evidence: Evidence
    method: str

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"interval [{self.low}, {self.high}] does not hold the value {self.value}")

    @classmethod
    def exact(cls, value: float, evidence: Evidence, method: str) -> Estimate:
        """A counted figure: its interval is the figure itself."""
        return cls(value, value, value, evidence, method)

    def map(self, function: Callable[[float], float], method: str | None = None) -> Estimate:
        """The estimate under a monotone function; a falling function swaps the interval's ends."""
        low, high = sorted((function(self.low), function(self.high)))
        value = min(max(function(self.value), low), high)
        return replace(self, value=value, low=low, high=high, method=self.method if method is None else method)


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a figure does not exist: the reason is for the operator and names the remedy where there is one."""

    reason: str


Figure = Estimate | Missing
