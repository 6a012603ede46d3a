"""What replicas carry within the latency objectives: how full they are, and what the schemes make of that."""

from __future__ import annotations

from panels import Panel, Query, row, timeseries
from query import DEPLOYMENT, SCHEME, or_nan, p50, series
from tables import Column, table

_BOUNDS = ("p10", "p50", "p90")
_NONE_YET = "no capacity can be computed yet: the daemon's page says what is missing"
_LIMITS = {
    "first_token": ("time to first token", "text"),
    "token_gap": ("gap between tokens", "text"),
    "utilisation": ("share of what can be served", "text"),
    "unreachable": ("even an idle replica misses the objectives", "red"),
}
_BY = "instance, deployment, scheme"


def fullness() -> list[Panel]:
    """For the overview: whether there is room already, and how much more each scheme would make."""
    return [
        timeseries(
            "Peak load over capacity",
            "The busiest 1 % of the time over what the running replicas carry within the latency objectives, balanced "
            "as they are: P50 and the ends of the 80 % interval. Far below 1 there are replicas to give back without "
            "any scheme.",
            "percentunit",
            [
                Query(
                    f"max by (deployment) ({series('breakeven_deployment_load_ratio', DEPLOYMENT, bound=bound)})",
                    f"{{{{deployment}}}} {bound.upper()}",
                )
                for bound in _BOUNDS
            ],
            low=0,
            absent=_NONE_YET,
            steps=((None, "green"), (1, "red")),
        ),
        timeseries(
            "Capacity under the scheme over today's",
            "Load that a replica carries within the latency objectives: P50 and the ends of the 80 % interval. Money "
            "follows this ratio, not the step speed-up.",
            "suffix:×",
            [
                Query(
                    f"max by (deployment, scheme) ({series('breakeven_scheme_capacity_ratio', SCHEME, bound=bound)})",
                    f"{{{{deployment}}}} {{{{scheme}}}} {bound.upper()}",
                )
                for bound in _BOUNDS
            ],
            absent=_NONE_YET,
            steps=((None, "red"), (1, "green")),
        ),
    ]


def capacity_row() -> list[Panel]:
    """The drill-down's row `What load it carries`."""
    return [row("What load it carries"), *_loads(), *_latencies(), _limits()]


def _loads() -> list[Panel]:
    def of(name: str) -> str:
        return f"max by (deployment) ({name})"

    under = p50("breakeven_scheme_capacity_requests_per_second", SCHEME)
    return [
        timeseries(
            "Load of all replicas",
            "Requests per second of the decision span: the mean, and the peak that only 1 % of the time exceeds.",
            "reqps",
            [
                Query(of(series("breakeven_deployment_load_requests_per_second", DEPLOYMENT)), "{{deployment}} mean"),
                Query(of(series("breakeven_deployment_peak_requests_per_second", DEPLOYMENT)), "{{deployment}} peak"),
            ],
            low=0,
        ),
        timeseries(
            "Capacity of one replica",
            "Requests per second of the live mix that keep the latency objectives, as it is and under the scheme: P50.",
            "reqps",
            [
                Query(
                    of(p50("breakeven_deployment_capacity_requests_per_second", DEPLOYMENT)), "{{deployment}} as it is"
                ),
                Query(f"max by (deployment, scheme) ({under})", "{{deployment}} {{scheme}}"),
            ],
            low=0,
            absent=_NONE_YET,
        ),
    ]


def _latencies() -> list[Panel]:
    def panel(title: str, description: str, latency: str) -> Panel:
        now = p50("breakeven_deployment_latency_seconds", DEPLOYMENT, latency=latency)
        under = p50("breakeven_scheme_latency_seconds", SCHEME, latency=latency)
        return timeseries(
            title,
            description,
            "s",
            [
                Query(f"max by (deployment, statistic) ({now})", "{{deployment}} as it is, {{statistic}}"),
                Query(f"max by (deployment, scheme, statistic) ({under})", "{{deployment}} {{scheme}}, {{statistic}}"),
            ],
            low=0,
            absent=_NONE_YET,
        )

    where = "Of the busiest replica at today's load, by the capacity model, as it is and under the scheme: P50."
    return [
        panel("Gap between tokens at today's load", where, "token_gap"),
        panel("Time to first token at today's load", where, "first_token"),
    ]


def _limits() -> Panel:
    every = series("breakeven_verdict", SCHEME)

    def best(expression: str, *also: str) -> Query:
        by = ", ".join((_BY, *also))
        return Query(or_nan(f"max by ({by}) ({expression})", _BY, every))

    return table(
        "What sets the capacity",
        "The first limit that more load would break under the scheme, and whether KV memory that it frees is counted: "
        "only where queueing or preemption shows that it limits today.",
        [
            best(series("breakeven_scheme_capacity_bound_info", SCHEME), "limit"),
            best(series("breakeven_scheme_kv_credited", SCHEME)),
        ],
        [
            Column("Time"),
            Column("deployment", "Deployment"),
            Column("scheme", "Scheme"),
            Column("limit", "Limit", words=_LIMITS),
            Column("Value #A"),
            Column("Value #B", "Freed KV memory", words={"0": ("not counted", "text"), "1": ("counted", "green")}),
            Column("instance"),
        ],
        height=6,
        absent=_NONE_YET,
    )
