"""What a scheme does to a simulated server: the true costs and KV memory under given factors."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from collector.simulator.costs import StepCosts
from collector.simulator.stretch import Components


@dataclass(frozen=True, slots=True)
class ChangedCosts(StepCosts):
    """Step costs whose prompt tokens cost `prompt_ratio` of what as many decoded tokens do."""

    prompt_ratio: float = 1.0

    def split(self, batch: int, kv_tokens: int, prefill_tokens: int = 0, prefill_context_tokens: int = 0) -> Components:
        """As `StepCosts.split`."""
        tokens, pairs = prefill_tokens * self.prompt_ratio, prefill_context_tokens * self.prompt_ratio
        return StepCosts.split(self, batch, kv_tokens, tokens, pairs)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Change:
    """Ratios after over before of what a step's parts cost, and seconds added per step and per token."""

    weight_read: float
    kv_read: float
    sequence_compute: float
    prompt_token: float
    step_s: float
    token_s: float


def changed_costs(costs: StepCosts, change: Change) -> ChangedCosts:
    """The costs under the change; `token_s` comes once per decoding sequence and once per computed prompt token."""
    own = {one.name: getattr(costs, one.name) for one in fields(StepCosts) if one.init}
    decoded = replace(costs, active_parameters=costs.active_parameters * change.sequence_compute).token_compute_s
    prompt_s = costs.token_compute_s * change.prompt_token + change.token_s
    own |= {
        "weight_bytes": costs.weight_bytes * change.weight_read,
        "kv_bytes_per_token": costs.kv_bytes_per_token * change.kv_read,
        "active_parameters": costs.active_parameters * change.sequence_compute,
        "layers": costs.layers * change.sequence_compute,
        "overhead_s": max(0.0, costs.overhead_s + change.step_s),
        "per_sequence_s": max(0.0, costs.per_sequence_s + change.token_s),
    }
    return ChangedCosts(**own, prompt_ratio=prompt_s / decoded)
