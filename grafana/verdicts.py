"""The overview's first two questions: is it worth it, and why or why not?"""

from __future__ import annotations

from panels import Panel, Query, row, stat, states, timeseries
from query import DAEMON, DEPLOYMENT, SCHEME, at_now, or_nan, p50, series
from tables import Column, table

VERDICTS = {
    "worth_it": ("worth it", "green"),
    "evaluate": ("evaluate", "yellow"),
    "no": ("no", "blue"),
    "insufficient_data": ("not enough data", "#8e8e8e"),
}
_RANK = {"worth_it": 3, "evaluate": 2, "no": 1}
SIMULATED = {"true": ("SIMULATED", "red"), "false": ("real", "green")}
_YES = {"0": ("no", "#8e8e8e"), "1": ("yes", "green")}
BY_SCHEME = "instance, deployment, scheme"
_SAME_DEPLOYMENT = "on (job, instance, deployment)"
TIMES = ("suffix:×", 2)
NO_SCHEME = "no scheme is judged yet: Breakeven has made no report"
_MORE = "/d/breakeven-drilldown?var-deployment=${__data.fields.Deployment}&var-scheme=${__data.fields.Scheme}"
_GREY = "#8e8e8e"


def worth_row() -> list[Panel]:
    """The row `Is it worth it?`."""
    return [row("Is it worth it?"), *_stats(), _verdicts(), _over_time()]


def why_row() -> list[Panel]:
    """The row `Why, or why not?`."""
    return [row("Why, or why not?"), _conditions(), *_rules()]


def _stats() -> list[Panel]:
    def count(verdict: str) -> str:
        # Of several daemons on one database each shows all verdicts.
        return f"sum(max by (job, deployment, scheme) ({series('breakeven_verdict', SCHEME, verdict=verdict)}))"

    fresh = series("breakeven_deployment_fresh_replicas", DEPLOYMENT)
    replicas = series("breakeven_deployment_replicas", DEPLOYMENT)
    about = "Pairs of a selected deployment and scheme whose verdict is"
    return [
        stat(
            "Real or simulated",
            "SIMULATED when any target is the bundled simulator: the figures are then invented and decide nothing.",
            "none",
            f"max({series('breakeven_simulated', DAEMON)})",
            [(None, "green"), (1, "red")],
            words={"0": ("real servers", "green"), "1": ("SIMULATED", "red")},
            absent="Breakeven is not scraped",
        ),
        stat("Worth it", f"{about} worth_it.", "none", count("worth_it"), [(None, _GREY), (1, "green")]),
        stat("To evaluate", f"{about} evaluate: a closer look pays.", "none", count("evaluate"), [(None, "yellow")]),
        stat("No", f"{about} no. A clear no is an answer as good as a yes.", "none", count("no"), [(None, "blue")]),
        stat(
            "Not enough data",
            f"{about} insufficient_data; the daemon's page says what is missing.",
            "none",
            count("insufficient_data"),
            [(None, _GREY), (1, "orange")],
        ),
        stat(
            "Replicas heard from",
            "Share of the selected deployments' replicas whose last poll is recent.",
            "percentunit",
            f"sum({fresh}) / sum({replicas})",
            [(None, "red"), (0.5, "orange"), (1, "green")],
        ),
    ]


def best(expression: str, *labels: str) -> Query:
    """The largest of an expression per deployment and scheme, NaN where a scheme has none."""
    every = series("breakeven_verdict", SCHEME)
    return Query(or_nan(f"max by ({', '.join((BY_SCHEME, *labels))}) ({expression})", BY_SCHEME, every))


def speedup(bound: str, rule: str = "adopted") -> str:
    """A scheme's step speed-up."""
    return series("breakeven_scheme_speedup_ratio", SCHEME, rule=rule, bound=bound)


def _verdicts() -> Panel:
    every = series("breakeven_verdict", SCHEME)
    info = series("breakeven_deployment_info", DEPLOYMENT)
    return table(
        "Will quantization pay?",
        "One line per deployment and scheme: the verdict, since when, and what it would be worth. The speed-up is of a "
        "step, at the same batch and context. Savings count whole GPUs that can be given back. The reasons in words "
        "stand on the daemon's own page, to which the last column leads; the scheme leads to the drill-down.",
        [
            Query(
                f"max by ({BY_SCHEME}, verdict, simulated) "
                f"(({every} == 1) * {_SAME_DEPLOYMENT} group_left (simulated) {info})"
            ),
            best(f"{series('breakeven_verdict_since_timestamp_seconds', SCHEME)} * 1000"),
            best(speedup("p50"), "evidence"),
            best(p50("breakeven_scheme_saving_usd_per_month", SCHEME)),
            best(p50("breakeven_scheme_payback_months", SCHEME)),
        ],
        [
            Column("Time"),
            Column("deployment", "Deployment"),
            Column("scheme", "Scheme", link=_MORE, tab=False),
            Column("verdict", "Verdict", words=VERDICTS, width=140),
            Column("Value #A"),
            Column("Value #B", "Since", unit="dateTimeFromNow"),
            Column("Value #C", "Speed-up P50", *TIMES),
            Column("evidence", "Evidence"),
            Column("Value #D", "Saving per month P50", "currencyUSD", 0),
            Column("Value #E", "Payback P50", "suffix: months", 1),
            Column("simulated", "Figures", words=SIMULATED),
            Column("instance", "Why (daemon's page)", link="http://${__value.raw}/"),
        ],
        height=9,
        absent=NO_SCHEME,
    )


