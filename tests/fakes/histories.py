"""Totals, identities and deployments for tests of the analysis, each with only what the test states."""

from __future__ import annotations

from analyzer.assumptions import Costs, Deployment, Price
from analyzer.replicas import ReplicaHistory
from analyzer.samples import Identity, ReplicaKey, ReplicaSample
from analyzer.windows import COUNTERS, GAUGES, Totals

KEY = ReplicaKey("http://127.0.0.1:8000/metrics", "meta-llama/Llama-3.1-8B-Instruct")
VLLM = Identity("vllm", model_path="meta-llama/Llama-3.1-8B-Instruct", mixed_steps=True)
LLAMACPP = Identity("llamacpp", slots=1, mixed_steps=False)
PRICE = Price(2.0, "contract", as_of_s=1_000_000_000)
CHAT = Deployment(
    "chat",
    gpu="H100 SXM 80GB",
    gpus_per_replica=1,
    weight_bits=16,
    price=PRICE,
    costs=Costs(engineering_hours=100, engineering_usd_per_hour=100),
    schemes=("fp8-w8a8", "w4a16"),
)
DAY_S = 86_400.0


def totals(
    covered_s: float = 100.0,
    *,
    span_s: float | None = None,
    active_s: float | None = None,
    integrals: dict[str, float] | None = None,
    key: ReplicaKey = KEY,
    **deltas: float,
) -> Totals:
    """Totals of one epoch; counters and gauges that are not stated were not reported."""
    return Totals(
        replica=key,
        epoch=1,
        start_s=0.0,
        end_s=covered_s if span_s is None else span_s,
        covered_s=covered_s,
        windows=10,
        deltas={**dict.fromkeys(COUNTERS), **deltas},
        integrals={**dict.fromkeys(GAUGES), **(integrals or {})},
        active_s=active_s,
    )


def decode_heavy(covered_s: float = DAY_S, *, span_s: float | None = None) -> Totals:
    """Llama 3.1 8B on an H100, 100 steps a second at batch 8, prompts of 200 and answers of 400 tokens."""
    steps = 100 * covered_s
    requests = steps * 8 / 400
    return totals(
        covered_s,
        span_s=span_s,
        active_s=covered_s,
        steps_total=steps,
        decode_sequence_steps_total=8 * steps,
        inter_token_s_total=8 * steps * 0.0095,
        prefills_total=requests,
        prompt_tokens_total=200 * requests,
        prefill_tokens_total=200 * requests,
        generation_tokens_total=8 * steps + requests,
        requests_finished_total=requests,
        finished_prompt_tokens_total=200 * requests,
        finished_generation_tokens_total=401 * requests,
    )


def replica(
    history: Totals | None,
    *,
    number: int = 0,
    deployment: str = "chat",
    identity: Identity = VLLM,
    last_s: float | None = DAY_S,
    busy: float | None = 0.9,
) -> ReplicaHistory:
    """A replica of a deployment whose live span shows what its history shows."""
    key = ReplicaKey(f"http://127.0.0.1:{8000 + number}/metrics", KEY.model)
    last = None if last_s is None else ReplicaSample(key, 1, last_s, 15.0)
    return ReplicaHistory(
        replica=key,
        job="vllm",
        deployment=deployment,
        identity=identity,
        simulated=False,
        last=last,
        recent=history,
        history=history,
        gpu_utilization_recent=busy,
        gpu_utilization_history=busy,
    )
