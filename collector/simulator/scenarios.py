"""Named fleets for `demo` and tests: models, GPUs, limits and traffic as plain numbers, and how to build them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from collector.simulator.costs import Law, StepCosts
from collector.simulator.dialects import DIALECTS, VLLM
from collector.simulator.gpus import GpuModel, SimulatedGpus
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.site import Facts, Page, Site
from collector.simulator.traffic import DAY_S, Lengths, Traffic


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A dense transformer with grouped-query attention, untied embeddings, weights and KV cache in 2 bytes."""

    name: str
    parameters: float
    layers: int
    hidden: int
    kv_heads: int
    head_size: int
    vocabulary: int

    @property
    def weight_bytes(self) -> float:
        """Bytes of all weights in BF16."""
        return 2 * self.parameters

    @property
    def multiplied_parameters(self) -> float:
        """Parameters that every token is multiplied with: all but the embedding table, which is looked up."""
        return self.parameters - self.vocabulary * self.hidden

    @property
    def kv_bytes_per_token(self) -> float:
        """Keys and values of one token over all layers, in 2 bytes each."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_size


# Shapes: the models' published config.json and parameter counts (Llama 3.1 model card).
LLAMA_8B = ModelShape("meta-llama/Llama-3.1-8B-Instruct", 8.03e9, 32, 4096, 8, 128, 128_256)
LLAMA_70B = ModelShape("meta-llama/Llama-3.1-70B-Instruct", 70.55e9, 80, 8192, 8, 128, 128_256)
# Rates, memory, TDP: NVIDIA H100 data sheet (SXM: 3.35 TB/s, 989 TFLOPS BF16 dense, 80 GB, 700 W). Idle power assumed.
H100 = GpuModel("Simulated NVIDIA H100 80GB HBM3", 3.35e12, 989e12, 80 * 2**30, 700.0, 70.0, 1.98e9, 2.619e9)
# Assumptions: what whole steps reach of the peaks, and host time per step. Bare BF16 matrix products reach 80 % of an
# H100's peak (MAMF tables of stas00/ml-engineering).
BANDWIDTH_EFFICIENCY = 0.8
FLOPS_EFFICIENCY = 0.6
LAUNCH_S = 0.5e-3
ALL_REDUCE_S = 8e-6
PER_SEQUENCE_S = 10e-6
MEMORY_UTILIZATION = 0.92
ACTIVATION_BYTES = 4 * 2**30


def step_costs(model: ModelShape, gpu: GpuModel, tensor_parallel: int, law: Law = Law.ADDITIVE) -> StepCosts:
    """A model's step costs on `tensor_parallel` GPUs; two all-reduces per layer where there are several."""
    return StepCosts(
        weight_bytes=2 * model.multiplied_parameters,
        kv_bytes_per_token=model.kv_bytes_per_token,
        active_parameters=model.multiplied_parameters,
        layers=model.layers,
        hidden=model.hidden,
        bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s,
        flops_per_s=gpu.flops_per_s,
        bandwidth_efficiency=BANDWIDTH_EFFICIENCY,
        flops_efficiency=FLOPS_EFFICIENCY,
        overhead_s=LAUNCH_S + (2 * model.layers * ALL_REDUCE_S if tensor_parallel > 1 else 0.0),
        per_sequence_s=PER_SEQUENCE_S,
        tensor_parallel=tensor_parallel,
        law=law,
    )


def facts(model: ModelShape, gpu: GpuModel, started_unix_s: float) -> Facts:
    """What a server with this model on this GPU knows of itself."""
    return Facts(model.name, started_unix_s, model.parameters, model.weight_bytes, gpu.name, MEMORY_UTILIZATION)


def kv_capacity_tokens(model: ModelShape, gpu: GpuModel, tensor_parallel: int) -> int:
    """Tokens of KV cache that fit beside weights and activations."""
    free = tensor_parallel * (MEMORY_UTILIZATION * gpu.memory_bytes - ACTIVATION_BYTES) - model.weight_bytes
    return int(free / model.kv_bytes_per_token)


