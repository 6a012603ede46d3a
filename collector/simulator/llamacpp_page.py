"""A simulated server that answers as llama.cpp's llama-server b11549 with `--metrics --slots` does.

Generated tokens and their seconds enter the page when their request ends; numbers have 6 significant digits; two
gauges are averages since the page was last read, by anybody. Sequences of the scheduler are slots.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from collector.simulator.exposition import family
from collector.simulator.listening import PhaseCounters
from collector.simulator.requests import LiveRequest
from collector.simulator.server import SimulatedServer
from collector.simulator.site import Facts, Site, json_route, page_route

BUILD = "b11549-0000000"


def _number(value: float) -> str:
    """As a C++ stream prints a double: 6 significant digits."""
    return f"{value:.6g}"


class _Slots(PhaseCounters):
    """Also the longest request, and what ended since the page was last read."""

    def __init__(self) -> None:
        super().__init__()
        self.longest_tokens = 0
        self.since_read = (0, 0.0, 0, 0.0)

    def ended(self, live: LiveRequest, now_s: float) -> None:
        """A request ended, or its client left."""
        super().ended(live, now_s)
        self.longest_tokens = max(self.longest_tokens, live.arrival.prompt_tokens + live.outputs)


class LlamaCppPage:
    """The page of one llama-server; reading it resets two of its gauges."""

    def __init__(self, server: SimulatedServer) -> None:
        self._server = server
        self._slots = _Slots()
        server.listeners.append(self._slots)

    def render(self, names: Set[str] | None = None) -> str:
        """The page as text; llama-server knows no `name[]`."""
        slots, counters = self._slots, self._server.counters
        decodes = slots.prefill_steps + slots.decode_steps
        now = (slots.prompt_tokens, slots.prefill_s, slots.ended_tokens, slots.ended_decode_s)
        tokens, seconds, predicted, predicted_s = (
            after - before for after, before in zip(now, slots.since_read, strict=True)
        )
        slots.since_read = now
        rows = (
            ("prompt_tokens_total", "counter", slots.prompt_tokens),
            ("prompt_tokens_cached_total", "counter", slots.cached_tokens),
            ("prompt_seconds_total", "counter", slots.prefill_s),
            ("tokens_predicted_total", "counter", slots.ended_tokens),
            ("tokens_predicted_seconds_total", "counter", slots.ended_decode_s),
            ("n_decode_total", "counter", decodes),
            ("n_tokens_max", "counter", slots.longest_tokens),
            ("spec_decode_num_draft_tokens_total", "counter", counters.drafts * counters.draft_tokens_per_draft),
            ("spec_decode_num_accepted_tokens_total", "counter", sum(counters.accepted_by_position)),
            ("spec_decode_num_drafts_total", "counter", counters.drafts),
            ("prompt_tokens_seconds", "gauge", tokens / seconds if seconds > 0 else 0.0),
            ("predicted_tokens_seconds", "gauge", predicted / predicted_s if predicted_s > 0 else 0.0),
            ("requests_processing", "gauge", counters.running),
            ("requests_deferred", "gauge", counters.waiting),
            ("n_busy_slots_per_decode", "gauge", slots.slot_steps / decodes if decodes else 0.0),
        )
        return "".join(family(f"llamacpp:{name}", kind, [("", {}, value)], _number) for name, kind, value in rows)


def site(server: SimulatedServer, facts: Facts) -> Site:
    """The server's page and answers."""
    page = LlamaCppPage(server)
    limits = server.settings
    path = f"{facts.model_name}-F16.gguf"

    def slots() -> Any:
        under_way = server.outputs_under_way()
        found = []
        for number in range(limits.max_num_seqs):
            busy = number < len(under_way)
            done = under_way[number] if busy else 0
            found.append(
                {
                    "id": number,
                    "n_ctx": limits.max_model_len,
                    "speculative": limits.speculation is not None,
                    "is_processing": busy,
                    "next_token": [{"has_next_token": busy, "n_remain": -1, "n_decoded": done}],
                }
            )
        return found

    def props() -> Any:
        return {
            "default_generation_settings": {"n_ctx": limits.max_model_len},
            "total_slots": limits.max_num_seqs,
            "model_alias": facts.model_name,
            "model_path": path,
            "model_ftype": "F16",
            "build_info": BUILD,
        }

    def models() -> Any:
        meta = {
            "n_ctx_train": limits.max_model_len,
            "n_params": int(facts.parameters),
            "size": int(facts.weight_bytes),
            "ftype": "F16",
        }
        return {"object": "list", "data": [{"id": facts.model_name, "object": "model", "meta": meta}]}

    # The header is named after unix time, but holds microseconds since the machine's start.
    started = {"Process-Start-Time-Unix": str(int(facts.started_unix_s * 1e6) % 10**12)}
    routes = {
        "/metrics": page_route(page, started),
        "/slots": json_route(slots),
        "/props": json_route(props),
        "/v1/models": json_route(models),
    }
    return Site(page, "/metrics", routes)
