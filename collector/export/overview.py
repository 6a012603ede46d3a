"""What the page shows at first sight: deployments whole, replicas in brief, the hours of each deployment's mix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from analyzer.deployments import DeploymentReport
from analyzer.evidence import Estimate, Figure, Missing
from analyzer.hours import MixHours
from analyzer.replicas import ReplicaReport
from analyzer.report import Report, as_plain
from analyzer.samples import ReplicaKey
from analyzer.stepsizes import StepSizes
from collector.export.link import Link

SHARE_DIGITS = 4
"""Digits of an hour's share in an answer: a plot of a week needs no more."""


@dataclass(frozen=True, slots=True)
class DeploymentShown:
    """A deployment's report, and what its replicas do over the live and the decision span."""

    report: DeploymentReport
    mix_now: Mapping[str, Estimate] | Missing
    mix_decision: Mapping[str, Estimate] | Missing
    step_sizes: StepSizes | Missing


@dataclass(frozen=True, slots=True)
class ReplicaBrief:
    """A replica's live figures; `id` is the last part of the path that has all of it."""

    id: str
    replica: ReplicaKey
    job: str
    deployment: str
    engine: str
    simulated: bool
    fresh: bool
    last_sample_s: float | None
    history_coverage: float | None
    busy: Figure
    prefill_marginal: Figure
    memory_bound: Figure
    decode_batch: Figure
    generation_tokens_per_s: Figure
    prefill_tokens_per_s: Figure
    waiting_requests: Figure
    kv_usage: Figure
    time_to_first_token_s: Figure
    inter_token_s: Figure
    unreported: int
    """How many wanted series the engine's page lacks."""


@dataclass(frozen=True, slots=True)
class Overview:
    """The last report, without what only a replica's own page shows. `stale`: no newer one could be made."""

    stale: bool
    made_at_s: float
    recent_s: float
    history_s: float
    simulated: bool
    failures: tuple[str, ...]
    deployments: tuple[DeploymentShown, ...]
    replicas: tuple[ReplicaBrief, ...]


@dataclass(frozen=True, slots=True)
class DeploymentHours:
    """One deployment's mix hour by hour."""

    deployment: str
    hours: MixHours | Missing


@dataclass(frozen=True, slots=True)
class History:
    """The hours of every deployment; those of a replica's earlier epochs are not in them."""

    stale: bool
    made_at_s: float
    history_s: float
    deployments: tuple[DeploymentHours, ...]


@dataclass(frozen=True, slots=True)
class ReplicaShown:
    """One replica's report; `explained` tells the chain from raw counters to its figures as `explain` does."""

    stale: bool
    made_at_s: float
    simulated: bool
    id: str
    replica: ReplicaReport
    explained: tuple[Link, ...]


def overview(report: Report, *, stale: bool = False) -> Overview:
    """The first sight of a report."""
    shown = []
    for one in report.deployments:
        known = report.workloads[one.name]
        shown.append(DeploymentShown(one, known.now, known.decision, known.step_sizes))
    return Overview(
        stale=stale,
        made_at_s=report.made_at_s,
        recent_s=report.recent_s,
        history_s=report.history_s,
        simulated=report.simulated,
        failures=report.failures,
        deployments=tuple(shown),
        replicas=tuple(map(_brief, report.replicas)),
    )


def history(report: Report, *, stale: bool = False) -> History:
    """The hours of a report's deployments."""
    hours = tuple(DeploymentHours(name, _rounded(known.hours)) for name, known in report.workloads.items())
    return History(stale, report.made_at_s, report.history_s, hours)


def replica_shown(report: Report, wanted: str, *, stale: bool = False) -> ReplicaShown | None:
    """One replica by its id; None when the report has none of it."""
    found = next((one for one in report.replicas if replica_id(one.replica) == wanted), None)
    if found is None:
        return None
    # Only here: what sets these lines takes 3 MB, and nobody may ever look.
    from collector.export.explained import links

    return ReplicaShown(stale, report.made_at_s, found.simulated, wanted, found, links(as_plain(found)))


def replica_id(key: ReplicaKey) -> str:
    """A name for a path: what a stranger called a model may be long, or no text at all."""
    whole = "\0".join((key.target, key.model, key.rank))
    return sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _brief(one: ReplicaReport) -> ReplicaBrief:
    return ReplicaBrief(
        id=replica_id(one.replica),
        replica=one.replica,
        job=one.job,
        deployment=one.deployment,
        engine=one.identity.engine,
        simulated=one.simulated,
        fresh=one.fresh,
        last_sample_s=one.last_sample_s,
        history_coverage=one.history_coverage,
        busy=one.phases.busy,
        prefill_marginal=one.phases.prefill_marginal,
        memory_bound=one.phases.memory_bound,
        decode_batch=one.decode_batch,
        generation_tokens_per_s=one.generation_tokens_per_s,
        prefill_tokens_per_s=one.prefill_tokens_per_s,
        waiting_requests=one.waiting_requests,
        kv_usage=one.kv_usage,
        time_to_first_token_s=one.time_to_first_token_s,
        inter_token_s=one.inter_token_s,
        unreported=len(one.unreported),
    )


def _rounded(hours: MixHours | Missing) -> MixHours | Missing:
    if isinstance(hours, Missing):
        return hours
    shares = {name: tuple(round(share, SHARE_DIGITS) for share in column) for name, column in hours.shares.items()}
    return MixHours(
        hours.start_s, tuple(round(one, 1) for one in hours.covered_s), shares, hours.replicas, hours.evidence
    )
