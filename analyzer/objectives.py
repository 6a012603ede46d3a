"""Latency objectives: which percentile of time to first token, and of the gaps between tokens, may last how long."""

from __future__ import annotations

from dataclasses import dataclass

UTILISATION = 0.9
"""Share of the stability limit that counts as capacity where no objective says how much waiting is too much."""


@dataclass(frozen=True, slots=True)
class Objective:
    """`share` of all (0..1, e.g. 0.95) within `seconds`."""

    seconds: float
    share: float = 0.95

    def __post_init__(self) -> None:
        if not (self.seconds > 0 and 0 < self.share < 1):
            raise ValueError(f"an objective is a share between 0 and 1 within more than 0 seconds, not {self}")


@dataclass(frozen=True, slots=True)
class Objectives:
    """Each optional. `utilisation` bounds the load where there is none: a share of what could be served at all."""

    first_token: Objective | None = None
    token_gap: Objective | None = None
    utilisation: float = UTILISATION

    def __post_init__(self) -> None:
        if not 0 < self.utilisation <= 1:
            raise ValueError(f"a utilisation is between 0 and 1, not {self.utilisation}")

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return self.first_token is not None or self.token_gap is not None
