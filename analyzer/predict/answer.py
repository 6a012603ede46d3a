"""`predict`: what one scheme would do to one replica's work, with interval, break-even, sensitivities and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt

from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.facts.cpu_kernels import ANY_CPU
from analyzer.facts.scheme_combined import support_of
from analyzer.facts.scheme_support import Level, Support
from analyzer.facts.scheme_table import SCHEMES
from analyzer.predict.calibrate import Baseline, Modelled, speedup
from analyzer.predict.constants import SHIPPED, Constants
from analyzer.predict.formats import Format, format_of
from analyzer.predict.interval import CALIBRATED, CPU, STAND_IN_RATIO, UNCALIBRATED, Regime, estimate
from analyzer.predict.stepcost import Machine, Step, seconds
from analyzer.predict.transform import Coefficients, Factors, factors, transform

MOST_TOKENS = 16384.0
"""Tokens per step up to which a break-even is looked for."""
_GRID = (1.0, 8.0, 64.0, 512.0, 4096.0, MOST_TOKENS)
_HALVINGS = 5


@dataclass(frozen=True, slots=True)
class Setting:
    """One replica as it runs now. `work` is its step-size distribution, counts in any unit (steps, or shares).

    `own_shape`: False where the shape is a stand-in for an unknown model.
    """

    machine: Machine
    engine: str | None
    before: Format
    work: tuple[Step, ...]
    own_shape: bool = True

    def __post_init__(self) -> None:
        if not any(step.count > 0 and step.tokens > 0 for step in self.work):
            raise ValueError("a setting needs at least one step that computes a token")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a scheme would do to the work's time, batch and context held (the `step` speed-up; below 1 is slower).

    `break_even_tokens`: tokens per step from which it no longer helps; None = it helps up to `MOST_TOKENS`, 0 = never.
    `sensitivities`: the speed-up's change if the named input were so. `after`: the coefficients it would have, where
    the server's own were given.
    """

    scheme: str
    speedup: Estimate
    support: Support
    factors: Factors
    after: Coefficients | None
    break_even_tokens: float | None
    sensitivities: Mapping[str, float]
    reasons: tuple[str, ...]


def predict(
    setting: Setting,
    scheme: str,
    baseline: Coefficients | Baseline | None = None,
    constants: Constants = SHIPPED,
) -> Prediction | Missing:
    """The effect of one scheme, or of several joined by `+`, on the setting.

    `baseline`: the server's own fitted coefficients, or the measured seconds of `work`, or None (`modelled`, wider).
    Missing says why the scheme cannot run, or what is not known. Raises ValueError for a scheme that is none.
    """
    allowed = support_of(scheme, setting.machine.gpu, setting.engine)
    if allowed.level in (Level.UNSUPPORTED, Level.UNKNOWN):
        return Missing(allowed.reason)
    gpu = setting.machine.gpu
    if not isinstance(baseline, Coefficients) and (gpu is None or gpu.bandwidth_bytes_per_s is None):
        return Missing("the GPU's bandwidth is not known and no step times were fitted")
    after = format_of(scheme, setting.before, weight_only=allowed.level is Level.WEIGHT_ONLY)
    if after == setting.before:
        return Missing(f"the server runs {scheme} already")
    machine = setting.machine
    middle = typical(setting.work)
    change = factors(machine, setting.before, after, middle, constants)
    ratio = _ratio(setting, after, baseline, constants)
    value = ratio(setting.work)
    evidence = Evidence.MODELLED if baseline is None else Evidence.FITTED
    stand_in = not setting.own_shape or machine.cpu is ANY_CPU
    if stand_in:
        evidence = Evidence.ASSUMED
    widths = UNCALIBRATED if baseline is None else CALIBRATED if machine.cpu is None else CPU
    method = "modelled" if baseline is None else "modelled_change_of_measured_steps"
    return Prediction(
        scheme=scheme,
        speedup=estimate(value, regime_of(setting.work), evidence, widths, method, STAND_IN_RATIO if stand_in else 1.0),
        support=allowed,
        factors=change,
        after=transform(baseline, change) if isinstance(baseline, Coefficients) else None,
        break_even_tokens=_break_even(ratio, middle.context_tokens),
        sensitivities=_sensitivities(ratio, setting.work, value),
        reasons=_reasons(change, allowed),
    )


