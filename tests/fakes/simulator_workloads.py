"""Workloads for tests of the simulator: hypothesis strategies over small servers, and helpers to build them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from collector.simulator.costs import Law, StepCosts
from collector.simulator.histograms import Histogram
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Arrival

FLAT = StepCosts(
    weight_bytes=1e9, kv_bytes_per_token=0, active_parameters=0, bandwidth_bytes_per_s=1e10, flops_per_s=1e12
)
"""Every step takes 0.1 s, whatever is in it."""


def arrivals(*requests: tuple[float, int, int]) -> list[Arrival]:
    """Requests as (time, prompt tokens, output tokens)."""
    return [Arrival(at_s, prompt, output) for at_s, prompt, output in requests]


def server(requests: list[Arrival], costs: StepCosts = FLAT, **limits: int | bool | Speculation) -> SimulatedServer:
    """A server with room for 10,000 tokens and a budget of 1,000 per step, unless said otherwise."""
    settings = {"kv_capacity_tokens": 10_000, "max_num_batched_tokens": 1000, "max_num_seqs": 64} | limits
    return SimulatedServer(costs, SchedulerSettings(**settings), requests, np.random.default_rng(0))


def histograms(of: SimulatedServer) -> dict[str, Histogram]:
    """All histograms of a server by name."""
    return {name: value for name, value in vars(of.counters).items() if isinstance(value, Histogram)}


@dataclass(frozen=True)
class Workload:
    """A server's make-up and what it is asked."""

    costs: StepCosts
    settings: SchedulerSettings
    requests: list[Arrival]
    polls: list[float]

    @property
    def end_s(self) -> float:
        """A time by which all has certainly ended."""
        return self.requests[-1].at_s + 10_000.0

    def build(self, macro_steps: bool = True) -> SimulatedServer:
        """The server, freshly started."""
        return SimulatedServer(
            self.costs, self.settings, self.requests, np.random.default_rng(7), macro_steps=macro_steps
        )


@st.composite
def workloads(draw: st.DrawFn, accept_all_or_none: bool = False) -> Workload:
    """Small servers under all kinds of stress: tight KV memory, tight budgets, bursts, aborts, drafts."""
    decimal = st.floats(0, 1, allow_nan=False)
    acceptance = st.sampled_from([0.0, 1.0]) if accept_all_or_none else decimal
    drafting = st.builds(Speculation, st.integers(1, 3), acceptance, st.just(0.001))
    speculation = draw(st.one_of(st.none(), st.none(), drafting))
    costs = StepCosts(
        weight_bytes=10 ** (8 + 2 * draw(decimal)),
        kv_bytes_per_token=10 ** (3 + 4 * draw(decimal)),
        active_parameters=10 ** (7 + 3 * draw(decimal)),
        bandwidth_bytes_per_s=1e12,
        flops_per_s=10 ** (11 + 3 * draw(decimal)),
        layers=draw(st.integers(0, 30)),
        hidden=4096,
        overhead_s=0.002,
        per_sequence_s=1e-4,
        law=draw(st.sampled_from(list(Law))),
    )
    seats = draw(st.integers(1, 12))
    context = draw(st.integers(40, 300))
    settings = SchedulerSettings(
        kv_capacity_tokens=context + 32 + draw(st.integers(0, 600)),
        max_num_seqs=seats,
        max_num_batched_tokens=4 * seats + draw(st.integers(0, 80)),
        max_model_len=context,
        block_size=draw(st.sampled_from([1, 4, 16])),
        prefix_caching=draw(st.booleans()),
        speculation=speculation,
        mixed_steps=draw(st.booleans()),
    )
    # Gaps are random numbers of a seeded generator: drawn ones would fall on step ends, where rounding decides.
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 40))
    times = np.cumsum(rng.exponential(10 ** (-2.5 + 3 * draw(decimal)), count)).tolist()
    limit = st.one_of(st.none(), st.integers(1, 60))
    requests = [
        Arrival(
            at_s,
            draw(st.integers(1, 320)),
            draw(st.integers(1, 120)),
            draw(st.integers(0, 200)),
            draw(limit),
            draw(limit),
        )
        for at_s in times
    ]
    polls = sorted(rng.uniform(0, 2 * times[-1], 4).tolist())
    return Workload(costs, settings, requests, polls)
