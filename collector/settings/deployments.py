"""The shape of what the operator states about a deployment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from analyzer.objectives import UTILISATION
from collector.settings.money import CostsConfig, OtherGpuConfig, PriceConfig
from collector.settings.section import NAME, Ratio, Section
from collector.settings.units import Date


class Match(Section):
    """Which replicas belong to a deployment: every stated pattern must match (`*` and `?` as in a shell)."""

    job: str | None = Field(None, description="Pattern for the job's name.")
    model: str | None = Field(None, description="Pattern for the served model's name.")
    target: str | None = Field(None, description="Pattern for the target's host:port.")

    @model_validator(mode="after")
    def _something(self) -> Match:
        if self.job is None and self.model is None and self.target is None:
            raise ValueError("state at least one of job, model and target")
        return self


class ObjectiveConfig(Section):
    """Which share of a latency may last how long."""

    seconds: float = Field(description="Longest time in seconds that still keeps the objective.", gt=0)
    percentile: float = Field(95.0, description="Percentile that must not last longer: 95 for P95.", ge=50, lt=100)


class ObjectivesConfig(Section):
    """What latency must keep. Capacity is the largest load within it."""

    ttft: ObjectiveConfig | None = Field(None, description="Time to first token.")
    itl: ObjectiveConfig | None = Field(None, description="Gap between two tokens of a request.")
    utilisation: float = Field(
        UTILISATION, description="Without `ttft`: this share of the load that can be served at all.", gt=0, le=1
    )


class QualityConfig(Section):
    """Your own evaluation of the model under one scheme."""

    result: Literal["pass", "fail", "pending"] = Field(description="pass, fail or pending.")
    metric: str = Field(description="What was measured.", min_length=1)
    owner: str = Field(description="Who judged.", min_length=1)
    date: Date = Field(description="When.")
    relative_loss: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="Relative loss of the metric as a ratio: 0.01 is one percent."
    )


class ContextConfig(Section):
    """Facts that no counter shows; leave out what you do not know."""

    quality_is_differentiator: bool | None = Field(None, description="Quality is why users choose you.")
    compute_is_small_part_of_cost: bool | None = Field(None, description="GPUs are a small part of the bill.")
    compute_share_of_cost: Ratio | None = Field(
        None, description="GPUs' part of what the product costs in all; says more than `compute_is_small_part_of_cost`."
    )
    latency_targets_met: bool | None = Field(None, description="Latency objectives are met today.")
    small_team: bool | None = Field(None, description="The team is small, with many priorities.")
    models_change_often: bool | None = Field(None, description="Models change often; each needs quantizing anew.")
    memory_constrained: bool | None = Field(None, description="The model barely fits into GPU memory.")
    engineering_capacity: bool | None = Field(None, description="Engineers have time for it.")

    @model_validator(mode="after")
    def _one_word_on_cost(self) -> ContextConfig:
        if self.compute_is_small_part_of_cost is not None and self.compute_share_of_cost is not None:
            raise ValueError("compute_is_small_part_of_cost and compute_share_of_cost say the same: keep one")
        return self


class DeploymentConfig(Section):
    """The replicas that serve one model in one role, and what the decision rests on."""

    name: str = Field(description="Name of the deployment.", pattern=NAME)
    match: Match = Field(description="Which replicas belong to it.")
    gpu: str | None = Field(None, description="GPU model, such as `H100 SXM 80GB`.")
    gpus_per_replica: int | None = Field(None, description="GPUs of one replica (tensor parallel size).", ge=1)
    model: str | None = Field(None, description="Model, such as `meta-llama/Llama-3.1-8B-Instruct`.")
    weight_bits: float | None = Field(None, description="Bits per weight served now: 16 for BF16.", gt=0, le=32)
    price: PriceConfig | None = Field(None, description="Price of a GPU-hour.")
    minimum_replicas: int = Field(1, description="Fewest replicas that high availability allows.", ge=1)
    objectives: ObjectivesConfig | None = Field(None, description="Latency objectives.")
    seats: int | None = Field(
        None, description="Most sequences at once in a replica (vLLM: `--max-num-seqs`), where no page tells.", ge=1
    )
    chunk_tokens: int | None = Field(
        None, description="Most tokens of a step (vLLM: `--max-num-batched-tokens`), where no page tells.", ge=1
    )
    growth_per_month: Annotated[float, Field(gt=-1, le=1)] | None = Field(
        None, description="Growth of the peak load in a month as a ratio: 0.05 is five percent."
    )
    tensor_parallel_choices: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        (), description="Other tensor parallel sizes that you could run, such as `[1, 2]`."
    )
    other_gpus: tuple[OtherGpuConfig, ...] = Field((), description="GPU models that you could have instead.")
    minimum_year_1_net_usd: float = Field(
        0.0, description="Pessimistic net of the first year above which quantizing is worth it.", ge=0
    )
    schemes: tuple[str, ...] = Field((), description="Schemes to judge; empty for the usual ones.")
    costs: CostsConfig = Field(CostsConfig(), description="Cost of the work to quantize.")
    quality: dict[str, QualityConfig] = Field({}, description="Your evaluations, by scheme.")
    context: ContextConfig = Field(ContextConfig(), description="Facts that no counter shows.")
