"""Rules that the predictor must beat on the same rows: always 1.0, the article's, Amdahl's law, a plain roofline."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.article import high_roi_scenarios, low_roi_scenarios
from analyzer.predict.formats import Format
from analyzer.predict.stepcost import Step, weight_bytes
from analyzer.scoring.setting import Asked
from analyzer.speedup import amdahl_speedup, article_speedup

ARTICLE_SPEEDUP = 1.5
"""Of the memory-bound part: the article's worked example."""
LARGE_BATCH = 16
"""The article's bound: above it decode is not called memory-bound."""
RULES = ("always_1", "article", "amdahl", "roofline")
_PREFILL_TOKENS = 2048.0


def by_rules(asked: Asked) -> Mapping[str, float | None]:
    """What each rule says of the row; None where it cannot say (the roofline without GPU facts)."""
    share = memory_bound_share(asked)
    return {
        "always_1": 1.0,
        "article": article_speedup(share, ARTICLE_SPEEDUP),
        "amdahl": amdahl_speedup(share, ARTICLE_SPEEDUP),
        "roofline": _roofline(asked),
    }


def memory_bound_share(asked: Asked) -> float:
    """The fraction of the article's scenario that the row is nearest to."""
    high, low = high_roi_scenarios(), low_roi_scenarios()
    load = asked.row.load
    if asked.first_token:
        return float(low["prefill_heavy"]["memory_bound_fraction"])
    if load is None or load > LARGE_BATCH:
        return float(low["large_batch"]["memory_bound_fraction"])
    if load == 1:
        return float(high["low_batch_size"]["memory_bound_fraction"])
    return float(high["decode_heavy"]["memory_bound_fraction"])


def _roofline(asked: Asked) -> float | None:
    """Peak bandwidth and peak arithmetic, whichever takes longer, over the row's steps; nothing else takes time."""
    gpu = asked.machine.gpu
    if gpu is None or gpu.bandwidth_bytes_per_s is None:
        return None
    load = asked.row.load
    batch = 1.0 if load is None else load
    inputs, outputs = max(1.0, asked.inputs), max(1.0, asked.outputs)
    prompt = Step(1.0, 0.0, 0.0, inputs, inputs)
    decode = Step(1.0, batch, inputs + outputs / 2)
    if asked.first_token:
        steps = [(1.0, prompt)]
    elif asked.row.phase == "mixed":
        steps = [(batch, prompt), (outputs, decode)]
    else:
        steps = [(1.0, decode)]
    before = sum(count * _peak_s(asked, asked.before, step) for count, step in steps)
    after = sum(count * _peak_s(asked, asked.after, step) for count, step in steps)
    return before / after


def _peak_s(asked: Asked, form: Format, step: Step) -> float:
    gpu, shape = asked.machine.gpu, asked.machine.shape
    assert gpu is not None
    assert gpu.bandwidth_bytes_per_s is not None
    linear, head = weight_bytes(shape, form, step.tokens)
    moved = linear + head + step.batch * shape.kv_read_bytes(step.context_tokens, form.kv_element_bytes)
    rates = {"fp8": gpu.fp8_flops_per_s, "int8": gpu.int8_ops_per_s, "fp4": gpu.fp4_flops_per_s}
    rate = rates.get(form.compute)
    peak = gpu.bf16_flops_per_s if rate is None else rate
    return max(moved / gpu.bandwidth_bytes_per_s, 2 * shape.active_parameters * step.tokens / peak)