@dataclass(frozen=True, slots=True)
class ReplicaSpec:
    """One simulated server of a fleet; `port_offset` is added to the fleet's first port."""

    deployment: str
    name: str
    model: ModelShape
    gpu: GpuModel
    tensor_parallel: int
    first_gpu: int
    port_offset: int
    settings: SchedulerSettings
    traffic: Traffic
    law: Law = Law.ADDITIVE
    dialect: str = VLLM
    """A name of `dialects.DIALECTS`: the engine as which it answers."""


@dataclass(frozen=True, slots=True)
class SimulatedReplica:
    """A server with everything that is read from it."""

    spec: ReplicaSpec
    started_unix_s: float
    server: SimulatedServer
    site: Site
    gpus: SimulatedGpus

    @property
    def page(self) -> Page:
        """Its metrics page."""
        return self.site.page


def _replica(
    deployment: str, number: int, model: ModelShape, tensor_parallel: int, first_gpu: int, port_offset: int,
    traffic: Traffic, dialect: str,
) -> ReplicaSpec:  # fmt: skip
    settings = SchedulerSettings(
        kv_capacity_tokens=kv_capacity_tokens(model, H100, tensor_parallel),
        max_model_len=16_384,
        mixed_steps=DIALECTS[dialect].mixed_steps,
    )
    return ReplicaSpec(
        deployment, f"{deployment}-{number}", model, H100, tensor_parallel, first_gpu, port_offset, settings, traffic,
        dialect=dialect,
    )  # fmt: skip


CHAT = Traffic(
    rate_per_s=1.6,
    prompt=Lengths(mean=800, sigma=0.9, minimum=16, maximum=8000),
    output=Lengths(mean=900, sigma=0.7, minimum=8, maximum=6000),
    swing=0.6,
    cached_share=0.3,
    abort_share=0.02,
)
"""Long answers to short questions: decode-heavy, a decode batch of about a dozen."""
SUMMARISE = Traffic(
    rate_per_s=1.0,
    prompt=Lengths(mean=6000, sigma=0.4, minimum=500, maximum=15_000),
    output=Lengths(mean=60, sigma=0.5, minimum=5, maximum=400),
    swing=0.5,
)
"""Short answers to long texts: prefill-heavy."""


def demo_fleet(dialect: str = VLLM) -> tuple[ReplicaSpec, ...]:
    """`chat`: two replicas of an 8B model on one H100 each; `summarise`: one of a 70B model on four."""
    return (
        _replica("chat", 0, LLAMA_8B, 1, 0, 0, CHAT, dialect),
        _replica("chat", 1, LLAMA_8B, 1, 1, 1, CHAT, dialect),
        _replica("summarise", 0, LLAMA_70B, 4, 2, 2, SUMMARISE, dialect),
    )


FLEETS = {"demo": demo_fleet}


def build(
    fleet: Sequence[ReplicaSpec], seed: int, started_unix_s: float, gpu_noise: float = 0.02
) -> tuple[SimulatedReplica, ...]:
    """Servers at virtual time 0, which is `started_unix_s` by the wall clock; the daily peak is at 15:00 UTC.

    The same fleet, seed and start give the same servers.
    """
    replicas = []
    for spec, child in zip(fleet, np.random.SeedSequence(seed).spawn(len(fleet)), strict=True):
        arrivals_seed, drafts_seed, noise_seed = child.spawn(3)
        traffic = replace(spec.traffic, swing_start_s=9 * 3600 - started_unix_s % DAY_S)
        server = SimulatedServer(
            step_costs(spec.model, spec.gpu, spec.tensor_parallel, spec.law),
            spec.settings,
            traffic.arrivals(np.random.default_rng(arrivals_seed)),
            np.random.default_rng(drafts_seed),
        )
        site = DIALECTS[spec.dialect].site(server, facts(spec.model, spec.gpu, started_unix_s))
        gpus = SimulatedGpus(
            server,
            spec.gpu,
            spec.first_gpu,
            started_unix_s=started_unix_s,
            memory_utilization=MEMORY_UTILIZATION,
            noise=gpu_noise,
            rng=np.random.default_rng(noise_seed),
        )
        replicas.append(SimulatedReplica(spec, started_unix_s, server, site, gpus))
    return tuple(replicas)
