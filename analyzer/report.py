"""`analyse`, the one entry the daemon calls: histories and the operator's word in, a `Report` out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cache, partial
from math import inf
from operator import attrgetter
from typing import Any

from analyzer.assumptions import Deployment, Policy
from analyzer.canary import Tried, tried_of
from analyzer.deployments import DeploymentReport, report_deployment
from analyzer.elsewhere import elsewhere
from analyzer.evidence import Missing
from analyzer.packed import Figures, Rows
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
    tried: dict[str, list[Tried]] = {}
    for known in fleet:
        deployment = stated.get(known.deployment)
        if deployment is None:
            unknown.add(known.deployment)
            continue
        try:
            one = report_replica(known, deployment, now_s)
            if known.compared:
                tried.setdefault(deployment.name, []).append(tried_of(known, deployment))
        except (ArithmeticError, LookupError, ValueError) as error:
            failures.append(f"{known.replica.target} {known.replica.model}: {error}")
            continue
        replicas.append(one)
        weight = busy_weight(one)
        if deployment.has_choices and weight > busiest.get(deployment.name, (-1.0,))[0]:
            busiest[deployment.name] = weight, known
    if unknown:
        raise ValueError(f"replicas of deployments that are not given: {', '.join(sorted(unknown))}")
    for deployment in deployments:
        members = [one for one in replicas if one.deployment == deployment.name]
        states = {scheme: state for (name, scheme), state in former.items() if name == deployment.name}
        try:
            found = elsewhere(busiest[deployment.name][1], deployment) if deployment.name in busiest else ()
            compared = tried.get(deployment.name, ())
            reports.append(report_deployment(deployment, members, states, policy, now_s, found, compared))
            workloads[deployment.name] = workload(members)
        except (ArithmeticError, LookupError, ValueError) as error:
            failures.append(f"deployment {deployment.name}: {error}")
    simulated = any(one.simulated for one in replicas)
    return Report(now_s, recent_s, history_s, simulated, tuple(replicas), tuple(reports), tuple(failures), workloads)


def as_plain(value: Any) -> Any:
    """A report as JSON-ready dicts, lists and scalars: a missing figure is `{"missing": reason}`, infinity a word."""
    kind: Any = type(value)
    return _way(kind)(value)


_AS_THEY_ARE = frozenset({str, bool, int, type(None)})


@cache
def _way(kind: Any) -> Callable[[Any], Any]:
    """How values of a type are made plain."""
    if kind in _AS_THEY_ARE:
        return _itself
    if issubclass(kind, float):
        return _number
    if hasattr(kind, "__dataclass_fields__"):
        return partial(_record, *_shown(kind))
    if issubclass(kind, Rows):
        return _rows
    if issubclass(kind, Figures):
        return _figures
    if issubclass(kind, (tuple, list, set, frozenset)):
        return lambda items: [as_plain(item) for item in items]
    if issubclass(kind, Mapping):
        return lambda items: {str(key): as_plain(item) for key, item in items.items()}
    return attrgetter("_value_") if issubclass(kind, Enum) else _itself


def _itself(value: Any) -> Any:
    return value


def _number(value: float) -> float | str:
    return value if -inf < value < inf else "infinite" if value > 0 else "-infinite"


def _record(names: tuple[str, ...], values_of: Callable[[Any], Sequence[Any]], record: Any) -> dict[str, Any]:
    plain = dict(zip(names, values_of(record)))  # noqa: B905 - a third of it would be the check
    for name, held in plain.items():
        kind: Any = type(held)
        # Most of a report's values are plain already: no call for each.
        if kind is float:
            if not -inf < held < inf:
                plain[name] = _number(held)
        elif kind not in _AS_THEY_ARE:
            plain[name] = _way(kind)(held)
    return plain


def _rows(rows: Rows[Any]) -> list[Any]:
    kind: Any = rows.kind
    if not hasattr(kind, "__dataclass_fields__"):
        return [as_plain(row) for row in rows]
    names, _ = _shown(kind)
    plain = [one if one is None or -inf < one < inf else _number(one) for one in rows.figures()]
    width = len(names)
    return [dict(zip(names, plain[at : at + width])) for at in range(0, len(plain), width)]  # noqa: B905


def _figures(figures: Figures) -> dict[str, float | str]:
    return {name: _number(value) for name, value in figures.told()}


@cache
def _shown(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], Sequence[Any]]]:
    """What is shown of a dataclass: names, and what gives the values that they stand for."""
    if kind is Missing:
        return ("missing",), lambda missing: (missing.reason,)
    names = tuple(one.name for one in fields(kind) if one.metadata.get("plain", True))
    if len(names) == 1:  # of one attribute the getter gives the value, not a tuple
        return names, lambda record: (getattr(record, names[0]),)
    return names, attrgetter(*names)
