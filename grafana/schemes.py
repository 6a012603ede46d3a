"""The drill-down's top: one scheme's speed-up and break-even, and what it would change."""

from __future__ import annotations

from panels import Panel, Query, row, timeseries
from query import SCHEME, p50, series
from steps import sizes_now
from tables import Column, table
from verdicts import BY_SCHEME, NO_SCHEME, TIMES, VERDICTS, best, speedup

_BOUNDS = ("p10", "p50", "p90")
_NO_PREDICTION = "no speed-up can be predicted yet: the daemon's page says what is missing"


def scheme_row() -> list[Panel]:
    """The row `What the scheme would do`."""
    return [row("What the scheme would do"), _summary(), sizes_now(), *_speedups()]


def _summary() -> Panel:
    every = series("breakeven_verdict", SCHEME)
    return table(
        "Verdict and break-even",
        "The verdict, the step speed-up with its 80 % interval, and the step size from which the scheme slows steps "
        "down: infinite when it helps at any size, 0 when at none.",
        [
            Query(f"max by ({BY_SCHEME}, verdict) ({every} == 1)"),
            best(speedup("p10")),
            best(speedup("p50"), "evidence"),
            best(speedup("p90")),
            best(series("breakeven_scheme_break_even_tokens", SCHEME)),
            best(p50("breakeven_scheme_saving_usd_per_month", SCHEME)),
        ],
        [
            Column("Time"),
            Column("deployment", "Deployment"),
            Column("scheme", "Scheme"),
            Column("verdict", "Verdict", words=VERDICTS),
            Column("Value #A"),
            Column("Value #E", "Helps below (tokens per step)", decimals=0),
            Column("Value #B", "P10", *TIMES),
            Column("Value #C", "P50", *TIMES),
            Column("Value #D", "P90", *TIMES),
            Column("evidence", "Evidence"),
            Column("Value #F", "Saving per month P50", "currencyUSD", 0),
            Column("instance"),
        ],
        width=12,
        absent=NO_SCHEME,
    )


def _speedups() -> list[Panel]:
    def by_scheme(expression: str) -> str:
        return f"max by (deployment, scheme) ({expression})"

    return [
        timeseries(
            "Step speed-up with its interval",
            "Of a step at the same batch and context: P50 and the ends of the 80 % interval. It narrows as live data "
            "decide what a step costs.",
            "suffix:×",
            [
                Query(by_scheme(speedup(bound)), f"{{{{deployment}}}} {{{{scheme}}}} {bound.upper()}")
                for bound in _BOUNDS
            ],
            absent=_NO_PREDICTION,
            steps=((None, "red"), (1, "yellow"), (1.1, "green")),
        ),
        timeseries(
            "Break-even step size",
            "Tokens per step from which the scheme makes steps slower; nothing is drawn where it helps at any size.",
            "none",
            [Query(by_scheme(series("breakeven_scheme_break_even_tokens", SCHEME)), "{{deployment}} {{scheme}}")],
            low=0,
            absent=_NO_PREDICTION,
        ),
    ]
