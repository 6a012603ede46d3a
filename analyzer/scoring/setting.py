"""A published row -> the steps it timed, before and after, and the predicted speed-up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import sqrt

from analyzer.evidence import Evidence, Missing
from analyzer.facts.gpu_type import Gpu
from analyzer.facts.gpus import find_gpu, gpu_candidates
from analyzer.predict.calibrate import Modelled, speedup
from analyzer.predict.capacity import sequences_at_once
from analyzer.predict.constants import Constants
from analyzer.predict.formats import Format
from analyzer.predict.interval import Regime
from analyzer.predict.stand_in import shape_of
from analyzer.predict.stepcost import Machine, Step, seconds
from analyzer.predict.transform import Coefficients, factors, transform
from analyzer.scoring.rows import Row
from analyzer.scoring.schemes import after, before

CHUNK_TOKENS = 2048.0
"""Prompt tokens of a step where many prompts wait; the usual limit."""
USUAL_TOKENS = 256.0
"""Input and output length where the row states none."""
MOST_SEQUENCES = 1024.0
_HALVINGS = 30
_REMARK = re.compile(r"\s*\([^)]*\)\s*$")
"""What a source says about a GPU's name, such as that the page does not state it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that can be predicted: machine, formats, and the work that its figure timed."""

    row: Row
    machine: Machine
    before: Format
    after: Format
    inputs: float
    outputs: float
    own_shape: bool
    assumed: bool
    """Whether a length, a load or which form of the GPU it was had to be assumed."""

    @property
    def first_token(self) -> bool:
        """Whether the figure is a time to first token."""
        return self.row.phase == "prefill" or "ttft" in self.row.metric

    @property
    def host_bound(self) -> bool:
        """HF Transformers, with bitsandbytes or AutoGPTQ: Python sets the pace, and quantizing adds launches."""
        return self.row.engine == "transformers"

    @property
    def regime(self) -> Regime:
        """What the figure is about."""
        if self.first_token:
            return Regime.PREFILL
        return Regime.MIXED if self.row.phase == "mixed" else Regime.DECODE

    @property
    def evidence(self) -> Evidence:
        """Of a calibrated prediction."""
        return Evidence.FITTED if self.own_shape and not self.assumed else Evidence.ASSUMED


@dataclass(frozen=True, slots=True)
class Work:
    """Steps before and after; they differ where memory limits the batch. `measured_s` as the row told it."""

    before: tuple[Step, ...]
    after: tuple[Step, ...]
    host_steps: float
    host_s: float
    steps_ratio: float
    measured_s: float | None


def understand(row: Row) -> Asked | Missing:
    """What the row asks, or why it cannot be predicted."""
    gpu, own_gpu = _gpu(row.gpu)
    llama_cpp = row.engine == "llamacpp"
    if not llama_cpp and gpu is None:
        return Missing("the GPU is not in the fact table")
    if not llama_cpp and gpu is not None and gpu.bandwidth_bytes_per_s is None:
        return Missing("the GPU's memory bandwidth is not known")
    base = before(row, gpu)
    if isinstance(base, Missing):
        return base
    then = after(row, gpu, base)
    if isinstance(then, Missing):
        return then
    try:
        shape, own = shape_of(row.model, row.parameters, row.active)
    except ValueError as error:
        return Missing(str(error))
    lengths = (row.input_tokens, row.output_tokens)
    inputs, outputs = (USUAL_TOKENS if length is None else length for length in lengths)
    return Asked(
        row=row,
        machine=Machine(shape, gpu, 1 if llama_cpp else row.tensor_parallel, llama_cpp),
        before=base,
        after=then,
        inputs=inputs,
        outputs=outputs,
        own_shape=own,
        assumed=not own_gpu or (None in lengths and row.load != 1),
    )


def _gpu(name: str) -> tuple[Gpu | None, bool]:
    """The GPU and whether it is surely that: of a name that leaves several forms open, the first of the table."""
    bare = _REMARK.sub("", name)
    found = find_gpu(bare)
    if found is not None:
        return found, True
    return next(iter(gpu_candidates(bare)), None), False


def answer(asked: Asked, constants: Constants, *, calibrated: bool) -> float | Missing:
    """The predicted speed-up. Uncalibrated predictions do not look at the baseline figure."""
    if calibrated and (asked.row.baseline is None or asked.row.baseline <= 0):
        return Missing("the row has no baseline figure")
    if asked.machine.llama_cpp:
        return _llama_cpp(asked, constants, calibrated=calibrated)
    share = constants.scaling_share_first_token if asked.first_token else constants.scaling_share
    work = _work(asked, constants, calibrated=calibrated)
    modelled = Modelled(
        before_s=seconds(asked.machine, asked.before, work.before, constants),
        after_s=seconds(asked.machine, asked.after, work.after, constants),
        host_s=work.host_steps * asked.machine.shape.layers * constants.layer_s + work.host_s,
        steps_ratio=work.steps_ratio,
    )
    return speedup(modelled, work.measured_s if calibrated else None, share)


