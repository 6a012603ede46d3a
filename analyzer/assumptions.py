"""What the operator states about a deployment: hardware, price, floor, costs, quality. Checked on creation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from analyzer.evidence import Evidence
from analyzer.objectives import Objectives

DEFAULT_SCHEMES = ("fp8-w8a8", "int8-w8a8", "w8a16", "w4a16")
"""What is judged where the operator names no schemes."""


class QualityResult(StrEnum):
    """The operator's own evaluation of a quantized model."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one GPU-hour, with where it is from and when it was true (unix time).

    `shipped`: a reference price of the GPU table stands in, since the operator stated none.
    """

    usd_per_gpu_hour: float
    source: str
    as_of_s: float
    shipped: bool = False

    def __post_init__(self) -> None:
        if self.usd_per_gpu_hour < 0:
            raise ValueError(f"a price is never negative: {self.usd_per_gpu_hour}")

    @property
    def evidence(self) -> Evidence:
        """What an operator pays is a fact; what some cloud once asked is an assumption."""
        return Evidence.ASSUMED if self.shipped else Evidence.MEASURED


@dataclass(frozen=True, slots=True)
class OtherGpu:
    """A GPU model that could be had instead, by a name that `facts.gpus.find_gpu` knows, and its price."""

    gpu: str
    price: Price


@dataclass(frozen=True, slots=True)
class Quality:
    """An evaluation the operator entered for one scheme; `relative_loss` is 0..1 of the metric, None if not entered."""

    result: QualityResult
    metric: str
    owner: str
    as_of_s: float
    relative_loss: float | None = None

    def __post_init__(self) -> None:
        if self.relative_loss is not None and not -1 <= self.relative_loss <= 1:
            raise ValueError(f"a relative loss is a ratio, not a percentage: {self.relative_loss}")


@dataclass(frozen=True, slots=True)
class Costs:
    """Work to quantize: once, and again at each model release. `None` = the operator has not said.

    Evaluating and re-quantizing cost the engineering rate where no rate of their own is stated.
    """

    engineering_hours: float | None = None
    engineering_usd_per_hour: float | None = None
    evaluation_hours: float | None = None
    evaluation_usd_per_hour: float | None = None
    requantization_hours: float | None = None
    requantization_usd_per_hour: float | None = None
    model_releases_per_year: float | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and value < 0:
                raise ValueError(f"{one.name} is never negative: {value}")

    @property
    def engineering_usd(self) -> float | None:
        """Hours times rate; None until both are stated."""
        return _times(self.engineering_hours, self.engineering_usd_per_hour)

    @property
    def evaluation_usd(self) -> float | None:
        """What evaluating quality once costs; None until it is stated."""
        return _times(self.evaluation_hours, _first(self.evaluation_usd_per_hour, self.engineering_usd_per_hour))

    @property
    def investment_usd(self) -> float | None:
        """Engineering and evaluation, once. None until engineering is stated; evaluation counts where it is."""
        if self.engineering_usd is None:
            return None
        return self.engineering_usd + (0.0 if self.evaluation_usd is None else self.evaluation_usd)

    @property
    def release_usd(self) -> float | None:
        """What quantizing one new model release anew costs; None until it is stated."""
        return _times(
            self.requantization_hours, _first(self.requantization_usd_per_hour, self.engineering_usd_per_hour)
        )

    @property
    def yearly_usd(self) -> float | None:
        """Re-quantization in a year; None where releases or their cost are not stated."""
        return 0.0 if self.model_releases_per_year == 0 else _times(self.model_releases_per_year, self.release_usd)

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the money leaves out since it is not stated, with what to state."""
        found = []
        if self.evaluation_usd is None:
            found.append("no cost of evaluating quality: set deployments[].costs.evaluation_hours")
        if self.yearly_usd is None:
            found.append(
                "no cost of quantizing new model releases: set deployments[].costs.requantization_hours and "
                "model_releases_per_year"
            )
        return tuple(found)