def _over_time() -> Panel:
    def standing(verdict: str) -> str:
        return f"max by (deployment, scheme) ({series('breakeven_verdict', SCHEME, verdict=verdict)})"

    ranked = " + ".join(f"{rank} * {standing(verdict)}" for verdict, rank in _RANK.items())
    words = {str(rank): VERDICTS[verdict] for verdict, rank in _RANK.items()}
    return states(
        "Verdicts over time",
        "Which verdict stood when. A hole is time in which nothing was reported, and no verdict changes in one.",
        [Query(ranked, "{{deployment}} {{scheme}}")],
        {**words, "0": VERDICTS["insufficient_data"]},
        absent=NO_SCHEME,
    )


def _conditions() -> Panel:
    def quality(source: str) -> str:
        by = f"{BY_SCHEME}, source"
        return f"max by ({by}) ({series('breakeven_scheme_quality_loss_ratio', SCHEME, source=source)})"

    loss = f"({quality('operator')} or on ({BY_SCHEME}) {quality('published')})"
    return table(
        "What the verdict hangs on",
        "worth_it needs a speed-up that surely exceeds 1.1, a whole GPU given back even at the pessimistic end, and an "
        "evaluation of your own that passed. Where steps are larger than the size to which the scheme helps, it slows "
        "them down. A quality loss that is only published is another team's.",
        [
            best(speedup("p10")),
            best(speedup("p90")),
            best(series("breakeven_scheme_break_even_tokens", SCHEME)),
            best(series("breakeven_scheme_gpus_released", SCHEME, bound="p10")),
            best(series("breakeven_scheme_gpus_released", SCHEME, bound="p90")),
            Query(or_nan(loss, BY_SCHEME, series("breakeven_verdict", SCHEME))),
            best(at_now(series("breakeven_scheme_quality_timestamp_seconds", SCHEME))),
            best(series("breakeven_scheme_already_served", SCHEME)),
        ],
        [
            Column("Time"),
            Column("deployment", "Deployment"),
            Column("scheme", "Scheme"),
            Column("Value #A", "Speed-up P10", *TIMES),
            Column("Value #B", "Speed-up P90", *TIMES),
            Column("Value #C", "Helps below (tokens per step)", decimals=0),
            Column("Value #D", "GPUs given back P10", decimals=0),
            Column("Value #E", "GPUs given back P90", decimals=0),
            Column("Value #F", "Quality loss", "percentunit", 1),
            Column("source", "Loss according to"),
            Column("Value #G", "Your evaluation's age", "s", 0),
            Column("Value #H", "Served already", words=_YES),
            Column("instance"),
        ],
        absent=NO_SCHEME,
    )


def _rules() -> list[Panel]:
    def by_scheme(expression: str) -> str:
        return f"max by (deployment, scheme) ({expression})"

    shares = series("breakeven_deployment_memory_bound_ratio", DEPLOYMENT, bound="p50")
    return [
        timeseries(
            "Memory-bound share that verdicts rest on",
            "Share of busy time whose length is set by bytes moved, over the decision span. What it is not, weight "
            "quantization cannot shorten.",
            "percentunit",
            [Query(f"max by (deployment, evidence) ({shares})", "{{deployment}} ({{evidence}})")],
            low=0,
            high=1,
        ),
        timeseries(
            "Step speed-up, ours and the article's",
            "P50 of what this server's own step costs make of the scheme, and the article's additive rule beside it. "
            "The steps' speed-up is neither that of latency nor that of capacity.",
            "suffix:×",
            [
                Query(by_scheme(speedup("p50")), "{{deployment}} {{scheme}}"),
                Query(by_scheme(speedup("p50", "article")), "{{deployment}} {{scheme}} (article)"),
            ],
            absent="no speed-up can be predicted yet: the daemon's page says what is missing",
            steps=((None, "red"), (1, "yellow"), (1.1, "green")),
        ),
    ]
