"""The shape of what the operator states about a deployment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from analyzer.objectives import UTILISATION
from collector.settings.section import NAME, Section
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


class PriceConfig(Section):
    """What a GPU-hour costs, from where, and when that was true."""

    usd_per_gpu_hour: float = Field(description="Price of one GPU-hour in US dollars.", ge=0)
    source: str = Field(description="Where the price is from, such as a contract's name.", min_length=1)
    date: Date = Field(description="Date of the price; flagged once it is older than 90 days.")


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


class CostsConfig(Section):
    """The one-off work to quantize."""

    engineering_hours: float | None = Field(None, description="Hours of work.", ge=0)
    engineering_usd_per_hour: float | None = Field(None, description="Cost of an hour of work.", ge=0)


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
    latency_targets_met: bool | None = Field(None, description="Latency objectives are met today.")
    small_team: bool | None = Field(None, description="The team is small, with many priorities.")
    models_change_often: bool | None = Field(None, description="Models change often; each needs quantizing anew.")
    memory_constrained: bool | None = Field(None, description="The model barely fits into GPU memory.")


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
    schemes: tuple[str, ...] = Field((), description="Schemes to judge; empty for the usual ones.")
    costs: CostsConfig = Field(CostsConfig(), description="One-off work to quantize.")
    quality: dict[str, QualityConfig] = Field({}, description="Your evaluations, by scheme.")
    context: ContextConfig = Field(ContextConfig(), description="Facts that no counter shows.")
