"""The workloads that the estimators are scored on: forty and more for vLLM, a few for every other dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np

from collector.simulator.costs import Law
from collector.simulator.dialects import DIALECTS
from collector.simulator.kernels import draw
from collector.simulator.scenarios import LLAMA_70B
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Lengths
from collector.simulator.workloads import Workload

_NOISY = 0.05
_SLOW_S = 15.0
_DRAFTS = Speculation(draft_tokens=3, acceptance=0.7, draft_step_s=0.6e-3)


def _lengths(mean: int, sigma: float = 0.5) -> Lengths:
    return Lengths(mean=mean, sigma=sigma, minimum=max(1, mean // 8), maximum=4 * mean)


def _workload(name: str, load: float, prompt: int, output: int, **more: object) -> Workload:
    return Workload(name, load, _lengths(prompt), _lengths(output), seed=0, **more)  # type: ignore[arg-type]


def _chat() -> list[Workload]:
    """Short questions, long answers, from nearly idle to more than the server can do."""
    loads = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2)
    found = [_workload(f"chat, load {load}", load, 300, 600, seats=64) for load in loads]
    found += [_workload(f"chat, load {load}, noisy, 15 s", load, 300, 600, seats=64, busy_noise=_NOISY,
                        poll_interval_s=_SLOW_S) for load in (0.3, 0.6, 0.95)]  # fmt: skip
    return found


def _batches() -> list[Workload]:
    """A decode batch held by the number of seats."""
    found = [
        _workload(f"{seats} seats, load {load}", load, 400, 300, seats=seats, chunk_tokens=2048)
        for seats, load in ((1, 0.5), (1, 1.1), (4, 0.6), (4, 1.1), (16, 0.7), (16, 1.1), (64, 1.1), (256, 0.7))
    ]
    found.append(_workload("256 seats, load 1.1, noisy", 1.1, 400, 800, seats=256, busy_noise=_NOISY))
    return found


def _prompts() -> list[Workload]:
    """From short prompts to long documents, with chunks of several sizes."""
    found = [
        _workload(f"prompts of {prompt}, chunks of {chunk}, load {load}", load, prompt, output, chunk_tokens=chunk,
                  seats=128)
        for prompt, output, chunk, load in (
            (50, 400, 512, 0.3),
            (50, 400, 8192, 0.8),
            (1000, 200, 512, 0.5),
            (1000, 200, 2048, 0.8),
            (3000, 150, 2048, 0.3),
            (3000, 150, 8192, 0.7),
            (8000, 100, 2048, 0.5),
            (8000, 100, 16_384, 0.8),
            (15_000, 200, 8192, 0.4),
        )
    ]  # fmt: skip
    long = Lengths(mean=22_000, sigma=0.25, minimum=8000, maximum=30_000)
    found += [
        Workload(f"documents up to 30,000, load {load}", load, long, _lengths(250), seed=0, seats=32,
                 chunk_tokens=8192, busy_noise=noise)
        for load, noise in ((0.3, 0.02), (0.7, 0.02), (0.9, _NOISY))
    ]  # fmt: skip
    return found


def _caches_and_drafts() -> list[Workload]:
    """Prefix cache and speculative decoding, apart and together."""
    return [
        _workload("cached 0.5, load 0.4", 0.4, 2000, 200, cached_share=0.5, seats=128),
        _workload("cached 0.5, load 0.8, 15 s", 0.8, 2000, 200, cached_share=0.5, seats=128, poll_interval_s=_SLOW_S),
        _workload("cached 0.9, load 0.6, noisy", 0.6, 6000, 150, cached_share=0.9, seats=128, busy_noise=_NOISY),
        _workload("cache on, nothing cached, load 0.6", 0.6, 1000, 300, cached_share=0.0, seats=128),
        _workload("drafts, load 0.2", 0.2, 400, 400, speculation=_DRAFTS, seats=64),
        _workload("drafts, load 0.6", 0.6, 400, 400, speculation=_DRAFTS, seats=64),
        _workload("drafts, load 0.9, noisy, 15 s", 0.9, 400, 400, speculation=_DRAFTS, seats=64, busy_noise=_NOISY,
                  poll_interval_s=_SLOW_S),
        _workload("drafts and cached 0.4, load 0.5", 0.5, 2000, 250, speculation=_DRAFTS, cached_share=0.4, seats=64),
    ]  # fmt: skip


def _others() -> list[Workload]:
    """Traffic that swings or comes in bursts, preempts, aborts; a large model; the roofline's law of costs."""
    return [
        _workload("swinging 0.6, load 0.5", 0.5, 800, 500, swing=0.6, seats=128),
        _workload("swinging 0.6, load 0.6, noisy", 0.6, 2500, 200, swing=0.6, seats=128, busy_noise=_NOISY),
        _workload("bursts, load 0.5", 0.5, 1000, 300, gap_variation=3.0, seats=128),
        _workload("aborts, load 0.6", 0.6, 600, 600, abort_share=0.2, seats=64),
        _workload("70B on four, load 0.4", 0.4, 1500, 300, model=LLAMA_70B, tensor_parallel=4, seats=128),
        _workload("70B on four, load 0.8, 15 s", 0.8, 4000, 150, model=LLAMA_70B, tensor_parallel=4, seats=128,
                  poll_interval_s=_SLOW_S),
        _workload("roofline, load 0.3", 0.3, 600, 400, law=Law.ROOFLINE, seats=64),
        _workload("roofline, load 0.8", 0.8, 600, 400, law=Law.ROOFLINE, seats=256),
        _workload("roofline, prompts of 4000, load 0.6", 0.6, 4000, 150, law=Law.ROOFLINE, seats=128),
    ]  # fmt: skip