def _llama_cpp(asked: Asked, constants: Constants, *, calibrated: bool) -> float | Missing:
    """One sequence: what a step takes is bandwidth, whatever share of it this machine reaches, and launches."""
    machine = asked.machine
    step = Step(1.0, 1.0, asked.inputs + asked.outputs / 2)
    if asked.first_token:
        step = Step(1.0, 0.0, 0.0, max(1.0, asked.inputs), asked.inputs)
        change = factors(machine, asked.before, asked.after, step, constants)
        return 1 / change.prefill_token
    if asked.row.load != 1:
        return Missing("llama.cpp rows are understood at one request only")
    read = machine.shape.step_weight_bytes(asked.before.weight_bits, 1.0)
    kv = machine.shape.kv_read_bytes(step.context_tokens, asked.before.kv_element_bytes)
    taken = None if asked.row.baseline is None else 1 / asked.row.baseline
    if not calibrated:
        gpu = machine.gpu
        if gpu is None or gpu.bandwidth_bytes_per_s is None:
            return Missing("the GPU is not in the fact table, and without its baseline nothing tells its bandwidth")
        taken = (read + kv) / (gpu.bandwidth_bytes_per_s * constants.bandwidth)
    assert taken is not None
    host = 0.0 if calibrated else machine.shape.layers * constants.layer_s / 3
    weights = taken * read / (read + kv)
    now = Coefficients(weights, host, 0.0, 0.0, (taken - weights) / step.context_tokens, 0.0)
    then = transform(now, factors(machine, asked.before, asked.after, step, constants))
    return now.step_s(step) / then.step_s(step)


def _work(asked: Asked, constants: Constants, *, calibrated: bool) -> Work:
    row, inputs, outputs = asked.row, asked.inputs, asked.outputs
    baseline = row.baseline
    load = _load(asked, constants, calibrated=calibrated)
    prompt = Step(1.0, 0.0, 0.0, inputs, inputs)
    if asked.first_token:
        told = None if baseline is None else _seconds(baseline, row.unit, inputs)
        return Work((prompt,), (prompt,), 1.0, constants.request_s, 1.0, told)
    if "offline" in row.load_type:
        return _offline(asked, load)
    decode = Step(1.0, load, inputs + outputs / 2)
    if "e2e" in row.metric:
        steps = (prompt, Step(outputs, load, decode.context_tokens)) if inputs > 1 else (Step(outputs, load, 1.0),)
        told = None if baseline is None else load * outputs / baseline
        return Work(steps, steps, outputs, 0.0, 1.0, told)
    steps = (decode,)
    if load > 1 and inputs > 1 and outputs > 1:
        steps = (decode, Step(load / outputs, 0.0, 0.0, inputs, inputs))
    told = None if baseline is None else _step_seconds(baseline, row, load)
    return Work(steps, steps, 1.0, 0.0, 1.0, told)


def _offline(asked: Asked, load: float) -> Work:
    """All requests at once: as many run together as fit into memory, before and after."""
    sides: list[tuple[Step, ...]] = []
    length = asked.inputs + asked.outputs
    for form in (asked.before, asked.after):
        batch = sequences_at_once(asked.machine, form, length, load)
        prompts = Step(load * asked.inputs / CHUNK_TOKENS, 0.0, 0.0, CHUNK_TOKENS, asked.inputs)
        decode = Step(load * asked.outputs / batch, batch, asked.inputs + asked.outputs / 2)
        sides.append((prompts, decode))
    steps = sides[0][1].count
    told = None if asked.row.baseline is None else load * asked.outputs / asked.row.baseline
    return Work(sides[0], sides[1], steps, 0.0, sides[1][1].count / steps, told)


def _seconds(baseline: float, unit: str, tokens: float) -> float:
    if unit == "ms":
        return baseline / 1e3
    return baseline if unit == "s" else max(1.0, tokens) / baseline


def _step_seconds(baseline: float, row: Row, load: float) -> float:
    if row.unit in ("ms", "s"):
        return baseline / (1e3 if row.unit == "ms" else 1.0)
    return load / baseline if "throughput" in row.metric else 1 / baseline


def _load(asked: Asked, constants: Constants, *, calibrated: bool) -> float:
    """Sequences at once; where the row only says "max", the batch at which the modelled rate is the measured one."""
    row = asked.row
    if row.load is not None and row.load > 0:
        return row.load
    if not calibrated or row.unit != "tok/s" or row.baseline is None:
        return USUAL_TOKENS
    low, high = 1.0, MOST_SEQUENCES
    prompt = Step(1.0, 0.0, 0.0, asked.inputs, asked.inputs)
    host = asked.machine.shape.layers * constants.layer_s
    for _ in range(_HALVINGS):
        batch = sqrt(low * high)
        decode = Step(1.0, batch, asked.inputs + asked.outputs / 2)
        taken = seconds(asked.machine, asked.before, (decode,), constants) + host
        if asked.outputs > 0:
            taken += batch / asked.outputs * seconds(asked.machine, asked.before, (prompt,), constants)
        low, high = (batch, high) if batch / taken < row.baseline else (low, batch)
    return low
