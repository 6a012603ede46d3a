"""One replica's decision span and step model -> what each scheme would do to its steps, batch and context held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from analyzer.evidence import Estimate, Evidence, Figure, Missing, worst
from analyzer.facts.schemes import SCHEMES, is_quantized, scheme_of
from analyzer.hardware import Hardware
from analyzer.predict import Baseline, Coefficients, Format, Machine, Prediction, Setting, Step, format_of, predict
from analyzer.predict.formats import unquantized
from analyzer.samples import Identity
from analyzer.steptime.blocks import Blocks, blocks
from analyzer.steptime.fit import CHUNK_TOKENS, StepModel
from analyzer.steptime.laws import Law, classify
from analyzer.steptime.lengths import NO_LENGTHS
from analyzer.steptime.parts import Part, merged
from analyzer.steptime.prior import COEFFICIENTS

LOADS = 6
"""A span is predicted at so many loads: kernels' efficiency depends on the tokens of a step, not on their mean."""
ADDITIVE_ROUNDING = 1.0
SURELY = 0.8
"""Posterior weight from which one law of how costs add up is taken for the server's."""


def predict_schemes(
    schemes: Sequence[str],
    identity: Identity,
    hardware: Hardware | Missing,
    parts: Sequence[Part],
    model: StepModel | Missing,
    busy: Figure,
) -> Mapping[str, Prediction | Missing]:
    """The step speed-up of each scheme over the parts, from the best baseline there is.

    That is the server's own step model, `fitted` where live data decide what a step costs; else the busy time, if it
    is measured (`busy` is its share of the parts' covered time); else nothing but the model's shape and the GPU.
    Missing says what is not known, or why the scheme cannot run here.
    """
    setting = _setting(identity, hardware, parts, model)
    if isinstance(setting, Missing):
        return dict.fromkeys(schemes, setting)
    baseline: Coefficients | Baseline | None = None if isinstance(model, Missing) else coefficients_of(model)
    decided = not isinstance(model, Missing) and model.decided
    if baseline is None and isinstance(busy, Estimate) and busy.evidence is Evidence.MEASURED and busy.value > 0:
        baseline = Baseline(busy.value * sum(part.totals.covered_s for part in parts))
    evidence = Evidence.FITTED if decided else Evidence.MODELLED
    if isinstance(hardware, Hardware) and hardware.assumed:
        evidence = Evidence.ASSUMED
    return {name: _at_most(predict(setting, name, baseline), evidence) for name in schemes}


def _setting(
    identity: Identity, hardware: Hardware | Missing, parts: Sequence[Part], model: StepModel | Missing
) -> Setting | Missing:
    if isinstance(hardware, Missing):
        return hardware
    before = served_format(identity, hardware)
    if isinstance(before, Missing):
        return before
    seen = blocks(merged(parts, LOADS), mixed=identity.mixed_steps is not False)
    if isinstance(seen, Missing):
        return seen
    if not seen.lengths.told:
        return NO_LENGTHS
    llama_cpp = identity.engine == "llamacpp"
    machine = Machine(hardware.shape, hardware.gpu, hardware.gpus, llama_cpp=llama_cpp)
    return Setting(machine, identity.engine, before, work_of(seen, _chunk_tokens(model)))


def served_format(identity: Identity, hardware: Hardware) -> Format | Missing:
    """What is served now; compared from where it is."""
    plain = unquantized(hardware.kv_element_bytes, hardware.weight_bits)
    told = identity.quantization
    if told is None or is_quantized(told) is False:
        return plain
    scheme = scheme_of(told)
    if scheme is None or scheme not in SCHEMES:
        return Missing(f"no prediction from quantization {told!r}")
    return format_of(scheme, plain)


def _chunk_tokens(model: StepModel | Missing) -> float:
    if isinstance(model, Missing):
        return CHUNK_TOKENS[1]
    return model.hypotheses.likeliest.chunk_tokens


def work_of(seen: Blocks, chunk_tokens: float) -> tuple[Step, ...]:
    """The span's steps by class and load: decode only, prompt and decode tokens together, prompt tokens only."""
    steps = classify(seen, chunk_tokens)
    found = []
    for at in range(len(seen)):
        pure, mixed, alone = (float(column[at]) for column in (steps.pure, steps.mixed, steps.alone))
        context, prompt = seen.lengths.context, seen.lengths.prefill_context * 2
        if pure > 0:
            found.append(Step(pure, float(steps.pure_batch[at]), context))
        if mixed > 0:
            found.append(Step(mixed, float(steps.met_batch[at]), context, float(steps.mixed_tokens[at]), prompt))
        if alone > 0:
            found.append(Step(alone, 0.0, 0.0, float(steps.alone_tokens[at]), prompt))
    return tuple(step for step in found if step.tokens > 0)


def coefficients_of(model: StepModel) -> Coefficients | None:
    """The model's mean coefficients; None where weight reads cannot be told from overhead."""
    if not model.split:
        return None
    told = dict(zip(COEFFICIENTS, model.hypotheses.mean.tolist(), strict=True))
    if model.weight_of(Law.ADDITIVE) >= SURELY:
        return Coefficients(**told, rounding=ADDITIVE_ROUNDING)
    return Coefficients(**told)


def _at_most(one: Prediction | Missing, evidence: Evidence) -> Prediction | Missing:
    """A prediction is no better than what it rests on."""
    if isinstance(one, Missing):
        return one
    return replace(one, speedup=replace(one.speedup, evidence=worst(one.speedup.evidence, evidence)))
