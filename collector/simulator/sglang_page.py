"""A simulated server that answers as SGLang 0.5.23 with `--enable-metrics` does, with or without its device timer.

Prompts never share a step with decoding sequences. Token and pass counters are live; the totals of requests move when
one ends; gauges move with reports. Every tensor-parallel worker counts passes and seconds; the first does all else.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from collector.simulator.exposition import Labels, Sample, family, summed
from collector.simulator.server import SimulatedServer
from collector.simulator.sglang_counters import SglangCounters
from collector.simulator.site import Facts, Site, json_route, page_route

VERSION = "0.5.23"


class SglangPage:
    """The page of one server; `device_timer` is SGLANG_ENABLE_METRICS_DEVICE_TIMER=1."""

    def __init__(self, server: SimulatedServer, facts: Facts, *, device_timer: bool) -> None:
        self._server = server
        self._device_timer = device_timer
        self.counts = SglangCounters(server)
        server.listeners.append(self.counts)
        self._frontend = {"engine_type": "unified", "model_name": facts.model_name}
        ranks = range(server.costs.tensor_parallel)
        place = {"moe_ep_rank": "0", "pp_rank": "0"}
        self._workers = [{**self._frontend, **place, "tp_rank": str(rank)} for rank in ranks]

    def render(self, names: Set[str] | None = None) -> str:
        """The page as text; `name[]` is ignored."""
        server, counts, counters, first = self._server, self.counts, self._server.counters, self._workers[0]
        finished = counters.request_s.count
        prompt, computed = counters.request_prompt_tokens.sum, counters.request_computed_tokens.sum
        # The first token comes from the prefill batch; drafts give several a step.
        decoded = counters.generation_tokens - counters.first_token_s.count + counts.extra_tokens
        steps = counts.sequence_steps
        accepted = 1 + sum(counters.accepted_by_position) / steps if server.settings.speculation and steps else 0.0
        tokens = {"prefill_compute": counts.prompt_tokens, "prefill_cache": counts.cached_tokens, "decode": decoded}
        passes = {
            "decode_cuda_graph": counts.decode_steps + counts.extra_passes,
            "decode_none": 0,
            "prefill_cuda_graph": 0,
            "prefill_none": counts.prefill_steps,
        }

        def gauge(name: str, value: float) -> str:
            return family(f"sglang:{name}", "gauge", [("", first, value)])

        def live(name: str, samples: list[Sample]) -> str:
            return family(f"sglang:{name}", "counter", samples)

        def ended(name: str, value: float, **more: str) -> str:
            labels = {**self._frontend, "is_streaming": "true", **more}
            return family(f"sglang:{name}", "counter", [("", labels, value)] if finished else [])

        def histogram(name: str, count: float, total: float, labels: Labels) -> str:
            return family(f"sglang:{name}", "histogram", summed(count, total, labels) if count else [])

        streaming = {**self._frontend, "is_streaming": "true"}
        return "".join(
            [
                gauge("num_running_reqs", counts.running),
                gauge("num_queue_reqs", counts.waiting),
                gauge("token_usage", counts.kv_usage_ratio),
                gauge("spec_accept_length", accepted),
                gauge("utilization", 0.0),
                live(
                    "realtime_tokens_total",
                    [("", {**first, "mode": mode}, value) for mode, value in tokens.items() if value],
                ),
                live(
                    "cuda_graph_passes_total",
                    [
                        ("", {**worker, "mode": mode}, value)
                        for worker in self._workers
                        for mode, value in passes.items()
                        if value
                    ],
                ),
                live("forward_execution_seconds_total", self._timer()),
                histogram("queue_time_seconds", counters.queue_s.count, counters.queue_s.sum, first),
                ended("prompt_tokens_total", prompt),
                ended("generation_tokens_total", counters.request_generation_tokens.sum),
                ended("cached_tokens_total", prompt - computed, cache_source="device"),
                ended("num_requests_total", finished),
                histogram(
                    "time_to_first_token_seconds", counters.first_token_s.count, counters.first_token_s.sum, streaming
                ),
                histogram(
                    "inter_token_latency_seconds",
                    counters.generation_tokens - counters.first_token_s.count,
                    counts.gaps_s,
                    streaming,
                ),
                histogram("e2e_request_latency_seconds", finished, counters.request_s.sum, streaming),
            ]
        )

    def _timer(self) -> list[Sample]:
        """Seconds of the model's forward passes by category; here a step is nothing else."""
        if not self._device_timer:
            return []
        counts, speculation = self.counts, self._server.settings.speculation
        spent_s = {"extend": counts.prefill_s, "decode": counts.decode_s}
        if speculation is not None:
            drafting_s = counts.decode_steps * speculation.draft_step_s
            spent_s = {
                "extend": counts.prefill_s,
                "target_verify": counts.decode_s - drafting_s,
                "eagle_draft": drafting_s,
            }
        return [
            ("", {**worker, "category": category}, seconds)
            for worker in self._workers
            for category, seconds in spent_s.items()
            if seconds > 0
        ]

    def loads(self) -> Any:
        """`/v1/loads`: cumulative moments as of the scheduler's last snapshot."""
        counts = self.counts
        moments = counts.moments
        load = {
            "dp_rank": 0,
            "num_running_reqs": counts.running,
            "num_waiting_reqs": counts.waiting,
            "gen_throughput": 0.0,
            "total_prefill_uncached_tokens": moments.prefill_tokens,
            "total_prefill_busy_us": round(1e6 * moments.prefill_busy_s),
            "decode_moments": [
                moments.steps,
                moments.batch,
                round(moments.microseconds),
                moments.batch_squared,
                round(moments.batch_microseconds),
                moments.batch,
            ],
        }
        return {"version": VERSION, "loads": [load]}


def site(server: SimulatedServer, facts: Facts, *, device_timer: bool = True) -> Site:
    """The server's page and answers."""
    page = SglangPage(server, facts, device_timer=device_timer)
    limits = server.settings

    def info() -> Any:
        return {
            "model_path": facts.model_name,
            "served_model_name": facts.model_name,
            "dtype": "auto",
            "quantization": None,
            "kv_cache_dtype": "auto",
            "context_length": limits.max_model_len,
            "tp_size": server.costs.tensor_parallel,
            "pp_size": 1,
            "ep_size": 1,
            "chunked_prefill_size": limits.max_num_batched_tokens,
            "enable_mixed_chunk": False,
            "max_total_num_tokens": limits.kv_blocks * limits.block_size,
            "version": VERSION,
        }

    routes = {
        "/metrics": page_route(page),
        "/v1/loads": json_route(page.loads),
        "/server_info": json_route(info),
        "/get_server_info": json_route(info),
        "/model_info": json_route(lambda: {"model_path": facts.model_name}),
    }
    return Site(page, "/metrics", routes)


def site_without_timer(server: SimulatedServer, facts: Facts) -> Site:
    """The same without the device timer, which is how SGLang starts if nobody asks for it."""
    return site(server, facts, device_timer=False)
