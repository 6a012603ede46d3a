"""Messages to the receivers of notifications as series, and their part of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from collector.export.metric import Metric
from collector.health import ReceiverHealth

NOTIFICATIONS: tuple[Metric, ...] = (
    Metric(
        "breakeven_notifications_sent_total",
        "counter",
        ("receiver",),
        "Messages about changed verdicts that the receiver took.",
    ),
    Metric(
        "breakeven_notification_failures_total",
        "counter",
        ("receiver", "reason"),
        "Attempts to send a message that failed, by reason; the message is tried again.",
    ),
    Metric(
        "breakeven_notification_verdicts_waiting",
        "gauge",
        ("receiver",),
        "Changed verdicts that the receiver is still to be told.",
    ),
    Metric(
        "breakeven_notification_last_success_timestamp_seconds",
        "gauge",
        ("receiver",),
        "Unix time of the last message that the receiver took.",
    ),
)


def receiver_series(name: str, one: ReceiverHealth) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """One receiver's series."""
    labels = {"receiver": name}
    yield "breakeven_notifications_sent_total", labels, float(one.told)
    for reason, number in one.failures.items():
        yield "breakeven_notification_failures_total", {**labels, "reason": reason}, float(number)
    yield "breakeven_notification_verdicts_waiting", labels, float(one.waiting)
    if one.last_success_s is not None:
        yield "breakeven_notification_last_success_timestamp_seconds", labels, one.last_success_s
