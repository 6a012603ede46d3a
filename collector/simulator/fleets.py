"""The fleets that capacity is scored on: replicas alike, what they serve, the scheme asked about, their objectives."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from analyzer.capacity import Objective, Objectives
from collector.simulator.costs import Law
from collector.simulator.kernels import draw
from collector.simulator.scenarios import LLAMA_8B, LLAMA_70B
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload

COUNT = 30
MOST_REPLICAS = 20
LOADS = (0.1, 1.0)
WATCHED_REQUESTS = 24_000
SPAN_S = (7200.0, 28_800.0)
"""Hours, as a daemon has watched before a verdict: with a quarter of it a mix's mean lengths alone err by 1 %."""
_SCHEMES = ("fp8-w8a8", "w4a16", "int8-w8a8", "w8a16", "fp8-w8a8+kv-fp8", "kv-fp8")
_SHAPES = (
    # mean prompt and output, seats, tokens per step
    (300, 600, 64, 8192),
    (800, 300, 128, 2048),
    (1500, 200, 96, 8192),
    (3000, 150, 64, 2048),
    (5000, 200, 64, 8192),
    (100, 400, 128, 2048),
    (500, 250, 16, 2048),
    (2000, 500, 32, 4096),
)
_FIRST_TOKEN_S = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)
_TOKEN_GAP_S = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Replicas that each get the same load as the one described; of them all the polls of one are looked at."""

    name: str
    replicas: int
    workload: Workload
    scheme: str
    objectives: Objectives


def fleets(seed: int) -> tuple[Fleet, ...]:
    """The fleets of a seed: loads evenly spread, all else drawn. Another seed gives others."""
    rng = np.random.default_rng([seed, COUNT])
    loads = rng.permutation(np.linspace(*LOADS, COUNT))
    return tuple(_fleet(number, float(load), seed, rng) for number, load in enumerate(loads))


def _fleet(number: int, load: float, seed: int, rng: np.random.Generator) -> Fleet:
    prompt, output, seats, chunk = _SHAPES[rng.integers(len(_SHAPES))]
    large, cached, drafted, roofline = rng.random(4)
    model, gpus = (LLAMA_70B, int(rng.choice([2, 4]))) if large < 0.2 else (LLAMA_8B, 1)
    plain = Workload(
        name="",
        load=load,
        prompt=_lengths(prompt),
        output=_lengths(output),
        seed=1000 * seed + number,
        model=model,
        tensor_parallel=gpus,
        seats=seats,
        chunk_tokens=chunk,
        cached_share=0.5 if cached < 0.2 and prompt >= 1000 else None,
        speculation=Speculation(3, 0.7, 0.6e-3) if drafted < 0.1 else None,
        law=Law.ROOFLINE if roofline < 0.1 else Law.ADDITIVE,
        **asdict(draw(rng, model.layers, "vllm")),
        swing=float(np.clip(0.98 / load - 1, 0.0, 0.4)),
    )
    span_s = float(np.clip(WATCHED_REQUESTS / plain.traffic.rate_per_s, *SPAN_S))
    replicas = int(rng.integers(1, MOST_REPLICAS + 1))
    scheme = str(rng.choice(_SCHEMES))
    name = f"{replicas} x {model.name.rsplit('-', 2)[-2]}/{gpus}, {prompt}+{output}, load {load:.2f}"
    return Fleet(name, replicas, replace(plain, name=name, span_s=span_s), scheme, _objectives(plain, rng))


def _lengths(mean: int) -> Lengths:
    return Lengths(mean=mean, sigma=0.5, minimum=max(1, mean // 8), maximum=4 * mean)


def _objectives(workload: Workload, rng: np.random.Generator) -> Objectives:
    """None, either or both, in round figures that a server can keep while it is not full, as operators state them."""
    costs, prompt = workload.costs, workload.prompt.mean
    longest = int(3 * prompt)
    alone_s = costs.step_s(workload.seats, round(workload.seats * prompt), longest, longest**2 // 2)
    # A quarter of the seats and a mean prompt: some of these objectives bind before the seats do, and others never.
    chunk, seats = min(round(prompt), workload.chunk_tokens), workload.seats // 4
    usual_s = costs.step_s(seats, round(seats * (prompt + workload.output.mean / 2)), chunk, chunk * chunk // 2)
    first = Objective(float(rng.choice([one for one in _FIRST_TOKEN_S if one >= 2 * alone_s][:2])))
    gap = Objective(float(rng.choice([one for one in _TOKEN_GAP_S if one >= usual_s][:2])))
    kind = rng.random()
    if kind < 0.2:
        return Objectives()
    if kind < 0.55:
        return Objectives(first)
    return Objectives(first, gap) if kind < 0.85 else Objectives(None, gap)
