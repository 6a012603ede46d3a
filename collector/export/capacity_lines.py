"""What a deployment carries within its objectives, and what each scheme makes of that, as lines of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from collector.export.step_line import duration

Plain = Mapping[str, Any]
LIMITS = {
    "first_token": "time to first token",
    "token_gap": "the gap between tokens",
    "utilisation": "what can be served at all",
    "unreachable": "objectives that even an idle replica misses",
}
"""What sets a capacity, in words."""


def fleet_lines(fleet: Plain) -> Iterator[str]:
    """The load at the peak and what it needs as it is; then latency today and what binds, or why that is not known."""
    own, needed = fleet["capacity_per_s"], fleet["needed"]
    if "missing" in own:
        yield f"capacity not known: {own['missing']}"
        return
    within = _objectives(fleet["objectives"])
    within += "" if fleet["stated"] else " (no latency is bounded: state deployments[].objectives)"
    yield f"a replica carries {_interval(own)} requests/s ({own['evidence']}) within {within}"
    peak, count = fleet["peak_per_s"], fleet["replicas"]
    if "missing" in peak:
        yield f"peak load not known: {peak['missing']}"
    elif "missing" not in needed:
        enough = f"{_whole(needed)} of {count} replicas are enough as they are"
        if needed["value"] > count:
            enough = f"{_whole(needed)} replicas are needed as they are, {count} run"
        span_h = fleet["span_s"] / 3600
        yield f"peak {_number(peak['value'])} requests/s over {span_h:,.0f} h: {enough}{_uneven(fleet['imbalance'])}"
    side = fleet["replica"]
    if "missing" not in side:
        yield f"limit: {LIMITS[side['bound']]}; today {_latency(side['today'])}"
        if side["concurrency"] is not None:
            tokens, sequences = side["longest_context"], side["concurrency"]
            yield f"KV memory holds {tokens:,.0f} tokens, {sequences:,.0f} sequences of the live context at once"


def scheme_line(scheme: Plain) -> str:
    """What a replica would carry, how many replicas the peak would need, and latency at today's load."""
    ratio, needed, report = scheme["ratio"], scheme["needed"], scheme["replica"]
    if "missing" in ratio:
        return f"capacity not known: {ratio['missing']}"
    line = f"carries {_interval(ratio)}x the load"
    if "missing" not in needed:
        line += f", {_whole(needed)} replica(s) at the peak"
    if "missing" not in report:
        line += f", today {_latency(report['after']['today'])}"
        if report["after"]["concurrency"] is not None:
            counted = "counted" if report["kv_credited"] else "not counted: it does not limit today"
            line += f", room for {report['after']['concurrency']:,.0f} sequences ({counted})"
    return line


def _objectives(objectives: Plain) -> str:
    told = [
        f"{name} P{100 * one['share']:g} {duration(one['seconds'])}"
        for name, one in (("TTFT", objectives["first_token"]), ("ITL", objectives["token_gap"]))
        if one is not None
    ]
    if objectives["first_token"] is None:
        told.append(f"{objectives['utilisation']:.0%} of what can be served")
    return ", ".join(told)


def _uneven(imbalance: Plain) -> str:
    if "missing" in imbalance or imbalance["value"] < 1.05:
        return ""
    return f" (the most loaded one has {imbalance['value']:.2f} times the mean)"


def _latency(today: Plain) -> str:
    """Mean gap between tokens and percentile of the first token."""
    gap, first = today["token_gap_mean_s"], today["first_token_s"]
    if "missing" in gap:
        return str(gap["missing"])
    told = f"{duration(gap['value'])} between tokens"
    if "missing" in first:
        return f"{told}, time to first token not known: {first['missing']}"
    return f"{told}, first token within {duration(first['value'])}"


def _interval(one: Plain) -> str:
    return f"{_number(one['value'])} ({_number(one['low'])}-{_number(one['high'])})"


def _whole(one: Plain) -> str:
    low, value, high = (round(one[name]) for name in ("low", "value", "high"))
    return f"{value}" if low == high else f"{value} ({low}-{high})"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
