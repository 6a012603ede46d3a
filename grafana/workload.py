"""What the replicas do: phase mix, memory-bound share, batch, tokens, latency, and where the time goes."""

from __future__ import annotations

from panels import Panel, Query, band_overrides, coloured, named, row, timeseries
from query import DEPLOYMENT, REPLICA, or_nan, p50, series, weighted, weighted_phase
from tables import Column, table

NAME = "{{target}} {{model_name}} {{rank}}"
_BOUNDS = ("p10", "p50", "p90")
_BY = "instance, deployment"
_IDLE = "no replica works, or its engine reports too little: see the figures that are not on the page"
_COMPONENTS = (
    ("weight_read", "weights read", "#5794f2"),
    ("kv_read", "KV cache read", "#8ab8ff"),
    ("decode_compute", "decode arithmetic", "#b877d9"),
    ("prefill", "prefill", "#ff9830"),
    ("overhead", "overhead", "#e02f44"),
    ("idle", "idle", "#8e8e8e"),
)


def workload_row() -> list[Panel]:
    """The overview's row `What is the workload?`."""
    return [
        row("What is the workload?"),
        _deployments(),
        _phase_mix(),
        _memory_bound(),
        _batch(),
        timeseries(
            "Tokens per second",
            "Tokens generated, and prompt tokens that had to be computed: those found in a prefix cache cost no "
            "prefill and do not count. Set by demand while the servers keep up.",
            "none",
            [
                Query(_tokens("breakeven_generation_tokens_per_second"), "{{deployment}} generated"),
                Query(_tokens("breakeven_prefill_tokens_per_second"), "{{deployment}} prompt"),
            ],
            low=0,
        ),
    ]


def time_row() -> list[Panel]:
    """The drill-down's row `Where the time goes`."""
    share = series("breakeven_request_seconds_prefill_ratio", REPLICA)
    return [
        row("Where the time goes"),
        timeseries(
            "Wall time by component",
            "Mean over the selected replicas; the components sum to 1. Weight quantization shortens the weights read, "
            "KV-cache quantization the KV cache read, 8-bit and 4-bit arithmetic decode arithmetic and prefill.",
            "percentunit",
            [
                Query(f"avg({series('breakeven_time_share_ratio', REPLICA, component=component)})", name)
                for component, name, _ in _COMPONENTS
            ],
            stacked=True,
            low=0,
            high=1,
            overrides=[coloured(name, color) for _, name, color in _COMPONENTS],
            absent=_IDLE,
        ),
        timeseries(
            "Busy share",
            "Share of time in which a replica executed forward passes, P50.",
            "percentunit",
            [Query(p50("breakeven_busy_ratio", REPLICA), f"{NAME} ({{{{evidence}}}})")],
            low=0,
            high=1,
        ),
        _phase_mix(),
        timeseries(
            "Prefill share by accounting",
            "The same prefill three ways. Exclusive: every step with a prompt token is prefill as a whole. Its share "
            "of request-seconds is no phase mix, since it counts a batched decode once per sequence: a contrast only.",
            "percentunit",
            [
                Query(weighted_phase("prefill", "marginal"), "marginal"),
                Query(weighted_phase("prefill", "exclusive"), "exclusive"),
                Query(f"avg({share})", "request-seconds (no phase mix)"),
            ],
            low=0,
            high=1,
            overrides=[
                named(
                    "request-seconds (no phase mix)",
                    color={"mode": "fixed", "fixedColor": "#8e8e8e"},
                    custom__lineStyle={"fill": "dash", "dash": [6, 6]},
                )
            ],
            absent=_IDLE,
        ),
        _memory_bound(),
        _batch(),
    ]


