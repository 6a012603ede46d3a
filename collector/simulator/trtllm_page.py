"""A simulated server that answers as TensorRT-LLM's trtllm-serve 1.3 does, with iteration records switched on.

Its Prometheus page moves only when a request completes, whatever the series. Its JSON `/metrics` gives each iteration
out once and keeps the last 1000. Of histograms only count and sum are written.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from collector.simulator.exposition import Sample, family, go_number, summed
from collector.simulator.iterations import Iteration, IterationLog
from collector.simulator.requests import LiveRequest
from collector.simulator.server import SimulatedServer
from collector.simulator.site import Facts, Site, json_route, page_route

VERSION = "1.3.0"
KEPT_ITERATIONS = 1000


class _Log(IterationLog):
    """Also what the page says of iterations, which it hears of when a request completes."""

    def __init__(self) -> None:
        super().__init__(KEPT_ITERATIONS)
        self.told_prefill_steps = 0
        self.told_prompt_tokens = 0

    def ended(self, live: LiveRequest, now_s: float) -> None:
        """A request ended, or its client left."""
        super().ended(live, now_s)
        if not live.aborts:
            self.told_prefill_steps, self.told_prompt_tokens = self.prefill_steps, self.prompt_tokens


class TrtllmPage:
    """The page under /prometheus/metrics, and the records beside it."""

    def __init__(self, server: SimulatedServer, facts: Facts) -> None:
        self._server = server
        self._labels = {"engine_type": "trtllm", "model_name": facts.model_name}
        self._facts = facts
        self._log = _Log()
        self._number = 0
        server.listeners.append(self._log)

    def render(self, names: Set[str] | None = None) -> str:
        """The page as text; `name[]` is not offered."""
        counters, log, labels = self._server.counters, self._log, self._labels
        finished = counters.request_s.count
        prompt, computed = counters.request_prompt_tokens.sum, counters.request_computed_tokens.sum
        ends: list[Sample] = [
            ("", {**labels, "finished_reason": reason}, counters.success[reason]) for reason in ("length", "stop")
        ]

        def counter(name: str, value: float) -> str:
            return family(f"trtllm_{name}", "counter", [("", labels, value)], go_number)

        def histogram(name: str, total: float, count: float = finished) -> str:
            return family(f"trtllm_{name}", "histogram", summed(count, total, labels), go_number)

        def info(name: str, **more: str) -> str:
            return family(f"trtllm_{name}", "gauge", [("", {**labels, **more}, 1.0)], go_number)

        gpus = str(self._server.costs.tensor_parallel)
        return "".join(
            [
                family("trtllm_request_success_total", "counter", ends if finished else [], go_number),
                histogram("e2e_request_latency_seconds", counters.request_s.sum),
                histogram("time_to_first_token_seconds", log.first_token_s),
                histogram("time_per_output_token_seconds", counters.request_token_gap_s.sum),
                histogram("request_queue_time_seconds", counters.queue_s.sum),
                histogram("request_prefill_time_seconds", counters.prefill_s.sum),
                histogram("request_decode_time_seconds", counters.decode_s.sum),
                histogram("request_inference_time_seconds", counters.inference_s.sum),
                counter("prompt_tokens_total", prompt),
                counter("generation_tokens_total", counters.request_generation_tokens.sum),
                counter("prompt_cached_tokens_total", prompt - computed),
                histogram("prefill_batch_tokens", log.told_prompt_tokens, log.told_prefill_steps),
                info(
                    "model_config_info",
                    model=self._facts.model_name,
                    dtype="bfloat16",
                    quantization="none",
                    gpu_type=self._facts.gpu_name,
                ),
                info(
                    "parallel_config_info",
                    tensor_parallel_size=gpus,
                    pipeline_parallel_size="1",
                    context_parallel_size="1",
                    expert_parallel_size="1",
                    gpu_count=gpus,
                ),
                info("kv_cache_config_info", cache_dtype="auto", enable_block_reuse="True"),
            ]
        )

    def records(self) -> list[dict[str, Any]]:
        """The iterations since the last read."""
        return [self._record(one) for one in self._log.read()]

    def _record(self, one: Iteration) -> dict[str, Any]:
        self._number += 1
        counters = self._server.counters
        return {
            "iter": self._number,
            "iterLatencyMS": 1000 * one.seconds,
            "numActiveRequests": counters.running,
            "numQueuedRequests": counters.waiting,
            "inflightBatchingStats": {
                "numContextRequests": one.prompts,
                "numCtxTokens": one.prompt_tokens,
                "numGenRequests": one.sequences,
                "numPausedRequests": 0,
                "numScheduledRequests": one.prompts + one.sequences,
            },
        }


def site(server: SimulatedServer, facts: Facts) -> Site:
    """The server's page and answers."""
    page = TrtllmPage(server, facts)
    routes = {
        "/prometheus/metrics": page_route(page),
        "/metrics": json_route(page.records),
        "/version": json_route(lambda: {"version": VERSION}),
    }
    return Site(page, "/prometheus/metrics", routes)
