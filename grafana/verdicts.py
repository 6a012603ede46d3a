"""The top of the dashboard: what was decided, on what ground, and whether any of it is real."""

from __future__ import annotations

from panels import Column, Panel, Query, row, stat, table, timeseries
from query import DAEMON, DEPLOYMENT, SCHEME, TARGET, or_nan, p50, series

_VERDICTS = {
    "worth_it": ("worth it", "green"),
    "evaluate": ("evaluate", "yellow"),
    "no": ("no", "blue"),
    "insufficient_data": ("not enough data", "#8e8e8e"),
}
_SIMULATED = {"true": ("SIMULATED", "red"), "false": ("real", "green")}
_BY_SCHEME = "instance, deployment, scheme"
_BY_DEPLOYMENT = "instance, deployment"
_SAME_DEPLOYMENT = "on (job, instance, deployment)"
_HIDDEN = (Column("Time"),)


def verdict_row() -> list[Panel]:
    """The row `Verdict`."""
    return [row("Verdict"), *_stats(), _verdicts(), _deployments(), *_history()]


def _stats() -> list[Panel]:
    fresh = series("breakeven_deployment_fresh_replicas", DEPLOYMENT)
    replicas = series("breakeven_deployment_replicas", DEPLOYMENT)
    success = series("breakeven_analysis_last_success_timestamp_seconds", DAEMON)
    good = [(None, "red"), (0.5, "orange"), (1, "green")]
    return [
        stat(
            "Real or simulated",
            "SIMULATED when any target is the bundled simulator: the figures are then invented and decide nothing.",
            "none",
            f"max({series('breakeven_simulated', DAEMON)})",
            [(None, "green"), (1, "red")],
            words={"0": ("real servers", "green"), "1": ("SIMULATED", "red")},
        ),
        stat(
            "Schemes worth it",
            "Selected schemes whose verdict is worth_it, over all selected deployments.",
            "none",
            f"sum({series('breakeven_verdict', SCHEME, verdict='worth_it')})",
            [(None, "#8e8e8e"), (1, "green")],
        ),
        stat(
            "Schemes without a verdict",
            "Selected schemes for which the data do not allow a verdict; the table's last column leads to the reason.",
            "none",
            f"sum({series('breakeven_verdict', SCHEME, verdict='insufficient_data')})",
            [(None, "#8e8e8e"), (1, "orange")],
        ),
        stat(
            "Replicas heard from",
            "Share of the selected deployments' replicas whose last poll is recent.",
            "percentunit",
            f"sum({fresh}) / sum({replicas})",
            good,
        ),
        stat(
            "Targets up",
            "Share of the selected targets whose last poll succeeded.",
            "percentunit",
            f"avg({series('breakeven_target_up', TARGET)})",
            good,
        ),
        stat(
            "Age of the report",
            "Time since the last good recomputation. After five evaluation intervals the daemon withdraws the report.",
            "s",
            f"max(time() - {success})",
            [(None, "green"), (180, "orange"), (600, "red")],
        ),
    ]


def _verdicts() -> Panel:
    every = series("breakeven_verdict", SCHEME)
    info = series("breakeven_deployment_info", DEPLOYMENT)

    def best(expression: str, *labels: str) -> Query:
        return Query(or_nan(f"max by ({', '.join((_BY_SCHEME, *labels))}) ({expression})", _BY_SCHEME, every))

    def speedup(bound: str) -> str:
        return series("breakeven_scheme_speedup_ratio", SCHEME, rule="adopted", bound=bound)

    def quality(source: str) -> str:
        by = f"{_BY_SCHEME}, source"
        return f"max by ({by}) ({series('breakeven_scheme_quality_loss_ratio', SCHEME, source=source)})"

    loss = f"({quality('operator')} or on ({_BY_SCHEME}) {quality('published')})"
    times, usd, months = ("suffix:×", 2), ("currencyUSD", 0), ("suffix: months", 1)
    return table(
        "Will quantization pay?",
        "One line per deployment and scheme. The speed-up is of a step, at the same batch and context, with its 80 % "
        "interval and its evidence. Savings count whole GPUs that can be given back. The reasons for and against "
        "stand on the daemon's own page, to which the last column leads, and in `breakeven report`.",
        [
            Query(
                f"max by ({_BY_SCHEME}, verdict, simulated) "
                f"(({every} == 1) * {_SAME_DEPLOYMENT} group_left (simulated) {info})"
            ),
            best(speedup("p10")),
            best(speedup("p50"), "evidence"),
            best(speedup("p90")),
            best(p50("breakeven_scheme_gpus_released", SCHEME)),
            best(p50("breakeven_scheme_saving_usd_per_month", SCHEME)),
            best(p50("breakeven_scheme_payback_months", SCHEME)),
            Query(or_nan(loss, _BY_SCHEME, every)),
            best(f"{series('breakeven_verdict_since_timestamp_seconds', SCHEME)} * 1000"),
            best(series("breakeven_scheme_break_even_tokens", SCHEME)),
        ],
        [
            *_HIDDEN,
            Column("deployment", "Deployment"),
            Column("scheme", "Scheme"),
            Column("verdict", "Verdict", words=_VERDICTS, width=140),
            Column("Value #A"),
            Column("Value #I", "Since", unit="dateTimeFromNow"),
            Column("Value #B", "Speed-up P10", *times),
            Column("Value #C", "Speed-up P50", *times),
            Column("Value #D", "Speed-up P90", *times),
            Column("evidence", "Evidence"),
            Column("Value #J", "Helps below (tokens per step)", decimals=0),
            Column("Value #E", "GPUs given back", decimals=0),
            Column("Value #F", "Saving per month", *usd),
            Column("Value #G", "Payback", *months),
            Column("Value #H", "Quality loss", "percentunit", 1),
            Column("source", "Loss according to"),
            Column("simulated", "Figures", words=_SIMULATED),
            Column("instance", "Why (daemon's page)", link="http://${__value.raw}/"),
        ],
        height=9,
    )