def load_row() -> list[Panel]:
    """The drill-down's row `Load and latency`."""

    def mean(metric: str, legend: str, how: str = "avg") -> Query:
        return Query(f"{how} by (deployment) ({series(metric, REPLICA)})", f"{{{{deployment}}}} {legend}")

    return [
        row("Load and latency"),
        timeseries(
            "Requests running and waiting",
            "Means over the live span, by deployment; running ones include those in prefill. Waiting requests say that "
            "capacity limits, not demand.",
            "none",
            [
                mean("breakeven_running_requests", "running", "sum"),
                mean("breakeven_waiting_requests", "waiting", "sum"),
            ],
            low=0,
            width=8,
        ),
        timeseries(
            "Latency",
            "Mean time to first token and mean gap between a sequence's decode steps, by deployment.",
            "s",
            [
                mean("breakeven_time_to_first_token_seconds", "first token"),
                mean("breakeven_inter_token_seconds", "between tokens"),
            ],
            low=0,
            width=8,
        ),
        timeseries(
            "KV memory and prefix cache",
            "Mean share of KV memory in use, and share of prompt tokens found in a prefix cache, by deployment. From "
            "85 % on with requests waiting, KV memory limits the batch.",
            "percentunit",
            [
                mean("breakeven_kv_usage_ratio", "KV in use"),
                mean("breakeven_cached_prompt_ratio", "cached"),
            ],
            low=0,
            high=1,
            width=8,
            steps=((None, "green"), (0.85, "orange")),
        ),
        timeseries(
            "Generated tokens per second by replica",
            "P50 of each selected replica; the deployment's sum stands on the overview.",
            "none",
            [Query(p50("breakeven_generation_tokens_per_second", REPLICA), f"{NAME} ({{{{evidence}}}})")],
            low=0,
        ),
        timeseries(
            "Preemptions per request",
            "Sequences thrown out of KV memory and computed again, per prefilled request. From 0.005 on KV memory is "
            "taken for the limit.",
            "none",
            [Query(series("breakeven_preemptions_per_request", REPLICA), NAME)],
            low=0,
            steps=((None, "green"), (0.005, "orange")),
        ),
    ]


def _deployments() -> Panel:
    every = series("breakeven_deployment_replicas", DEPLOYMENT)

    def best(expression: str, *labels: str) -> Query:
        return Query(or_nan(f"max by ({', '.join((_BY, *labels))}) ({expression})", _BY, every))

    return table(
        "Deployments",
        "What each selected deployment serves on what, over the decision span that verdicts rest on. The bottleneck "
        "is named by the article's rule.",
        [
            Query(f"max by ({_BY}, model_name, gpu, bottleneck) ({series('breakeven_deployment_info', DEPLOYMENT)})"),
            best(every),
            best(series("breakeven_deployment_fresh_replicas", DEPLOYMENT)),
            best(p50("breakeven_deployment_memory_bound_ratio", DEPLOYMENT), "evidence"),
        ],
        [
            Column("Time"),
            Column("Value #A"),
            Column("deployment", "Deployment"),
            Column("model_name", "Model"),
            Column("gpu", "GPU"),
            Column("Value #B", "Replicas", decimals=0),
            Column("Value #C", "Heard from", decimals=0),
            Column("bottleneck", "Bottleneck"),
            Column("Value #D", "Memory-bound P50", "percentunit", 0),
            Column("evidence", "Evidence"),
            Column("instance"),
        ],
        height=6,
        absent="no deployment has been seen yet",
    )


def _phase_mix() -> Panel:
    return timeseries(
        "Phase mix (marginal)",
        "Share of the selected replicas' busy time in prefill and in decode, each replica weighing as much as it "
        "was busy. Marginal: a step that carries both is charged to prefill for what it cost beyond the decode "
        "batch alone. Nothing is drawn while no replica works.",
        "percentunit",
        [
            Query(weighted_phase("decode", "marginal"), "decode"),
            Query(weighted_phase("prefill", "marginal"), "prefill"),
        ],
        stacked=True,
        low=0,
        high=1,
        overrides=[coloured("decode", "#5794f2"), coloured("prefill", "#ff9830")],
        absent=_IDLE,
    )


def _memory_bound() -> Panel:
    return timeseries(
        "Memory-bound share",
        "Share of busy time whose length is set by bytes moved, not by arithmetic. The band is the 80 % interval "
        "of the selection, each replica weighing as much as it was busy; averaging the ends keeps it too wide "
        "rather than too narrow. Thin lines: P50 of each replica.",
        "percentunit",
        [
            *(Query(weighted("breakeven_memory_bound_ratio", bound), bound.upper()) for bound in _BOUNDS),
            Query(p50("breakeven_memory_bound_ratio", REPLICA), f"{NAME} ({{{{evidence}}}})"),
        ],
        low=0,
        high=1,
        overrides=band_overrides(),
        absent=_IDLE,
    )


def _batch() -> Panel:
    return timeseries(
        "Decode batch",
        "Sequences decoded per step: not the running requests, which count those in prefill too. The band is the "
        "mean over the selected replicas, thin lines are the replicas.",
        "none",
        [
            *(
                Query(f"avg({series('breakeven_decode_batch_size', REPLICA, bound=bound)})", bound.upper())
                for bound in _BOUNDS
            ),
            Query(p50("breakeven_decode_batch_size", REPLICA), f"{NAME} ({{{{evidence}}}})"),
        ],
        low=0,
        overrides=band_overrides(),
    )


def _tokens(metric: str) -> str:
    # Of several daemons on one database each shows all replicas.
    return f"sum by (deployment) (max by (job, deployment, target, model_name, rank) ({p50(metric, REPLICA)}))"