def vllm_workloads(seed: int) -> tuple[Workload, ...]:
    """The workloads in vLLM's dialect, each with its own seed made of `seed` and its place in the list."""
    found = (*_chat(), *_batches(), *_prompts(), *_caches_and_drafts(), *_others())
    return _seeded(found, seed)


def _dialect(dialect: str, slots: int = 64, **more: object) -> list[Workload]:
    """Decode-heavy, mixed and prefill-heavy loads for one engine; `slots` is how many sequences it takes at once."""
    return [
        _workload("chat, load 0.3", 0.3, 300, 500, dialect=dialect, seats=slots, **more),
        _workload("chat, load 0.8", 0.8, 300, 500, dialect=dialect, seats=slots, **more),
        _workload("mixed, load 0.6", 0.6, 1500, 300, dialect=dialect, seats=slots, **more),
        _workload("prefill-heavy, load 0.5", 0.5, 5000, 100, dialect=dialect, seats=slots, **more),
        _workload("mixed, load 1.1", 1.1, 1000, 200, dialect=dialect, seats=slots, **more),
    ]


def _other_dialects() -> list[Workload]:
    cached = _workload("cached 0.5, load 0.6", 0.6, 2000, 200, cached_share=0.5, seats=64)
    drafts = _workload("drafts, load 0.6", 0.6, 400, 400, speculation=_DRAFTS, seats=64)
    large = _workload("70B on four, load 0.5", 0.5, 1500, 300, model=LLAMA_70B, tensor_parallel=4, seats=64)
    lone = replace(_workload("one slot, load 0.7", 0.7, 500, 200), seats=1, chunk_tokens=2048)
    found = [
        *(one for dialect in ("sglang", "sglang-no-timer", "tgi", "trtllm") for one in _dialect(dialect)),
        *_dialect("llamacpp", 8, chunk_tokens=2048),
    ]
    found += [replace(cached, dialect=dialect) for dialect in ("sglang", "sglang-no-timer", "trtllm", "llamacpp")]
    found += [replace(drafts, dialect=dialect) for dialect in ("sglang", "tgi")]
    found += [replace(large, dialect=dialect) for dialect in ("sglang", "sglang-no-timer", "trtllm")]
    found.append(replace(lone, dialect="llamacpp"))
    without = _workload("mixed, load 0.6, records not read", 0.6, 1500, 300, seats=64, exclusive=False)
    found.append(replace(without, dialect="trtllm"))
    return sorted(found, key=lambda one: list(DIALECTS).index(one.dialect))


def workloads(seed: int) -> tuple[Workload, ...]:
    """All workloads of all dialects, vLLM's first."""
    return (*vllm_workloads(seed), *_seeded(_other_dialects(), seed + 1_000_000))


def _seeded(found: Sequence[Workload], seed: int) -> tuple[Workload, ...]:
    """Each with a seed of its own, and with kernels as good as that seed draws them: a prior must not know them.

    Arithmetic of every other one hides behind its reads, as on an H200 (tests/captures/h200-steps).
    """
    seeded = []
    for number, one in enumerate(found):
        kernels = draw(np.random.default_rng([seed, number]), one.model.layers, DIALECTS[one.dialect].engine)
        law = Law.ROOFLINE if number % 2 else one.law
        seeded.append(replace(one, seed=1000 * seed + number, law=law, **asdict(kernels)))
    return tuple(seeded)
