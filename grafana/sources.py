"""Near the bottom of the dashboard: how fresh the data are, how the targets and the daemon do."""

from __future__ import annotations

from panels import Column, Panel, Query, row, table, timeseries
from query import DAEMON, REPLICA, TARGET, or_nan, p50, series

_BY_TARGET = "instance, exported_job, target"
_REPLICA_NAME = "{{target}} {{model_name}} {{rank}}"
_UP = {"1": ("up", "green"), "0": ("down", "red")}


def freshness_row() -> list[Panel]:
    """The row `Freshness and targets`."""
    return [row("Freshness and targets"), _targets(), *_freshness(), _replicas(), _unreported(), *_daemon()]


def _targets() -> Panel:
    every = series("breakeven_target_up", TARGET)
    polls = f"sum by ({_BY_TARGET}) (increase({series('breakeven_target_polls_total', TARGET)}[$__range]))"
    failed = f"sum by ({_BY_TARGET}) (increase({series('breakeven_target_failures_total', TARGET)}[$__range]))"
    anomalies = series("breakeven_target_anomalies_total", TARGET)
    age = f"time() - {series('breakeven_target_last_success_timestamp_seconds', TARGET)}"

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
            Column("simulated", "Figures", words={"true": ("SIMULATED", "red"), "false": ("real", "green")}),
            Column("Value #B", "Last success", "s", 0),
            Column("Value #C", "Poll took", "s", 3),
            Column("Value #D", "Polls failed", "percentunit", 1),
            Column("Value #E", "Counter anomalies", decimals=0),
            Column("Value #F", "Samples", decimals=0),
            Column("Value #G", "Page", "bytes", 1),
            Column("instance", "Daemon"),
        ],
    )


def _freshness() -> list[Panel]:
    failures = series("breakeven_target_failures_total", TARGET)
    return [
        timeseries(
            "Age of the last sample",
            "Per replica. A replica older than three poll intervals has no live figures.",
            "s",
            [Query(f"time() - {series('breakeven_last_sample_timestamp_seconds', REPLICA)}", _REPLICA_NAME)],
            low=0,
            width=8,
        ),
        timeseries(
            "History covered",
            "Seconds of the decision span that usable windows cover, in the current epoch. A verdict needs a daily "
            "cycle of it; a new model, precision or process start begins anew.",
            "s",
            [Query(series("breakeven_history_covered_seconds", REPLICA), _REPLICA_NAME)],
            low=0,
            width=8,
        ),
        timeseries(
            "Failed polls",
            "Failures per second by target and reason; nothing is drawn for a target that never failed.",
            "ops",
            [Query(f"sum by (target, reason) (rate({failures}[$__rate_interval]))", "{{target}} {{reason}}")],
            low=0,
            width=8,
        ),
    ]


def _replicas() -> Panel:
    by = "instance, deployment, target, model_name, rank"
    facts = "exported_job, engine, engine_version, dtype, quantization, gpu, simulated"
    evidence = p50("breakeven_memory_bound_ratio", REPLICA)
    info = series("breakeven_replica_info", REPLICA)
    return table(
        "Replicas",
        "What each selected replica that answers is, and the evidence of its live figures.",
        [
            Query(f"max by ({by}, {facts}) ({info})"),
            Query(or_nan(f"max by ({by}, evidence) ({evidence})", by, info)),
        ],
        [
            Column("Time"),
            Column("Value #A"),
            Column("deployment", "Deployment"),
            Column("target", "Target"),
            Column("model_name", "Model"),
            Column("rank", "Rank"),
            Column("engine", "Engine"),
            Column("engine_version", "Version"),
            Column("dtype", "Type"),
            Column("quantization", "Quantization"),
            Column("gpu", "GPU"),
            Column("Value #B", "Memory-bound P50", "percentunit", 0),
            Column("evidence", "Evidence"),
            Column("simulated", "Figures", words={"true": ("SIMULATED", "red"), "false": ("real", "green")}),
            Column("exported_job"),
            Column("instance"),
        ],
        width=16,
    )


def _unreported() -> Panel:
    return table(
        "Figures that are not on the page",
        "Wanted figures that a target's page does not report: what rests on them is missing, not zero.",
        [Query(f"max by (target, series) ({series('breakeven_target_unreported_info', TARGET)})")],
        [Column("Time"), Column("Value"), Column("target", "Target"), Column("series", "Not reported")],
        width=8,
    )


def _daemon() -> list[Panel]:
    def rate(name: str) -> str:
        return f"sum by (instance) (rate({series(name, DAEMON)}[$__rate_interval]))"

    return [
        timeseries(
            "Samples stored",
            "Samples per second written to the database, and dropped since the queue before it was full.",
            "ops",
            [
                Query(rate("breakeven_store_samples_written_total"), "{{instance}} written"),
                Query(rate("breakeven_store_samples_dropped_total"), "{{instance}} dropped"),
            ],
            low=0,
            width=8,
        ),
        timeseries(
            "Database answers",
            "1 while the last write succeeded, else 0 with the reason.",
            "none",
            [Query(f"max by (instance, reason) ({series('breakeven_store_up', DAEMON)})", "{{instance}} {{reason}}")],
            low=0,
            high=1,
            width=8,
        ),
        timeseries(
            "Recomputing the report",
            "How long the last recomputation took, and failed ones per second.",
            "s",
            [
                Query(series("breakeven_analysis_duration_seconds", DAEMON), "{{instance}} duration"),
                Query(rate("breakeven_analysis_failures_total"), "{{instance}} failures per second"),
            ],
            low=0,
            width=8,
        ),
    ]
