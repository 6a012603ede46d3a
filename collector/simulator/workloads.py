"""One simulated workload as plain figures: what is served on what, and how hard it is driven; and how to build it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from collector.simulator.costs import Law, StepCosts
from collector.simulator.dialects import DIALECTS, VLLM
from collector.simulator.gpus import GpuModel, SimulatedGpus
from collector.simulator.scenarios import (
    BANDWIDTH_EFFICIENCY,
    FLOPS_EFFICIENCY,
    H100,
    LAUNCH_S,
    LLAMA_8B,
    MEMORY_UTILIZATION,
    PER_SEQUENCE_S,
    ModelShape,
    ReplicaSpec,
    SimulatedReplica,
    facts,
    kv_capacity_tokens,
    step_costs,
)
from collector.simulator.scheduler import SchedulerSettings
from collector.simulator.server import SimulatedServer
from collector.simulator.speculation import Speculation
from collector.simulator.traffic import Lengths, Traffic

STARTED_UNIX_S = 1.7e9


@dataclass(frozen=True, slots=True)
class Workload:
    """A server under one kind of load, watched for `span_s` after `warm_up_s`, polled every `poll_interval_s`.

    `load` is the offered rate over `capacity_per_s`; above 1 the queue grows. `chunk_tokens` is the token budget of a
    step, `seats` the most sequences in it. `cached_share` of each prompt is in the prefix cache, None switches that
    off. `busy_noise` is the standard deviation of a normal factor on each reading of the GPU's duty cycle, which
    covers the whole poll interval. The rate swings by `swing` around its mean, once per `swing_period_s`.
    """

    name: str
    load: float
    prompt: Lengths
    output: Lengths
    seed: int
    dialect: str = VLLM
    model: ModelShape = LLAMA_8B
    gpu: GpuModel = H100
    tensor_parallel: int = 1
    seats: int = 256
    chunk_tokens: int = 8192
    cached_share: float | None = None
    speculation: Speculation | None = None
    law: Law = Law.ADDITIVE
    bandwidth_efficiency: float = BANDWIDTH_EFFICIENCY
    """What kernels reach of the GPU's rates, and host time per step and sequence: nobody tells an estimator."""
    flops_efficiency: float = FLOPS_EFFICIENCY
    launch_s: float = LAUNCH_S
    per_sequence_s: float = PER_SEQUENCE_S
    exclusive: bool = True
    """Whether records that are given out once may be read."""
    swing: float = 0.0
    swing_period_s: float = 1200.0
    gap_variation: float = 1.0
    abort_share: float = 0.0
    requests: int | None = None
    """How many there are, after which the server comes to rest; None = without end."""
    poll_interval_s: float = 5.0
    busy_noise: float = 0.02
    warm_up_s: float = 300.0
    span_s: float = 3600.0

    @property
    def max_model_len(self) -> int:
        """Tokens of the longest request."""
        return self.prompt.maximum + self.output.maximum

    @property
    def settings(self) -> SchedulerSettings:
        """The server's limits."""
        return SchedulerSettings(
            kv_capacity_tokens=kv_capacity_tokens(self.model, self.gpu, self.tensor_parallel),
            max_num_seqs=self.seats,
            max_num_batched_tokens=self.chunk_tokens,
            max_model_len=self.max_model_len,
            prefix_caching=self.cached_share is not None,
            speculation=self.speculation,
            mixed_steps=DIALECTS[self.dialect].mixed_steps,
        )

    @property
    def costs(self) -> StepCosts:
        """What the server's steps cost: a truth that no estimator may see."""
        usual = step_costs(self.model, self.gpu, self.tensor_parallel, self.law)
        return replace(
            usual,
            bandwidth_efficiency=self.bandwidth_efficiency,
            flops_efficiency=self.flops_efficiency,
            overhead_s=usual.overhead_s - LAUNCH_S + self.launch_s,
            per_sequence_s=self.per_sequence_s,
        )

    @property
    def capacity_per_s(self) -> float:
        """About the most requests a second that full seats serve: a decode step's share and its own prefill for each.

        Where a step's arithmetic hides behind bytes moved (the roofline law) it can be more.
        """
        drafts = 0 if self.speculation is None else self.speculation.draft_tokens
        costs = replace(self.costs, decode_tokens_per_sequence=1 + drafts)
        context = self.prompt.mean + self.output.mean / 2
        seats = max(1, min(self.seats, int(self.settings.kv_capacity_tokens / (self.prompt.mean + self.output.mean))))
        computed = self.prompt.mean * (1 - (self.cached_share or 0.0))
        pairs = computed * (self.prompt.mean - computed / 2)
        # The prompt's own arithmetic, and the steps that its last chunk has to itself when nobody else decodes.
        prefill_s = computed * costs.token_compute_s + pairs * costs.pair_compute_s
        steps_s = self.output.mean / self._tokens_per_step * costs.step_s(seats, round(seats * context)) / seats
        if self.speculation is not None:
            steps_s += self.output.mean / self._tokens_per_step * self.speculation.draft_step_s / seats
        if seats == 1 or not self.settings.mixed_steps:
            chunks = -(-computed // self.chunk_tokens)
            prefill_s += chunks * (costs.weight_read_s + costs.overhead_s)
        return 1 / (prefill_s + steps_s)

    @property
    def _tokens_per_step(self) -> float:
        """Expected tokens of one sequence's decode step: 1 + a + a² ... for drafts accepted with probability a."""
        if self.speculation is None:
            return 1.0
        return sum(self.speculation.acceptance**position for position in range(self.speculation.draft_tokens + 1))

    @property
    def traffic(self) -> Traffic:
        """The requests."""
        return Traffic(
            rate_per_s=self.load * self.capacity_per_s,
            prompt=self.prompt,
            output=self.output,
            swing=self.swing,
            swing_period_s=self.swing_period_s,
            gap_variation=self.gap_variation,
            cached_share=self.cached_share or 0.0,
            abort_share=self.abort_share,
        )

    def build(self) -> SimulatedReplica:
        """The server at virtual time 0 with everything that is read from it; the same workload gives the same one."""
        arrivals, drafts, noise = np.random.SeedSequence(self.seed).spawn(3)
        spec = ReplicaSpec(
            "simulated", self.name, self.model, self.gpu, self.tensor_parallel, 0, 0, self.settings, self.traffic,
            self.law, self.dialect,
        )  # fmt: skip
        coming = islice(spec.traffic.arrivals(np.random.default_rng(arrivals)), self.requests)
        server = SimulatedServer(self.costs, spec.settings, coming, np.random.default_rng(drafts))
        site = DIALECTS[self.dialect].site(server, facts(self.model, self.gpu, STARTED_UNIX_S))
        gpus = SimulatedGpus(
            server,
            self.gpu,
            0,
            started_unix_s=STARTED_UNIX_S,
            memory_utilization=MEMORY_UTILIZATION,
            sample_period_s=self.poll_interval_s,
            noise=self.busy_noise,
            rng=np.random.default_rng(noise),
        )
        return SimulatedReplica(spec, STARTED_UNIX_S, server, site, gpus)
