"""Steps: what one costs by the fitted model, how good that is, and how large the steps are."""

from __future__ import annotations

from panels import Panel, Query, bars, row, timeseries
from query import REPLICA, or_nan, p50, series, weighted_size
from tables import Column, table

_REPLICA_NAME = "{{target}} {{model_name}} {{rank}}"
_COEFFICIENT = "breakeven_step_coefficient_seconds"
_BY = "instance, deployment, target, model_name, rank, coefficient"
_WORDS = {
    "step_s": ("each step", "#5794f2"),
    "sequence_s": ("each sequence", "#b877d9"),
    "kv_token_s": ("each KV token read", "#8ab8ff"),
    "prefill_token_s": ("each prompt token", "#ff9830"),
}
_NO_MODEL = "no step model is fitted: the engine counts no steps, or ten minutes of traffic are still to come"
_NO_SIZES = "this engine reports no step sizes, or no step model tells how long each takes"
_DECIDED = {"1": ("live data", "green"), "0": ("the prior", "orange")}


def step_row() -> list[Panel]:
    """The row `Steps`."""
    return [
        row("Steps"),
        _coefficients(),
        timeseries(
            "Cost of each step",
            "What a step costs before any sequence or prompt token: weights read and launch overhead, by the step-time "
            "model of the current epoch, P50. Weight quantization shortens it.",
            "s",
            [Query(p50(_COEFFICIENT, REPLICA, coefficient="step_s"), f"{_REPLICA_NAME} ({{{{evidence}}}})")],
            low=0,
            absent=_NO_MODEL,
        ),
        timeseries(
            "How good the step model is",
            "Median error on stretches of the history that the model was not fitted to; and the weight of the law by "
            "which arithmetic hides behind bytes moved, its rest being that of the law by which they add up.",
            "percentunit",
            [
                Query(series("breakeven_step_held_out_error_ratio", REPLICA), f"held-out error {_REPLICA_NAME}"),
                Query(series("breakeven_step_overlapped_weight_ratio", REPLICA), f"overlapped law {_REPLICA_NAME}"),
            ],
            low=0,
            absent=_NO_MODEL,
            steps=((None, "green"), (0.25, "orange")),
        ),
        timeseries(
            "Steps by size",
            "Share of steps by the most tokens that they processed, mean over the selected replicas.",
            "percentunit",
            [Query(f"avg by (tokens) ({series('breakeven_step_size_steps_ratio', REPLICA)})", "{{tokens}}")],
            stacked=True,
            low=0,
            high=1,
            absent=_NO_SIZES,
        ),
        timeseries(
            "Busy time by size of step",
            "Share of busy time by the most tokens that a step processed, by modelled step lengths, each replica "
            "weighing as much as it was busy. Small steps are memory-bound, large ones compute-bound.",
            "percentunit",
            [Query(weighted_size(), "{{tokens}}")],
            stacked=True,
            low=0,
            high=1,
            absent=_NO_SIZES,
        ),
    ]


def _coefficients() -> Panel:
    every = series("breakeven_step_coefficient_identified", REPLICA)
    queries = [Query(f"max by ({_BY}) ({every})")]
    queries += [
        Query(or_nan(f"max by ({_BY}) ({series(_COEFFICIENT, REPLICA, bound=bound)})", _BY, every))
        for bound in ("p10", "p50", "p90")
    ]
    return table(
        "What a step costs",
        "Seconds per step, per decoding sequence, per KV token read and per prompt token computed, with the 80 % "
        "interval; and whether live data decide the figure or the roofline that the fit began from.",
        queries,
        [
            Column("Time"),
            Column("instance"),
            Column("deployment", "Deployment"),
            Column("target", "Target"),
            Column("model_name", "Model"),
            Column("rank", "Rank", width=70),
            Column("coefficient", "Charged for", words=_WORDS),
            Column("Value #C", "P50", unit="s"),
            Column("Value #B", "P10", unit="s"),
            Column("Value #D", "P90", unit="s"),
            Column("Value #A", "Decided by", words=_DECIDED),
        ],
        absent=_NO_MODEL,
    )


def sizes_now() -> Panel:
    """The steps of now by size, to be held against each scheme's break-even."""
    steps = f"avg by (tokens) ({series('breakeven_step_size_steps_ratio', REPLICA)})"
    return bars(
        "Steps of now by size",
        "Share of steps, and of busy time, by the most tokens that a step processed. A scheme helps in the sizes below "
        "its break-even, which the table beside says, and slows the others down.",
        "percentunit",
        [Query(steps), Query(weighted_size())],
        "tokens",
        {"tokens": "Tokens per step", "Value #A": "Steps", "Value #B": "Busy time"},
        absent=_NO_SIZES,
    )
