"""A simulated server that answers as text-generation-inference 3.3 with chunked prefill does.

Counters have no `_total`, labelled series appear with their first event, and a pass that carries prompt tokens is a
`prefill` pass although decoding sequences advance in it too. Of most histograms only count and sum are written.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from collector.simulator.exposition import Sample, family, summed
from collector.simulator.histograms import Histogram
from collector.simulator.listening import PhaseCounters
from collector.simulator.requests import LiveRequest
from collector.simulator.server import SimulatedServer
from collector.simulator.site import Facts, Site, json_route, page_route
from collector.simulator.traffic import Arrival

VERSION = "3.3.6"
LENGTH_BUCKETS = 100
"""Equal buckets up to the longest request."""


def _number(value: float) -> str:
    """As Rust prints an f64: whole numbers without a point."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _buckets(histogram: Histogram) -> list[Sample]:
    bounds = (*(_number(bound) for bound in histogram.bounds), "+Inf")
    found: list[Sample] = [
        ("_bucket", {"le": bound}, up_to) for bound, up_to in zip(bounds, histogram.cumulative(), strict=True)
    ]
    return [*found, ("_sum", {}, histogram.sum), ("_count", {}, histogram.count)]


class _Router(PhaseCounters):
    """Also the lengths of requests: prompts when they arrive, answers when they are whole."""

    def __init__(self, max_total_tokens: int) -> None:
        super().__init__()
        bounds = tuple(max_total_tokens * (number + 1) / LENGTH_BUCKETS for number in range(LENGTH_BUCKETS))
        self.prompts = Histogram(bounds)
        self.answers = Histogram(bounds)

    def arrived(self, arrival: Arrival) -> None:
        """A request reached the server, which may refuse it."""
        super().arrived(arrival)
        self.prompts.observe(arrival.prompt_tokens)

    def ended(self, live: LiveRequest, now_s: float) -> None:
        """A request ended, or its client left."""
        super().ended(live, now_s)
        if not live.aborts:
            self.answers.observe(live.outputs)


class TgiPage:
    """The router's page."""

    def __init__(self, server: SimulatedServer) -> None:
        self._server = server
        self._phases = _Router(server.settings.max_model_len)
        server.listeners.append(self._phases)

    def render(self, names: Set[str] | None = None) -> str:
        """The page as text; the router knows no `name[]`."""
        server, phases, counters = self._server, self._phases, self._server.counters
        truth = server.truth(whole_steps=True)
        passes = {"prefill": phases.prefill_steps, "decode": phases.decode_steps}
        spent_s = {"prefill": phases.prefill_s, "decode": phases.decode_s}
        seen = [method for method, count in passes.items() if count]
        calls: list[Sample] = [("", {"method": method}, passes[method]) for method in seen]
        # One observation per sequence and pass: of the tokens beyond the first that drafts gave it.
        outputs = phases.sequence_steps + counters.first_token_s.count + truth.resumed_prefills
        finished = counters.request_s.count
        mixed: list[Sample] = [("", {"reason": "chunking"}, phases.mixed_steps)] if phases.mixed_steps else []
        running = phases.last_batch if counters.running else 0
        text_s = 5e-6 * outputs  # turning tokens into text: small, and no phase although its name says decode

        def timed(scale: float) -> list[Sample]:
            return [
                sample
                for method in seen
                for sample in summed(passes[method], scale * spent_s[method], {"method": method})
            ]

        def plain(name: str, value: float, kind: str = "counter") -> str:
            return family(f"tgi_{name}", kind, [("", {}, value)], _number)

        def histogram(name: str, samples: list[Sample]) -> str:
            return family(f"tgi_{name}", "histogram", samples, _number)

        skipped: list[Sample] = [
            *(("", {"quantile": quantile}, 0.0) for quantile in ("0", "0.5", "0.99", "1")),
            ("_sum", {}, truth.generated_tokens - outputs),
            ("_count", {}, outputs),
        ]
        return "".join(
            [
                plain("request_count", phases.arrivals),
                plain("request_success", finished),
                family("tgi_batch_inference_count", "counter", calls, _number),
                family("tgi_batch_inference_success", "counter", calls, _number),
                family("tgi_batch_concat", "counter", mixed, _number),
                plain("batch_current_size", running, "gauge"),
                plain("queue_size", counters.waiting, "gauge"),
                histogram("batch_next_size", summed(phases.prefill_steps, phases.admissions, {})),
                histogram("batch_forward_duration", timed(1.0)),
                histogram("batch_decode_duration", summed(outputs, text_s, {"method": "decode"})),
                histogram("batch_inference_duration", timed(1.1)),
                family("tgi_request_skipped_tokens", "summary", skipped if outputs else [], _number),
                histogram("request_generated_tokens", _buckets(phases.answers)),
                histogram("request_input_length", _buckets(phases.prompts)),
                histogram("request_duration", summed(finished, counters.request_s.sum, {})),
                histogram("request_queue_duration", summed(finished, counters.queue_s.sum, {})),
                histogram("request_inference_duration", summed(finished, counters.inference_s.sum, {})),
            ]
        )


def site(server: SimulatedServer, facts: Facts) -> Site:
    """The server's page and answers."""
    page = TgiPage(server)

    def info() -> Any:
        return {
            "model_id": facts.model_name,
            "model_sha": None,
            "max_total_tokens": server.settings.max_model_len,
            "max_input_tokens": server.settings.max_model_len - 1,
            "version": VERSION,
        }

    return Site(page, "/metrics", {"/metrics": page_route(page), "/info": json_route(info)})
