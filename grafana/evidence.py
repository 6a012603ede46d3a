"""How sure are we, and how do we know? On the overview in short, on the drill-down replica by replica."""

from __future__ import annotations

from panels import NOT_NOW, Panel, Query, row, timeseries
from query import DAEMON, DEPLOYMENT, REPLICA, SCHEME, TARGET, at_now, or_nan, p50, series
from tables import Column, table
from verdicts import SIMULATED

_NAME = "{{target}} {{model_name}} {{rank}}"
_BY = "instance, deployment, target, model_name, rank"
_DAY_S = 86_400
_NEVER_CHECKED = "no replica serves a scheme beside one that is not quantized, or what a step costs is not decided yet"
_NO_MODEL = "no step model is fitted: the engine counts no steps, or ten minutes of traffic are still to come"


def sure_row() -> list[Panel]:
    """The overview's row `How sure are we, and how do we know?`."""
    return [row("How sure are we, and how do we know?"), _replicas(16), _unreported(), *_ground()]


def evidence_row() -> list[Panel]:
    """The drill-down's row `Evidence and freshness`."""
    info = series("breakeven_replica_info", REPLICA)
    since = series("breakeven_epoch_start_timestamp_seconds", REPLICA)
    facts = "exported_job, engine, engine_version, dtype, quantization, gpu, simulated"
    return [
        row("Evidence and freshness"),
        table(
            "What each replica is",
            "As the engine tells it, and since when: another process, model, precision or GPU begins a new epoch, and "
            "the history that a verdict needs begins anew with it.",
            [
                Query(f"max by ({_BY}, {facts}) ({info})"),
                Query(or_nan(f"max by ({_BY}) ({since} * 1000)", _BY, info)),
            ],
            [
                Column("Time"),
                Column("Value #A"),
                Column("deployment", "Deployment"),
                Column("target", "Target"),
                Column("model_name", "Model"),
                Column("rank", "Rank", width=70),
                Column("engine", "Engine"),
                Column("engine_version", "Version"),
                Column("dtype", "Type"),
                Column("quantization", "Quantization"),
                Column("gpu", "GPU"),
                Column("Value #B", "Epoch began", unit="dateTimeFromNow"),
                Column("simulated", "Figures", words=SIMULATED),
                Column("exported_job"),
                Column("instance"),
            ],
        ),
        timeseries(
            "Age of the last sample",
            "Per replica. A replica older than three poll intervals has no live figures.",
            "s",
            [Query(at_now(series("breakeven_last_sample_timestamp_seconds", REPLICA)), _NAME)],
            low=0,
            absent="no replica was ever heard from",
        ),
        timeseries(
            "Age of the step model's newest traffic",
            "The model is fitted anew every quarter of an hour, with a long history every hour. It is old where no "
            "traffic came since.",
            "s",
            [Query(at_now(series("breakeven_calibration_timestamp_seconds", REPLICA)), _NAME)],
            low=0,
            steps=((None, "green"), (21_600, "orange")),
            absent=_NO_MODEL,
        ),
    ]


def _replicas(width: int) -> Panel:
    info = series("breakeven_replica_info", REPLICA)

    def best(expression: str, *labels: str) -> Query:
        return Query(or_nan(f"max by ({', '.join((_BY, *labels))}) ({expression})", _BY, info))

    decided = series("breakeven_step_coefficient_identified", REPLICA)
    return table(
        "Evidence by replica",
        "How each replica's figures were obtained, best first: measured, fitted, modelled, assumed; the worst input "
        "wins. The step model's error is on stretches that it was not fitted to, its costs are decided by live data or "
        "still by the roofline that the fit began from.",
        [
            best(p50("breakeven_memory_bound_ratio", REPLICA), "evidence"),
            best(series("breakeven_step_held_out_error_ratio", REPLICA)),
            best(f"sum by (job, {_BY}) ({decided})"),
            best(series("breakeven_history_covered_seconds", REPLICA)),
        ],
        [
            Column("Time"),
            Column("deployment", "Deployment"),
            Column("target", "Target"),
            Column("model_name", "Model"),
            Column("rank", "Rank", width=70),
            Column("Value #A", "Memory-bound P50", "percentunit", 0),
            Column("evidence", "Evidence"),
            Column("Value #B", "Step model's error", "percentunit", 1),
            Column("Value #C", "Costs decided by live data, of 4", decimals=0),
            Column("Value #D", "History covered", "s", 1),
            Column("instance"),
        ],
        width=width,
        absent="no replica answers",
    )


def _unreported() -> Panel:
    return table(
        "Figures that are not on the page",
        "Wanted figures that a target's page does not report: what rests on them is missing, not zero.",
        [Query(f"max by (target, series) ({series('breakeven_target_unreported_info', TARGET)})")],
        [Column("Time"), Column("Value"), Column("target", "Target"), Column("series", "Not reported")],
        width=8,
        absent="every wanted figure is on every page, or no page was read yet",
    )


def _ground() -> list[Panel]:
    realised = "breakeven_prediction_realised_ratio"
    facts = series("breakeven_facts_timestamp_seconds", DAEMON)
    price = series("breakeven_deployment_price_timestamp_seconds", DEPLOYMENT)
    return [
        timeseries(
            "History covered",
            "Seconds of the decision span that usable windows cover, in the current epoch. A verdict needs a daily "
            "cycle of it; a new model, precision or process start begins anew.",
            "s",
            [Query(series("breakeven_history_covered_seconds", REPLICA), _NAME)],
            low=0,
            width=8,
            steps=((None, "orange"), (_DAY_S, "green")),
            absent=NOT_NOW,
        ),
        timeseries(
            "Realised over predicted speed-up",
            "Of schemes that were tried: 1 is a prediction that came true. P10 and P90 are the ends of the interval "
            "of what was measured.",
            "suffix:×",
            [
                Query(
                    f"max by (deployment, scheme) ({series(realised, SCHEME, bound=bound)})",
                    f"{{{{deployment}}}} {{{{scheme}}}} {bound.upper()}",
                )
                for bound in ("p10", "p50", "p90")
            ],
            low=0,
            width=8,
            steps=((None, "red"), (0.9, "green"), (1.1, "red")),
            absent=_NEVER_CHECKED,
        ),
        timeseries(
            "Age of prices and published figures",
            "Prices are what you stated; published figures came with this release of Breakeven. Prices older than 90 "
            "days and figures older than a year are reported by an alert.",
            "s",
            [
                Query(f"max by (deployment) ({at_now(price)})", "price of {{deployment}}"),
                Query(f"max by (facts) ({at_now(facts)})", "{{facts}}"),
            ],
            low=0,
            width=8,
            absent=NOT_NOW,
        ),
    ]
