"""`analyse`, the one entry the daemon calls: histories and the operator's word in, a `Report` out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from math import inf, isfinite
from typing import Any

from analyzer.assumptions import Deployment, Policy
from analyzer.deployments import DeploymentReport, report_deployment
from analyzer.elsewhere import elsewhere
from analyzer.evidence import Missing
from analyzer.packed import Rows
from analyzer.replicas import ReplicaHistory, ReplicaReport, busy_weight, report_replica
from analyzer.verdict import VerdictState
from analyzer.workload import Workload, workload


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Report:
    """Everything that was concluded at `made_at_s` (unix time), over `recent_s` and `history_s` long spans."""

    made_at_s: float
    recent_s: float
    history_s: float
    simulated: bool
    replicas: tuple[ReplicaReport, ...]
    deployments: tuple[DeploymentReport, ...]
    failures: tuple[str, ...] = ()
    """Replicas and deployments whose figures could not be computed: one of them never stops the rest."""
    workloads: Mapping[str, Workload] = field(default_factory=dict, metadata={"plain": False})
    """By deployment. Not in a plain report: its hours are long, and change little from one report to the next."""


def analyse(
    fleet: Iterable[ReplicaHistory],
    deployments: Sequence[Deployment],
    former: Mapping[tuple[str, str], VerdictState],
    policy: Policy,
    *,
    now_s: float,
    recent_s: float,
    history_s: float,
) -> Report:
    """The report at `now_s`. `former` holds verdict states by (deployment, scheme).

    Histories are taken one after another and not kept: a thousand of them are gigabytes. Raises ValueError when a
    replica names a deployment that is not given.
    """
    stated = {deployment.name: deployment for deployment in deployments}
    replicas, reports, failures = [], [], []
    workloads, unknown = {}, set()
    busiest: dict[str, tuple[float, ReplicaHistory]] = {}
    for known in fleet:
        deployment = stated.get(known.deployment)
        if deployment is None:
            unknown.add(known.deployment)
            continue
        try:
            one = report_replica(known, deployment, now_s)
        except (ArithmeticError, LookupError, ValueError) as error:
            failures.append(f"{known.replica.target} {known.replica.model}: {error}")
            continue
        replicas.append(one)
        weight = busy_weight(one)
        if _has_choices(deployment) and weight > busiest.get(deployment.name, (-1.0,))[0]:
            busiest[deployment.name] = weight, known
    if unknown:
        raise ValueError(f"replicas of deployments that are not given: {', '.join(sorted(unknown))}")
    for deployment in deployments:
        members = [one for one in replicas if one.deployment == deployment.name]
        states = {scheme: state for (name, scheme), state in former.items() if name == deployment.name}
        try:
            found = elsewhere(busiest[deployment.name][1], deployment) if deployment.name in busiest else ()
            reports.append(report_deployment(deployment, members, states, policy, now_s, found))
            workloads[deployment.name] = workload(members)
        except (ArithmeticError, LookupError, ValueError) as error:
            failures.append(f"deployment {deployment.name}: {error}")
    simulated = any(one.simulated for one in replicas)
    return Report(now_s, recent_s, history_s, simulated, tuple(replicas), tuple(reports), tuple(failures), workloads)


def _has_choices(deployment: Deployment) -> bool:
    """Whether its busiest replica is to be looked at on other GPUs that the operator could have."""
    return bool(deployment.other_gpus or deployment.tensor_parallel_choices)


def as_plain(value: Any) -> Any:
    """A report as JSON-ready dicts, lists and scalars: a missing figure is `{"missing": reason}`, infinity a word."""
    kind: Any = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if isinstance(value, float):
        return value if isfinite(value) else "infinite" if value > 0 else "-infinite"
    shown = _shown(kind)
    if shown is not None:
        plain = {}
        for name, attribute in shown:
            held = getattr(value, attribute)
            held_kind = type(held)
            # Most of a report's values are plain already: no call for each.
            if held_kind in _AS_THEY_ARE or (held_kind is float and -inf < held < inf):
                plain[name] = held
            else:
                plain[name] = as_plain(held)
        return plain
    if isinstance(value, (tuple, list, set, frozenset, Rows)):
        return [as_plain(item) for item in value]
    if kind is dict or isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    return value.value if isinstance(value, Enum) else value


_AS_THEY_ARE = frozenset({str, bool, int, type(None)})


@cache
def _shown(kind: Any) -> tuple[tuple[str, str], ...] | None:
    """What is shown of a dataclass: names, and the attributes that they stand for; None for what is none."""
    if not is_dataclass(kind):
        return None
    if kind is Missing:
        return (("missing", "reason"),)
    return tuple((one.name, one.name) for one in fields(kind) if one.metadata.get("plain", True))
