"""A replay of the alert rules (plain JSON) as terminal text: what fired, for whom, when and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

Plain = Mapping[str, Any]
SHOWN = 5
"""Firings of one alert that are listed; --json has them all."""
BEGINNING = (
    "An alert that stood at the start shows as begun once its `for` is over; a rule that compares days waits for them."
)
ELSEWHERE = (
    "Whether targets, GPUs, the database and the daemon itself were up is in Prometheus' own history, not in reports: "
    'ask it for ALERTS{alertstate="firing"}.'
)


def print_replay(replay: Plain, console: Console) -> None:
    """Print every alert of the rules, those that did not fire and those that history cannot answer included."""
    for line in _lines(replay):
        console.print(line, soft_wrap=True)


def _lines(replay: Plain) -> Iterator[Text]:
    when = f"{_moment(replay['since_s'])} to {_moment(replay['until_s'])} UTC"
    yield Text(f"Alerts that {replay['reports']} stored reports would have raised, {when}", "bold")
    step = _lasted(replay["step_s"])
    yield Text(f"Evaluated every {step} by {replay['evaluated_by']}.", "dim")
    yield Text(BEGINNING, "dim")
    if replay["simulated"]:
        yield Text("Simulated deployments are in these reports: the shipped rules never fire for them.", "yellow")
    if replay["unread"]:
        yield Text(f"{replay['unread']} reports could not be read and count as gaps.", "yellow")
    yield from _gaps(replay["gaps"])
    yield Text()
    for alert in replay["alerts"]:
        yield from _alert(alert)
    if replay["not_replayed"]:
        yield Text()
        yield Text("Not replayed, since no stored report tells what they look at:", "bold")
        for one in replay["not_replayed"]:
            yield Text(f"  {one['title']}: {', '.join(one['metrics'])}")
        yield Text(ELSEWHERE, "dim")


def _gaps(gaps: Sequence[Sequence[float]]) -> Iterator[Text]:
    if not gaps:
        return
    whole = _lasted(sum(to_s - from_s for from_s, to_s in gaps))
    yield Text(f"No report stands for {whole} of it: the daemon was away, or could make none.", "yellow")
    yield from _first([f"  {_moment(from_s)} to {_moment(to_s)}, {_lasted(to_s - from_s)}" for from_s, to_s in gaps])


def _alert(alert: Plain) -> Iterator[Text]:
    firings = alert["firings"]
    severity = alert["labels"].get("severity", "")
    if not firings:
        yield Text(f"{alert['title']}: did not fire")
        return
    times = "once" if len(firings) == 1 else f"{len(firings)} times"
    text = f"{alert['title']}: fired {times}, {_lasted(alert['fired_s'])} in all"
    yield Text(text, "bold yellow" if severity != "info" else "bold")
    yield from _first([_firing(one) for one in firings])


def _firing(one: Plain) -> str:
    about = ", ".join(f"{name} {value}" for name, value in one["labels"].items()) or "no labels"
    end = "now, still firing" if one["until_s"] is None else _moment(one["until_s"])
    return f"  {about}: {_moment(one['since_s'])} to {end}, {_lasted(one['lasted_s'])}"


def _first(lines: Sequence[str]) -> Iterator[Text]:
    for line in lines[:SHOWN]:
        yield Text(line)
    if len(lines) > SHOWN:
        yield Text(f"  and {len(lines) - SHOWN} more: --json lists them", "dim")


def _lasted(seconds: float) -> str:
    """To the minute, since the times beside it are; of days, to the hour."""
    minutes = round(seconds / 60)
    days, hours = divmod(round(seconds / 3600), 24)
    if days >= 2:
        return f"{days} d {hours} h" if hours else f"{days} d"
    hours, minutes = divmod(minutes, 60)
    return (
        " ".join(part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part) or "0"
    )


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")