def predict_all(
    setting: Setting, baseline: Coefficients | Baseline | None = None, constants: Constants = SHIPPED
) -> Mapping[str, Prediction | Missing]:
    """Every scheme of the table, by name."""
    return {name: predict(setting, name, baseline, constants) for name in SCHEMES}


def typical(work: Sequence[Step]) -> Step:
    """The mean step of the work, at which factors are stated."""
    steps = sum(step.count for step in work)
    batch = sum(step.count * step.batch for step in work)
    context = sum(step.count * step.batch * step.context_tokens for step in work)
    prefill = sum(step.count * step.prefill_tokens for step in work)
    prompt = sum(step.count * step.prefill_tokens * step.prompt_tokens for step in work)
    return Step(
        1.0,
        batch / steps,
        context / batch if batch > 0 else 0.0,
        prefill / steps,
        prompt / prefill if prefill > 0 else 0.0,
    )


def regime_of(work: Sequence[Step]) -> Regime:
    """By the share of tokens that are prompt tokens, since those are what errs alike."""
    prefill = sum(step.count * step.prefill_tokens for step in work)
    decode = sum(step.count * step.batch for step in work)
    if decode <= 0:
        return Regime.PREFILL
    return Regime.DECODE if prefill <= decode else Regime.MIXED


def _ratio(
    setting: Setting, after: Format, baseline: Coefficients | Baseline | None, constants: Constants
) -> Callable[[Sequence[Step]], float]:
    """Speed-up of any work on this machine. Measured seconds calibrate the setting's own work only, in proportion."""
    machine, before = setting.machine, setting.before
    if isinstance(baseline, Coefficients):

        def fitted(work: Sequence[Step]) -> float:
            then = now = 0.0
            for step in work:
                changed = transform(baseline, factors(machine, before, after, step, constants))
                now += step.count * baseline.step_s(step)
                then += step.count * changed.step_s(step)
            return now / then

        return fitted
    share = constants.scaling_share
    if baseline is not None and baseline.first_token:
        share = constants.scaling_share_first_token
    measured = None if baseline is None else baseline.seconds
    own = seconds(machine, before, setting.work, constants)
    steps = sum(step.count for step in setting.work)

    def modelled(work: Sequence[Step]) -> float:
        then = seconds(machine, before, work, constants)
        now = seconds(machine, after, work, constants)
        count = sum(step.count for step in work)
        host = count * machine.shape.layers * constants.layer_s
        told = None if measured is None else then + max(0.0, measured - own) * count / steps
        return speedup(Modelled(then, now, host), told, share)

    return modelled


def _break_even(ratio: Callable[[Sequence[Step]], float], context: float) -> float | None:
    def helps(tokens: float) -> bool:
        return ratio((Step(1.0, tokens, context),)) > 1

    grid = _GRID
    good = [helps(tokens) for tokens in grid]
    if good[-1]:
        return None
    if not any(good):
        return 0.0
    last = max(index for index, one in enumerate(good) if one)
    low, high = grid[last], grid[last + 1]
    for _ in range(_HALVINGS):
        middle = sqrt(low * high)
        low, high = (middle, high) if helps(middle) else (low, middle)
    return sqrt(low * high)


def _sensitivities(ratio: Callable[[Sequence[Step]], float], work: Sequence[Step], value: float) -> dict[str, float]:
    changed = {
        "batch doubled": [replace(step, batch=2 * step.batch) for step in work],
        "batch halved": [replace(step, batch=step.batch / 2) for step in work],
        "context doubled": [replace(step, context_tokens=2 * step.context_tokens) for step in work],
    }
    return {name: ratio(steps) - value for name, steps in changed.items()}


def _reasons(change: Factors, allowed: Support) -> tuple[str, ...]:
    told = [allowed.reason]
    if change.weight_read != 1:
        told.append(f"weight reads take {change.weight_read:.2f} of their time")
    if change.kv_read != 1:
        told.append(f"KV reads take {change.kv_read:.2f} of their time")
    if change.prefill_token != 1:
        told.append(f"a prompt token takes {change.prefill_token:.2f} of its time")
    if change.step_s > 0:
        told.append(f"more kernel launches add {change.step_s * 1e3:.2f} ms to each step")
    return tuple(told)
