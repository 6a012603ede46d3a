"""What the model says was moved and computed against what the GPU's own activity counters say.

DRAM activity is the share of cycles in which the memory interface moved data, tensor activity that in which tensor
cores worked (NVML GPM, DCGM profiling fields 1005 and 1004). Times the data sheet's peak they are bytes and FLOPs per
second. The model counts weights and KV cache only, no activations, so they never agree exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.hardware import Hardware
from analyzer.phases import PhaseAccount
from analyzer.roofline import work
from analyzer.samples import GpuSample
from analyzer.windows import Totals

AGREEMENT = 1.3
"""Within this factor either way modelled and measured agree: activations, padding and counter resolution are in it."""
LEAST_ACTIVITY = 0.01
"""Below this the counters' resolution decides the ratio."""


@dataclass(frozen=True, slots=True)
class GpuActivity:
    """Mean activity of a replica's GPUs over a span (0..1); None: not reported."""

    dram: float | None
    tensor: float | None


NO_ACTIVITY = GpuActivity(None, None)


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Modelled over measured, 1 being full agreement."""

    bytes_ratio: Figure
    flops_ratio: Figure

    @property
    def disagreements(self) -> tuple[str, ...]:
        """What does not agree, in words; empty when all that could be checked does."""
        found = []
        for what, figure in (("bytes moved", self.bytes_ratio), ("arithmetic", self.flops_ratio)):
            if isinstance(figure, Estimate) and not 1 / AGREEMENT <= figure.value <= AGREEMENT:
                found.append(f"the model explains {figure.value:.2f} times the {what} that the GPU's counters show")
        return tuple(found)


def activity_of(gpus: Sequence[Sequence[GpuSample]]) -> GpuActivity:
    """Mean activity over all joined GPUs; None when one of them did not report it."""
    return GpuActivity(_mean(gpus, "dram_active_ratio"), _mean(gpus, "tensor_active_ratio"))


def _mean(gpus: Sequence[Sequence[GpuSample]], name: str) -> float | None:
    means = []
    for samples in gpus:
        known = [(value, one.interval_s) for one in samples if (value := getattr(one, name)) is not None]
        span_s = sum(interval_s for _, interval_s in known)
        if span_s <= 0:
            return None
        means.append(sum(value * interval_s for value, interval_s in known) / span_s)
    return sum(means) / len(means) if means else None


def cross_check(totals: Totals, hardware: Hardware | Missing, activity: GpuActivity) -> CrossCheck:
    """Modelled bytes and FLOPs per second over the measured ones."""
    if isinstance(hardware, Missing):
        return CrossCheck(hardware, hardware)
    done = work(totals)
    if isinstance(done, Missing):
        return CrossCheck(done, done)
    if totals.covered_s <= 0 or done.steps <= 0:
        idle = Missing("the server was idle")
        return CrossCheck(idle, idle)
    tokens = done.sequence_steps + done.prefill_tokens
    weights = done.steps * hardware.step_weight_bytes(tokens / done.steps)
    moved = weights + done.sequence_steps * hardware.kv_read_bytes(done.context_tokens)
    computed = 2 * hardware.shape.active_parameters * tokens
    return CrossCheck(
        _ratio(moved / totals.covered_s, activity.dram, hardware.bandwidth_bytes_per_s, "dram_activity"),
        _ratio(computed / totals.covered_s, activity.tensor, hardware.flops_per_s, "tensor_activity"),
    )


def _ratio(modelled_per_s: float, active: float | None, peak_per_s: float, method: str) -> Figure:
    if active is None:
        return Missing("no GPU of this replica reports profiling counters")
    if active < LEAST_ACTIVITY:
        return Missing("the GPU's counters show next to no activity")
    return Estimate.exact(modelled_per_s / (active * peak_per_s), Evidence.MODELLED, method)


def widened(account: PhaseAccount, check: CrossCheck) -> PhaseAccount:
    """The account with intervals that reach to what the counters would make of it, where they disagree with the model.

    The memory-bound share reaches to itself times measured over modelled bytes; a measured share stays as it is.
    """
    if not check.disagreements:
        return account
    bytes_off = _off(check.bytes_ratio)
    flops_off = _off(check.flops_ratio)
    return replace(
        account,
        memory_bound=_reaching(account.memory_bound, bytes_off),
        prefill_marginal=_reaching(account.prefill_marginal, flops_off),
        prefill_exclusive=_reaching(account.prefill_exclusive, flops_off),
    )


def _off(figure: Figure) -> float:
    """Measured over modelled; 1 where they agree or nothing was measured."""
    if isinstance(figure, Missing) or 1 / AGREEMENT <= figure.value <= AGREEMENT:
        return 1.0
    return 1 / figure.value


def _reaching(figure: Figure, factor: float) -> Figure:
    if isinstance(figure, Missing) or figure.evidence is Evidence.MEASURED:
        return figure
    reached = min(1.0, figure.value * factor)
    return replace(figure, low=min(figure.low, reached), high=max(figure.high, reached))
