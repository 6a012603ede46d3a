"""The largest rate that a simulated server really takes within its objectives: found by running it, rate by rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from analyzer.capacity import Objectives
from collector.simulator.costs import StepCosts
from collector.simulator.histograms import Histogram
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.traffic import Traffic

REQUESTS = 30_000
WARM_UP = 0.2
"""Share of the requests that come before anything is counted."""
OVERLOAD = 3.0
BRACKET = (0.93, 1.07)
WIDER = 1.25
WIDTH = 0.005
UNSURE = 0.03
"""Another seed seldom moves a rate by more where waits for a first token decide it."""
LONGER = 4
"""So many times the requests are run where that much would change a number of replicas."""
LEAST = 0.01
"""A server that keeps its objectives only below this share of what it serves at all does not keep them."""
LOOKS = 12
"""A run ends early where the objectives cannot be kept any more."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server with the requests that it gets, at any rate: the same requests, only closer together."""

    costs: StepCosts
    settings: SchedulerSettings
    traffic: Traffic
    seed: int

    def server(self, rate_per_s: float) -> SimulatedServer:
        """At virtual time 0."""
        arrivals, drafts = np.random.SeedSequence(self.seed).spawn(2)
        traffic = replace(self.traffic, rate_per_s=rate_per_s, swing=0.0)
        return SimulatedServer(
            self.costs,
            self.settings,
            traffic.arrivals(np.random.default_rng(arrivals)),
            np.random.default_rng(drafts),
        )


def mean_gap_s(served: Served, rate_per_s: float, requests: int = REQUESTS) -> float:
    """Mean seconds between a sequence's steps at a rate."""
    server = _warm(served, rate_per_s, requests, Objectives())
    server.advance(requests / rate_per_s)
    gaps = server.counters.token_gap_s
    return gaps.sum / gaps.count


def largest_rate(
    served: Served,
    objectives: Objectives,
    near_per_s: float,
    requests: int = REQUESTS,
    bracket: tuple[float, float] = BRACKET,
) -> float:
    """Requests a second at which the objectives are just kept, by bisection.

    `near_per_s` times `bracket` is where the search begins: it saves runs and decides nothing. Where no objective
    bounds the time to first token, the stated share of what an overloaded server serves does.
    """
    most = _throughput(served, requests)
    if objectives.first_token is None:
        most = objectives.utilisation * most
        if objectives.token_gap is None or _keeps(served, objectives, most, requests):
            return most
    low, high = bracket[0] * near_per_s, bracket[1] * near_per_s
    while high < most and _keeps(served, objectives, high, requests):
        low, high = high, high * WIDER
    high = min(high, WIDER * most)
    while not _keeps(served, objectives, low, requests):
        low, high = low / WIDER, low
        if low < LEAST * most:
            return 0.0
    while high > low * (1 + WIDTH):
        rate = (low + high) / 2
        if _keeps(served, objectives, rate, requests):
            low = rate
        else:
            high = rate
    return (low + high) / 2


def rate_that_tells(
    served: Served, objectives: Objectives, near_per_s: float, load_per_s: float, requests: int
) -> float:
    """`largest_rate`, of longer runs where it is too uncertain to tell how many replicas carry a fleet's load.

    Only waits for a first token make it so: near saturation the queues of two runs as long differ by much.
    """
    rate = largest_rate(served, objectives, near_per_s, requests)
    if objectives.first_token is None or rate <= 0:
        return rate
    fewest, most = (ceil(load_per_s / (rate * (1 + sign * UNSURE))) for sign in (1, -1))
    if fewest == most:
        return rate
    return largest_rate(served, objectives, rate, LONGER * requests, (1 - UNSURE, 1 + UNSURE))


def _throughput(served: Served, requests: int) -> float:
    """Requests a second that end while the queue is never empty."""
    rate = served.traffic.rate_per_s
    while True:
        rate *= OVERLOAD
        server = served.server(rate)
        span_s = requests / 2 / rate
        server.advance(span_s)
        before = server.truth().completions
        if before < 0.8 * requests / 2:
            break
    # Half the time the seats fill up; then whole requests are counted.
    start_s, before = server.at_s, server.truth().completions
    wanted = before + requests // 2
    while server.truth().completions < wanted:
        server.advance(server.at_s + span_s / 4)
    return (server.truth().completions - before) / (server.at_s - start_s)


def _warm(served: Served, rate_per_s: float, requests: int, objectives: Objectives) -> SimulatedServer:
    """A server past its warm-up, that counts what lies within the objectives from here on."""
    server = served.server(rate_per_s)
    server.advance(WARM_UP * requests / rate_per_s)
    first, gap = objectives.first_token, objectives.token_gap
    server.counters.first_token_s = Histogram((1.0 if first is None else first.seconds,))
    server.counters.token_gap_s = Histogram((1.0 if gap is None else gap.seconds,))
    return server


def _keeps(served: Served, objectives: Objectives, rate_per_s: float, requests: int) -> bool:
    server = _warm(served, rate_per_s, requests, objectives)
    counted = (1 - WARM_UP) * requests
    start_s, span_s = server.at_s, counted / rate_per_s
    first, gap = objectives.first_token, objectives.token_gap
    for look in range(1, LOOKS + 1):
        server.advance(start_s + span_s * look / LOOKS)
        late = server.counters.first_token_s.counts[1]
        if first is not None and late > (1 - first.share) * counted:
            return False
    within, beyond = server.counters.first_token_s.counts
    # Who still waits longer than the objective is late as well.
    waiting = server.truth().arrivals - server.counters.first_token_s.count
    if first is not None and within < first.share * (within + beyond):
        return False
    if gap is not None:
        within, beyond = server.counters.token_gap_s.counts
        if within < gap.share * (within + beyond):
            return False
    return waiting < counted
