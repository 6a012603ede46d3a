"""The overview's fifth question: what would it save?"""

from __future__ import annotations

from capacity import fullness
from panels import Panel, Query, row, timeseries
from query import DEPLOYMENT, SCHEME, at_now, or_nan, p50, series
from tables import Column, table

_BY = "instance, deployment"
_BOUNDS = ("p10", "p50", "p90")
_NO_PRICE = "no price is stated: deployments[].price"


def saving_row() -> list[Panel]:
    """The row `What would it save?`."""
    return [row("What would it save?"), *fullness(), *_savings(), _prices()]


def _savings() -> list[Panel]:
    def by_scheme(metric: str, bound: str) -> Query:
        legend = "{{deployment}} {{scheme}}" + ("" if bound == "p50" else f" ({bound.upper()})")
        return Query(f"max by (deployment, scheme) ({series(metric, SCHEME, bound=bound)})", legend)

    cost = "breakeven_deployment_cost_usd_per_million_tokens"
    return [
        timeseries(
            "Saving per month",
            "By whole GPUs given back at today's load: P50, and both ends of the 80 % interval.",
            "currencyUSD",
            [by_scheme("breakeven_scheme_saving_usd_per_month", bound) for bound in _BOUNDS],
            low=0,
            absent=_NO_PRICE,
        ),
        timeseries(
            "GPUs given back",
            "Whole GPUs that could be given back at today's load, above the floor of replicas: P50 and the "
            "pessimistic end P10.",
            "none",
            [by_scheme("breakeven_scheme_gpus_released", bound) for bound in ("p50", "p10")],
            low=0,
            absent="no speed-up can be predicted yet",
        ),
        timeseries(
            "Cost per million generated tokens",
            "All GPU-hours of a deployment, idle ones included, over the tokens it generated in the decision span: "
            "P50 and the ends of the 80 % interval.",
            "currencyUSD",
            [
                Query(
                    f"max by (deployment) ({series(cost, DEPLOYMENT, basis='allocation', bound=bound)})",
                    f"{{{{deployment}}}} {bound.upper()}",
                )
                for bound in _BOUNDS
            ],
            low=0,
            absent=_NO_PRICE,
        ),
        timeseries(
            "Payback",
            "Months until the stated work is paid back, P50; nothing is drawn where it never is.",
            "suffix: months",
            [by_scheme("breakeven_scheme_payback_months", "p50")],
            low=0,
            absent="no cost of the work is stated: deployments[].costs",
        ),
    ]


def _prices() -> Panel:
    every = series("breakeven_deployment_replicas", DEPLOYMENT)

    def best(expression: str) -> Query:
        return Query(or_nan(f"max by ({_BY}) ({expression})", _BY, every))

    return table(
        "What it costs today",
        "Price of the GPU-hours of all replicas of a deployment together, and how old the price is. It is what you "
        "stated; older than 90 days it is flagged.",
        [
            best(series("breakeven_deployment_cost_usd_per_hour", DEPLOYMENT)),
            best(p50("breakeven_deployment_cost_usd_per_million_tokens", DEPLOYMENT, basis="allocation")),
            best(at_now(series("breakeven_deployment_price_timestamp_seconds", DEPLOYMENT))),
            best(series("breakeven_deployment_price_stale", DEPLOYMENT)),
        ],
        [
            Column("Time"),
            Column("deployment", "Deployment"),
            Column("Value #A", "Per hour", "currencyUSD", 2),
            Column("Value #B", "Per million tokens P50", "currencyUSD", 2),
            Column("Value #C", "Age of the price", "s", 0),
            Column("Value #D", "Price", words={"0": ("recent", "green"), "1": ("older than 90 days", "orange")}),
            Column("instance"),
        ],
        height=6,
        absent="no deployment has been seen yet",
    )