def _deployments() -> Panel:
    every = series("breakeven_deployment_replicas", DEPLOYMENT)

    def best(expression: str, *labels: str) -> Query:
        return Query(or_nan(f"max by ({', '.join((_BY_DEPLOYMENT, *labels))}) ({expression})", _BY_DEPLOYMENT, every))

    cost = p50("breakeven_deployment_cost_usd_per_million_tokens", DEPLOYMENT, basis="allocation")
    return table(
        "Deployments",
        "What each selected deployment serves on what, over the decision span that verdicts rest on. The bottleneck "
        "is named by the article's rule. A price older than 90 days is flagged.",
        [
            Query(
                f"max by ({_BY_DEPLOYMENT}, model_name, gpu, bottleneck) "
                f"({series('breakeven_deployment_info', DEPLOYMENT)})"
            ),
            best(every),
            best(series("breakeven_deployment_fresh_replicas", DEPLOYMENT)),
            best(p50("breakeven_deployment_memory_bound_ratio", DEPLOYMENT), "evidence"),
            best(cost),
            best(series("breakeven_deployment_cost_usd_per_hour", DEPLOYMENT)),
            best(series("breakeven_deployment_price_stale", DEPLOYMENT)),
        ],
        [
            *_HIDDEN,
            Column("Value #A"),
            Column("deployment", "Deployment"),
            Column("model_name", "Model"),
            Column("gpu", "GPU"),
            Column("Value #B", "Replicas", decimals=0),
            Column("Value #C", "Heard from", decimals=0),
            Column("bottleneck", "Bottleneck"),
            Column("Value #D", "Memory-bound P50", "percentunit", 0),
            Column("evidence", "Evidence"),
            Column("Value #E", "Per million tokens", "currencyUSD", 2),
            Column("Value #F", "Per hour", "currencyUSD", 2),
            Column("Value #G", "Price", words={"0": ("recent", "green"), "1": ("older than 90 days", "orange")}),
            Column("instance"),
        ],
        height=6,
    )


def _history() -> list[Panel]:
    def by_scheme(expression: str) -> str:
        return f"max by (deployment, scheme) ({expression})"

    ours = p50("breakeven_scheme_speedup_ratio", SCHEME, rule="adopted")
    article = p50("breakeven_scheme_speedup_ratio", SCHEME, rule="article")
    return [
        timeseries(
            "Step speed-up, ours and the article's",
            "P50 of what this server's own step costs make of the scheme, and the article's additive rule beside it. "
            "The steps' speed-up is neither that of latency nor that of capacity.",
            "suffix:×",
            [
                Query(by_scheme(ours), "{{deployment}} {{scheme}}"),
                Query(by_scheme(article), "{{deployment}} {{scheme}} (article)"),
            ],
        ),
        timeseries(
            "Saving per month",
            "By whole GPUs given back at today's load: P50, and the pessimistic end P10.",
            "currencyUSD",
            [
                Query(by_scheme(p50("breakeven_scheme_saving_usd_per_month", SCHEME)), "{{deployment}} {{scheme}}"),
                Query(
                    by_scheme(series("breakeven_scheme_saving_usd_per_month", SCHEME, bound="p10")),
                    "{{deployment}} {{scheme}} (P10)",
                ),
            ],
            low=0,
        ),
    ]
