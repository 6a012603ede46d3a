"""The overview's last question: is Breakeven itself healthy?"""

from __future__ import annotations

from panels import Panel, Query, row, stat, timeseries
from query import DAEMON, TARGET, at_now, or_nan, series
from tables import Column, table
from verdicts import SIMULATED

_BY_TARGET = "instance, exported_job, target"
_UP = {"1": ("up", "green"), "0": ("down", "red")}
_NO_TARGET = "no target is configured"
_NO_FAILURE = "no failure in this time range"


def health_row() -> list[Panel]:
    """The row `Is Breakeven itself healthy?`."""
    return [row("Is Breakeven itself healthy?"), *_stats(), _targets(), *_daemon()]


def _stats() -> list[Panel]:
    success = series("breakeven_analysis_last_success_timestamp_seconds", DAEMON)
    dropped = f"increase({series('breakeven_store_samples_dropped_total', DAEMON)}[$__range])"
    return [
        stat(
            "Targets up",
            "Share of the selected targets whose last poll succeeded.",
            "percentunit",
            f"avg({series('breakeven_target_up', TARGET)})",
            [(None, "red"), (0.5, "orange"), (1, "green")],
            width=6,
            absent=_NO_TARGET,
        ),
        stat(
            "Age of the report",
            "Time since the last good recomputation. After five evaluation intervals the daemon withdraws the report.",
            "s",
            f"max({at_now(success)})",
            [(None, "green"), (180, "orange"), (600, "red")],
            width=6,
            absent="no report was ever made",
        ),
        stat(
            "Database",
            "Whether the last write to the database succeeded, of the worst daemon.",
            "none",
            f"min({series('breakeven_store_up', DAEMON)})",
            [(None, "red"), (1, "green")],
            words=_UP,
            width=6,
            absent="nothing was written yet",
        ),
        stat(
            "Samples dropped",
            "Over the dashboard's time range: each is a hole in the history.",
            "none",
            f"sum({dropped})",
            [(None, "green"), (1, "red")],
            width=6,
            decimals=0,
            absent="Breakeven is not scraped",
        ),
    ]


def _targets() -> Panel:
    every = series("breakeven_target_up", TARGET)
    polls = f"sum by ({_BY_TARGET}) (increase({series('breakeven_target_polls_total', TARGET)}[$__range]))"
    failed = f"sum by ({_BY_TARGET}) (increase({series('breakeven_target_failures_total', TARGET)}[$__range]))"
    anomalies = series("breakeven_target_anomalies_total", TARGET)
    age = at_now(series("breakeven_target_last_success_timestamp_seconds", TARGET))

    def best(expression: str) -> Query:
        return Query(or_nan(f"max by ({_BY_TARGET}) ({expression})", _BY_TARGET, every))

    return table(
        "Targets",
        "Every selected target with its last poll, else the reason of its failure; `breakeven doctor` has the remedy. "
        "Failed polls and counter anomalies are counted over the dashboard's time range; an anomaly is a counter that "
        "fell without a new process start, and its interval was dropped.",
        [
            Query(f"max by ({_BY_TARGET}, engine, reason, simulated) ({every})"),
            best(age),
            best(series("breakeven_target_poll_duration_seconds", TARGET)),
            Query(or_nan(f"(({failed} or 0 * {polls}) / ({polls} > 0))", _BY_TARGET, every)),
            best(f"increase({anomalies}[$__range])"),
            best(series("breakeven_target_samples", TARGET)),
            best(series("breakeven_target_page_bytes", TARGET)),
        ],
        [
            Column("Time"),
            Column("target", "Target"),
            Column("exported_job", "Job"),
            Column("Value #A", "State", words=_UP),
            Column("reason", "Reason"),
            Column("engine", "Engine"),
            Column("simulated", "Figures", words=SIMULATED),
            Column("Value #B", "Last success", "s", 0),
            Column("Value #C", "Poll took", "s", 3),
            Column("Value #D", "Polls failed", "percentunit", 1),
            Column("Value #E", "Counter anomalies", decimals=0),
            Column("Value #F", "Samples", decimals=0),
            Column("Value #G", "Page", "bytes", 1),
            Column("instance", "Daemon"),
        ],
        absent=_NO_TARGET,
    )


def _daemon() -> list[Panel]:
    def rate(name: str) -> str:
        return f"sum by (instance) (rate({series(name, DAEMON)}[$__rate_interval]))"

    failures = series("breakeven_target_failures_total", TARGET)
    turns = f"rate({series('breakeven_turns_skipped_total', DAEMON)}[$__rate_interval])"
    return [
        timeseries(
            "Failed polls",
            "Failures per second by target and reason; nothing is drawn for a target that never failed.",
            "ops",
            [Query(f"sum by (target, reason) (rate({failures}[$__rate_interval]))", "{{target}} {{reason}}")],
            low=0,
            width=8,
            absent=_NO_FAILURE,
        ),
        timeseries(
            "Samples stored",
            "Samples per second written to the database, put on the spool since it did not take them, and lost.",
            "ops",
            [
                Query(rate("breakeven_store_samples_written_total"), "{{instance}} written"),
                Query(rate("breakeven_store_samples_duplicate_total"), "{{instance}} there already"),
                Query(rate("breakeven_spool_samples_spooled_total"), "{{instance}} spooled"),
                Query(rate("breakeven_store_samples_dropped_total"), "{{instance}} dropped"),
            ],
            low=0,
            width=8,
        ),
        timeseries(
            "Recomputing the report",
            "How long the last took, failures and skipped turns per second; 1 at the daemon that makes the reports.",
            "s",
            [
                Query(series("breakeven_analysis_duration_seconds", DAEMON), "{{instance}} duration"),
                Query(rate("breakeven_analysis_failures_total"), "{{instance}} failures per second"),
                Query(f"sum by (instance, work) ({turns})", "{{instance}} {{work}} turns skipped"),
                Query(f"max by (instance) ({series('breakeven_analyser', DAEMON)})", "{{instance}} analyses"),
            ],
            low=0,
            width=8,
        ),
    ]
