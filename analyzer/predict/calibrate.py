"""A measured baseline beside the modelled one: what the model cannot explain is carried over to the other side.

Attributing that gap to fixed overhead errs less than attributing it to inefficiency, but not all of it is fixed: the
constants `scaling_share` and `scaling_share_first_token` say how much shrinks along with the modelled time.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Baseline:
    """What was measured of the work, in seconds for all of it; `first_token`: it is a time to first token."""

    seconds: float
    first_token: bool = False

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValueError(f"a measured time is above 0 seconds, not {self.seconds}")


@dataclass(frozen=True, slots=True)
class Modelled:
    """Modelled seconds of the work before and after, and host overhead, which a scheme leaves alone.

    `steps_ratio`: steps after over steps before; not 1 where freed memory lets more sequences run at once.
    """

    before_s: float
    after_s: float
    host_s: float
    steps_ratio: float = 1.0


def speedup(model: Modelled, measured_s: float | None, scaling_share: float) -> float:
    """Time before over time after. `measured_s` None: the modelled times alone."""
    if measured_s is None:
        return (model.before_s + model.host_s) / (model.after_s + model.host_s * model.steps_ratio)
    excess = measured_s - model.before_s
    if excess <= 0:
        return model.before_s / model.after_s
    host = min(excess, model.host_s)
    unexplained = excess - host
    scaled = model.after_s * (1 + unexplained * scaling_share / model.before_s)
    fixed = (host + unexplained * (1 - scaling_share)) * model.steps_ratio
    return measured_s / (scaled + fixed)
