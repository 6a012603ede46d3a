"""Replicas of one deployment, some of them quantized -> what the scheme did to a step, beside what was predicted.

Both step models are asked how long the unquantized replica's own work takes: batch, context and prompt tokens are then
the same on both sides, however the load is spread between them. Each model is fitted without its epoch's warm-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import exp, hypot, sqrt

import numpy as np

from analyzer.assumptions import Deployment
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.facts.schemes import is_quantized, parts_of, scheme_of, schemes_named
from analyzer.folded import part
from analyzer.hardware import Hardware, resolve
from analyzer.predict import Prediction
from analyzer.replicas import ReplicaHistory
from analyzer.samples import Identity, ReplicaKey
from analyzer.steptime.account import NEGLIGIBLE
from analyzer.steptime.blocks import blocks
from analyzer.steptime.coefficients import COEFFICIENT_ERROR, Z80
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import classify, spent
from analyzer.steptime.parts import Part, merged
from analyzer.whatif import LOADS

PER_FORMAT = 3
"""So many replicas that serve alike are compared at most: each is read from its history with every report."""
MOST_APART = 2.0
"""Requests whose lengths differ by more are other work: a token of a long prompt costs more than one of a short one."""
NO_CANARY = Missing("no replica serves it beside one that is not quantized")


@dataclass(frozen=True, slots=True)
class Canary:
    """What a scheme did to the time of a step: of the replica `beside`, which is not quantized, over the `canary`'s.

    `realised` is that ratio, on the work of `beside`; `predicted` is the speed-up that was predicted of it. `ratio` is
    realised over predicted, with the interval of what was realised alone: 1 is a prediction that came true.
    """

    canary: ReplicaKey
    beside: ReplicaKey
    realised: Estimate
    predicted: Figure
    ratio: Figure


@dataclass(frozen=True, slots=True)
class Tried:
    """What is compared of one replica; `parts` are its decision span, in a few parts of different load."""

    replica: ReplicaKey
    identity: Identity
    hardware: Hardware | Missing
    model: StepModel | Missing
    parts: Sequence[Part]
    predicted: Mapping[str, Prediction | Missing]


def tried_of(known: ReplicaHistory, deployment: Deployment) -> Tried:
    """A replica whose whole history is at hand."""
    return Tried(
        known.replica,
        known.identity,
        resolve(known.identity, deployment, known.joined_gpus),
        known.model,
        merged(known.parts, LOADS),
        {} if known.predicted is None else known.predicted,
    )


def served(identity: Identity) -> frozenset[str] | None:
    """The schemes that a replica serves, none where it is not quantized; None where nobody can name them."""
    told = identity.quantization
    if told is not None and scheme_of(told) is None and is_quantized(told) is not False:
        return None
    return schemes_named(told, identity.kv_dtype)


def watched(members: Iterable[tuple[str, ReplicaKey, Identity]]) -> set[ReplicaKey]:
    """Of replicas with their deployment, a few of each format of every deployment that can be compared."""
    known = [(name, sorted(told), key) for name, key, identity in members if (told := served(identity)) is not None]
    known.sort(key=lambda one: (one[0], one[1], one[2].target, one[2].model, one[2].rank))
    found = set[ReplicaKey]()
    for _, mine in groupby(known, key=lambda one: one[0]):
        formats = [[key for *_, key in alike] for _, alike in groupby(mine, key=lambda one: one[1])]
        if len(formats) > 1:
            found.update(key for alike in formats for key in alike[:PER_FORMAT])
    return found


def canary_of(scheme: str, tried: Sequence[Tried]) -> Canary | Missing:
    """What a scheme did, by the pair of replicas that tells it best; Missing says why none does."""
    names = frozenset(one.name for one in parts_of(scheme))
    plain, quantized = ([one for one in tried if served(one.identity) == of] for of in (frozenset(), names))
    found = [_compared(scheme, before, after) for before in plain for after in quantized]
    known = [one for one in found if isinstance(one, Canary)]
    if known:
        return min(known, key=lambda one: one.realised.high / one.realised.low)
    return found[0] if found else NO_CANARY


def _compared(scheme: str, before: Tried, after: Tried) -> Canary | Missing:
    then, now = _side(before), _side(after)
    if isinstance(then, Missing):
        return then
    if isinstance(now, Missing):
        return now
    unlike = _unlike(before.identity, then, after.identity, now)
    if unlike is not None:
        return Missing(f"{after.replica.target} {unlike} {before.replica.target}")
    own, other = (_busy_s(one.model, before.parts) for one in (then, now))
    if isinstance(own, Missing):
        return own
    if isinstance(other, Missing):
        return other
    realised = _around(own[0] / other[0], exp(Z80 * hypot(own[1], other[1])))
    predicted: Figure = Missing("nothing was predicted of it")
    if scheme in before.predicted:
        predicted = part(before.predicted, scheme, "speedup")
    ratio = predicted
    if isinstance(predicted, Estimate):
        ratio = _around(realised.value / predicted.value, realised.high / realised.value)
    return Canary(after.replica, before.replica, realised, predicted, ratio)


def _around(value: float, spread: float) -> Estimate:
    return Estimate(value, value / spread, value * spread, Evidence.FITTED, "canary")


@dataclass(frozen=True, slots=True)
class _Side:
    """A replica that can be compared: on known hardware, with a model that live data decide."""

    hardware: Hardware
    model: StepModel


def _side(one: Tried) -> _Side | Missing:
    name = one.replica.target
    if isinstance(one.hardware, Missing):
        return Missing(f"{name}: {one.hardware.reason}")
    if isinstance(one.model, Missing):
        return Missing(f"{name}: {one.model.reason}")
    if not one.model.decided:
        return Missing(f"{name}: live data do not decide yet what a step of it costs")
    return _Side(one.hardware, one.model)


def _busy_s(model: StepModel, parts: Sequence[Part]) -> tuple[float, float] | Missing:
    """How long some work would take by a model: seconds, and their relative standard deviation.

    The seconds that a coefficient sets are how they rise with its logarithm (see `laws`).
    """
    seen = blocks(parts, mixed=model.seen.mixed, pair_ratio=model.pair_ratio)
    if isinstance(seen, Missing):
        return seen
    likely = [one for one in model.hypotheses if one.weight >= NEGLIGIBLE]
    weights = np.array([one.weight for one in likely])
    weights /= weights.sum()
    taken_s, variances = np.empty(len(likely)), np.empty(len(likely))
    for at, one in enumerate(likely):
        by_coefficient_s = spent(one.law, np.exp(one.logs), seen, classify(seen, one.chunk_tokens)).busy.sum(axis=-1)
        taken_s[at] = by_coefficient_s.sum()
        slopes = by_coefficient_s / taken_s[at]
        variances[at] = slopes @ one.covariance @ slopes
    mean_s = float(weights @ taken_s)
    # Of a mixture: the variance within its parts and that between them.
    return mean_s, sqrt(float(weights @ (variances + (taken_s / mean_s - 1) ** 2)) + COEFFICIENT_ERROR**2)


def _unlike(identity: Identity, then: _Side, other: Identity, now: _Side) -> str | None:
    """Why the two tell nothing of the scheme: more than it differs. `other` and `now` are the canary's."""
    for what, own, beside in (
        ("engine", other.engine, identity.engine),
        ("engine version", other.engine_version, identity.engine_version),
        ("GPU", now.hardware.gpu.name, then.hardware.gpu.name),
        ("number of GPUs", now.hardware.gpus, then.hardware.gpus),
    ):
        if own != beside and None not in (own, beside):
            return f"differs in more than its format: {what} {own}, not {beside} as"
    for what in ("context", "prefill_context", "prefill"):
        tokens, usual = (getattr(one.model.seen.lengths, what) for one in (now, then))
        if max(tokens, usual) > MOST_APART * min(tokens, usual):
            return f"has other requests: {what.replace('_', ' ')} of {tokens:,.0f} tokens, not {usual:,.0f} as"
    return None