def _times(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first * second


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


@dataclass(frozen=True, slots=True)
class Context:
    """Facts about the team and the product that no counter shows. `None` = not stated, never guessed."""

    quality_is_differentiator: bool | None = None
    compute_is_small_part_of_cost: bool | None = None
    compute_share_of_cost: float | None = None
    """Compute's part of what the product costs in all, 0..1."""
    latency_targets_met: bool | None = None
    small_team: bool | None = None
    models_change_often: bool | None = None
    memory_constrained: bool | None = None
    engineering_capacity: bool | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """The replicas that serve one model in one role, as the operator describes them.

    `gpu` is a name that `facts.gpus.find_gpu` knows or None; `model` one that `facts.models.find_model` knows or None.
    `weight_bits` is stated when no endpoint tells the precision of the weights being served.
    """

    name: str
    gpu: str | None = None
    gpus_per_replica: int | None = None
    model: str | None = None
    parameters: int | None = None
    weight_bits: float | None = None
    price: Price | None = None
    minimum_replicas: int = 1
    growth_per_month: float | None = None
    """Ratio by which the peak load grows each month: 0.05 is five percent. None = not stated."""
    tensor_parallel_choices: tuple[int, ...] = ()
    """GPUs of one replica that could be had instead."""
    other_gpus: tuple[OtherGpu, ...] = ()
    minimum_year_1_net_usd: float = 0.0
    """Pessimistic first-year net above which a scheme is worth it."""
    schemes: tuple[str, ...] = ()
    costs: Costs = field(default_factory=Costs)
    quality: Mapping[str, Quality] = field(default_factory=dict)
    context: Context = field(default_factory=Context)
    objectives: Objectives | None = None
    """None: nobody stated any, and capacity is a share of what can be served at all."""
    seats: int | None = None
    """Most sequences that run at once in a replica, and most tokens of a step, where no endpoint tells them."""
    chunk_tokens: int | None = None
    load_ratio: float = 1.0
    """What-if: the load over the observed one."""
    imagined: bool = False
    """What-if: these GPUs are not there, and what is served now need not fit them."""

    @property
    def has_choices(self) -> bool:
        """Whether its busiest replica is to be looked at on other GPUs that the operator could have."""
        return bool(self.other_gpus or self.tensor_parallel_choices)

    def __post_init__(self) -> None:
        if self.minimum_replicas < 1:
            raise ValueError(f"{self.name}: at least one replica serves a deployment")
        if min(one for one in (self.seats, self.chunk_tokens, 1) if one is not None) < 1:
            raise ValueError(f"{self.name}: a replica takes at least one sequence and one token at once")
        if self.gpus_per_replica is not None and self.gpus_per_replica < 1:
            raise ValueError(f"{self.name}: a replica runs on at least one GPU")
        if self.load_ratio <= 0:
            raise ValueError(f"{self.name}: a load is above 0 times the observed one")
        if self.growth_per_month is not None and not -1 < self.growth_per_month <= 1:
            raise ValueError(f"{self.name}: growth is a ratio a month, above -1 and at most 1")
        if any(choice < 1 for choice in self.tensor_parallel_choices):
            raise ValueError(f"{self.name}: a replica runs on at least one GPU")


@dataclass(frozen=True, slots=True)
class Policy:
    """When a verdict may be given and how it may change."""

    min_history_s: float = 24 * 3600
    """A full daily cycle: quantization is decided on the day's mix, not on an hour's."""
    min_coverage_ratio: float = 0.5
    min_busy_ratio: float = 0.02
    dwell_s: float = 1800
    """How long a new verdict must hold before it replaces the former."""
    hold_s: float = 24 * 3600
    """How long the former verdict stands while data are missing."""
    hysteresis_ratio: float = 0.1
    """`worth_it` is entered only this share of the investment above the net that is wanted, and left below the net."""
    worth_it_speedup: float = 1.1
    """The article's own threshold for `worth_it`: ours where capacity is not computed."""
    idle_share: float = 0.5
    """A fleet whose peak needs at most this share of its replicas is to be consolidated first."""
    max_quality_loss: float = 0.03
    """The article's own threshold for quality degradation."""
