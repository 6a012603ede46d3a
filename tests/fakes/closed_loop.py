"""The closed loop on llama.cpp: from what a server in F16 told of itself, what it would do in Q8_0 and in Q4_0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analyzer.facts.cpu_kernels import CpuKernels
from analyzer.facts.model_shape import ModelShape
from analyzer.predict import Coefficients, Machine, Prediction, Setting, Step, predict, unquantized

BYTES_RATIO = {"Q8_0": 16 / 8.5, "Q4_0": 16 / 4.5}
"""What the rule that counts bits alone makes faster by so much."""
CLEAR_CHANGE = 0.10


@dataclass(frozen=True)
class Told:
    """What a server's counters rose by over one load, and the seconds that it took."""

    wall_s: float
    prompt_tokens: float
    prompt_s: float
    output_tokens: float
    steps: float
    sequence_steps: float

    @property
    def output_per_s(self) -> float:
        """Generated tokens per second."""
        return self.output_tokens / self.wall_s


def machine(parameters: float, cpu: CpuKernels) -> Machine:
    """Only the number of parameters is known; every type of GGUF quantizes all of them, so the rest has no say."""
    shape = ModelShape("s320m", int(parameters), 16, 1024, 16, 16, 64, 4096, 32000, False, ("capture",), ())
    return Machine(shape, gpu=None, llama_cpp=True, cpu=cpu)


def coefficients(load: Told, loads: Mapping[str, Told]) -> Coefficients:
    """From counters: the prompt rate, the lone sequence's step less its arithmetic, and the rest as overhead."""
    prompts = loads["prefill-c4"]
    token_s = prompts.prompt_s / prompts.prompt_tokens
    alone = loads["decode-c1"]
    read_s = (alone.wall_s - alone.prompt_s) / alone.steps - token_s
    tokens = (load.sequence_steps + load.prompt_tokens) / load.steps
    rest_s = load.wall_s / load.steps - read_s - token_s * tokens
    return Coefficients(read_s, max(0.0, rest_s), token_s, 0.0, 0.0, token_s, rounding=1.0)


def predicted(scheme: str, name: str, loads: Mapping[str, Told], parameters: float, cpu: CpuKernels) -> Prediction:
    """For that load, from those that the server in F16 was under."""
    load = loads[name]
    step = Step(1.0, load.sequence_steps / load.steps, 100.0, load.prompt_tokens / load.steps)
    setting = Setting(machine(parameters, cpu), "llamacpp", unquantized(), (step,))
    answer = predict(setting, scheme, coefficients(load, loads))
    assert isinstance(answer, Prediction)
    return answer


def right_direction(told: float, change: float) -> bool:
    """Whether a predicted ratio of rates points where a measured one went, if that went anywhere clearly."""
    return abs(change - 1) <= CLEAR_CHANGE or (told > 1) == (change > 1)
