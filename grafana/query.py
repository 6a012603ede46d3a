"""PromQL for the panels: selectors checked against the catalogue, and means that weigh replicas by their busy time."""

from __future__ import annotations

from collector.export.catalogue import by_name

_CATALOGUE = by_name()

DAEMON = {"job": "$job", "instance": "$instance"}
DEPLOYMENT = {**DAEMON, "deployment": "$deployment"}
SCHEME = {**DEPLOYMENT, "scheme": "$scheme"}
REPLICA = {**DEPLOYMENT, "target": "$target"}
TARGET = {**DAEMON, "target": "$target"}
"""What a panel is narrowed to: label -> dashboard variable, matched as a regular expression."""

_ON_REPLICA = "on (job, instance, deployment, target, model_name, rank)"


def series(name: str, scope: dict[str, str], **labels: str) -> str:
    """A selector. Raises KeyError for a metric, ValueError for a label that the catalogue does not have."""
    wanted = {**scope, **labels}.keys() - DAEMON.keys()
    if not wanted <= set(_CATALOGUE[name].labels):
        raise ValueError(f"{name} has no labels {sorted(wanted - set(_CATALOGUE[name].labels))}")
    matchers = [f'{label}=~"{variable}"' for label, variable in scope.items()]
    matchers += [f'{label}="{value}"' for label, value in labels.items()]
    return f"{name}{{{','.join(matchers)}}}"


def p50(name: str, scope: dict[str, str], **labels: str) -> str:
    """The selector of an estimate's middle."""
    return series(name, scope, bound="p50", **labels)


def weighted(name: str, bound: str) -> str:
    """A share of busy time over the selected replicas, each weighing as much as it was busy."""
    share, busy = series(name, REPLICA, bound=bound), p50("breakeven_busy_ratio", REPLICA)
    return f"sum({share} * {_ON_REPLICA} {busy}) / sum({busy} and {_ON_REPLICA} {share})"


def weighted_phase(phase: str, accounting: str) -> str:
    """The share of one phase over the selected replicas, each weighing as much as it was busy."""
    share = p50("breakeven_phase_share_ratio", REPLICA, phase=phase, accounting=accounting)
    busy = p50("breakeven_busy_ratio", REPLICA)
    return f"sum({share} * {_ON_REPLICA} {busy}) / sum({busy} and {_ON_REPLICA} {share})"


def at_now(timestamp: str) -> str:
    """How long ago a moment was, in seconds."""
    return f"time() - {timestamp}"


def or_nan(expression: str, by: str, every: str) -> str:
    """The expression, with NaN for each of `every` that it lacks: a table's cell then says so instead of being gone."""
    return f"{expression} or on ({by}) (max by ({by}) ({every}) * NaN)"


def weighted_size() -> str:
    """The share of busy time by step size over the selected replicas, each weighing as much as it was busy."""
    share, busy = series("breakeven_step_size_time_ratio", REPLICA), p50("breakeven_busy_ratio", REPLICA)
    whole = f"scalar(sum({busy} and {_ON_REPLICA} {share}))"
    return f"sum by (tokens) ({share} * {_ON_REPLICA} group_left () {busy}) / {whole}"
