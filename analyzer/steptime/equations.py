"""What blocks tell and what the laws predict of it: the equations that hypotheses of a step's cost are fitted to.

A hypothesis is a law under a limit of prompt tokens per step. Hypotheses are predicted all at once, one law after the
other: arrays over them have the shape (hypotheses, ...).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from analyzer.steptime.blocks import Blocks
from analyzer.steptime.laws import Law, Steps, by_class, classify, crowd_of, one_prefill, spent, with_prompts
from analyzer.steptime.overlapped import Classes, Often, Priced, often
from analyzer.steptime.prior import PREFILL

Array = NDArray[np.float64]
Places = NDArray[np.intp]
ByClass = TypeVar("ByClass", Classes, Often)
_NAMES = {kind: [field.name for field in fields(kind)] for kind in (Classes, Often)}

INDEPENDENT_BLOCKS = 12.0
"""Neighbouring blocks err alike, so that many count as no more than this."""
GAP_ERROR, MET_ERROR, BUSY_ERROR, REQUEST_ERROR = 0.01, 0.5, 0.006, 0.03
"""Errors of the equations themselves, relative: of inter-token seconds, of their prefill part, of busy seconds, and of
a request's prefill. Set by what they miss the truth by in simulation."""
TIMED_ERROR = 0.04
"""Of timed prefill seconds: how many prompts share a step of their own is not known."""
LEAST_GAPS = 5.0
"""Blocks with fewer sequence-steps say nothing of the gaps."""


@dataclass(frozen=True, slots=True)
class Told:
    """What is told in seconds (shape (m,)), and the blocks that tell it.

    First come the equations whose logarithms are compared, `ratios` in number (inter-token seconds of the blocks
    `gaps`, a request's prefill if one is told), then those whose seconds are (busy, timed prefill).
    """

    seconds: Array
    ratios: int
    gaps: Places
    busy: Places
    timed: Places

    @property
    def requests(self) -> int:
        """Equations of a request's prefill: one or none."""
        return self.ratios - len(self.gaps)


@dataclass(frozen=True, slots=True)
class Errors:
    """Of what the equations' standard deviations are made.

    `met`: of inter-token seconds, the part per second of a prompt token; `request`: relative, of a request's prefill;
    of busy and timed seconds the variances that are the equations' `own` and those of what was `read`; `edge`: of a
    request's computed tokens, those that another block than the one they were computed in counts.
    """

    met: Array
    request: float
    own: Array
    read: Array
    edge: float


@dataclass(frozen=True, slots=True)
class Overlaps:
    """What the overlapped law takes: one step of each class in the blocks, how often the equations count it, and the
    equations' blocks. The first axis is that of the limits.
    """

    classes: Classes
    counted: Often
    at: Places
    context: float


@dataclass(frozen=True, slots=True)
class Equations:
    """The equations of one replica. `limits` is how many limits of prompt tokens per step each law is predicted under.

    `linear` (shape (limits, 6, m)) is what the additive law multiplies the coefficients with. Either law's part is None
    where it is none of the `laws`.
    """

    laws: tuple[Law, ...]
    limits: int
    told: Told
    errors: Errors
    linear: Array | None
    overlaps: Overlaps | None

    @property
    def count(self) -> int:
        """How many hypotheses."""
        return len(self.laws) * self.limits

    def only(self, law: Law, limit: int) -> Equations:
        """Of one law under the limit of that number."""
        linear, overlaps = (self.linear, None) if law is Law.ADDITIVE else (None, self.overlaps)
        chosen = slice(limit, limit + 1)
        if linear is not None:
            linear = linear[chosen]
        if overlaps is not None:
            overlaps = replace(
                overlaps, classes=_each(overlaps.classes, chosen), counted=_each(overlaps.counted, chosen)
            )
        return replace(self, laws=(law,), limits=1, linear=linear, overlaps=overlaps)

    def every_other(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which equations a hypothesis is fitted to (those of every other block), and tested on, both ways round."""
        told = self.told
        block = np.concatenate([told.gaps, np.full(told.requests, -1), told.busy, told.timed])
        fitted = (block % 2 == [[0], [1]]) | (block < 0)
        tested = ~fitted
        tested[:, len(block) - len(told.timed) :] = False
        return fitted, tested

    def deviations(self, logs: Array, fitted_blocks: float) -> Array:
        """The equations' standard deviations (shape (h, m)) at log coefficients of shape (h, 6)."""
        errors, gaps, ratios = self.errors, len(self.told.gaps), self.told.ratios
        alike = max(1.0, fitted_blocks / INDEPENDENT_BLOCKS)
        token_s = np.exp(logs[:, PREFILL, None])
        variance = np.empty((len(logs), len(self.told.seconds)))
        variance[:, :gaps] = (GAP_ERROR**2 + np.minimum(token_s * errors.met, MET_ERROR) ** 2) * alike
        variance[:, gaps:ratios] = errors.request**2
        variance[:, ratios:] = errors.read + (errors.own + (token_s * errors.edge) ** 2) * alike
        return np.sqrt(variance)

    def predicted(self, logs: Array) -> tuple[Array, Array]:
        """Seconds (shape (h, m)) for log coefficients of shape (h, 6), and their slopes (h, 6, m).

        Of one law under one limit, any number of hypotheses h can be predicted.
        """
        parts = []
        for law, values in zip(self.laws, np.exp(logs).reshape(len(self.laws), -1, 6), strict=True):
            if law is Law.ADDITIVE:
                assert self.linear is not None
                parts.append(self.linear * values[..., None])
            else:
                assert self.overlaps is not None
                one = Priced(values, self.overlaps.classes, self.overlaps.context)
                parts.append(one.seconds(self.overlaps.counted, self.overlaps.at))
        slopes = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return slopes.sum(axis=-2), slopes

    def residuals(self, seconds: Array, sd: Array) -> Array:
        """What is told against predicted seconds, in standard deviations."""
        apart, first = seconds - self.told.seconds, slice(self.told.ratios)
        apart[:, first] = np.log(seconds[:, first] / self.told.seconds[first])
        apart /= sd
        return apart

    def units(self, seconds: Array, sd: Array) -> Array:
        """How many seconds more make a residual one standard deviation larger."""
        unit, first = sd.copy(), slice(self.told.ratios)
        unit[:, first] *= seconds[:, first]
        return unit


def equations(seen: Blocks, laws: Sequence[Law], limits: Sequence[float]) -> Equations:
    """The equations of the blocks for each law under each limit of prompt tokens per step."""
    told, steps = _told(seen), classify(seen, np.array(limits))
    request = one_prefill(seen, steps) if told.requests else None
    gap_s, busy_s = seen.gap_s[told.gaps], seen.busy_s[told.busy]
    timed_s = seen.prefill_s[told.timed]
    return Equations(
        laws=tuple(laws),
        limits=len(limits),
        told=told,
        errors=Errors(
            met=MET_ERROR * (seen.prefill_tokens * seen.met_batch)[told.gaps] / gap_s,
            request=REQUEST_ERROR + seen.prefill_overlap,
            own=np.concatenate([(BUSY_ERROR * busy_s) ** 2, (TIMED_ERROR * timed_s) ** 2]),
            read=np.concatenate([seen.busy_sd_s[told.busy] ** 2, np.zeros_like(timed_s)]),
            # A prefill that runs across a block's end is counted in the block in which it ends.
            edge=seen.lengths.prefill / 2,
        ),
        linear=_linear(seen, told, steps, request) if Law.ADDITIVE in laws else None,
        overlaps=_overlaps(seen, told, steps, request) if Law.OVERLAPPED in laws else None,
    )


def _told(seen: Blocks) -> Told:
    with np.errstate(invalid="ignore"):
        gaps = np.flatnonzero((seen.gap_s > 0) & (seen.sequence_steps >= LEAST_GAPS))
        busy = np.flatnonzero(~np.isnan(seen.busy_s))
        # Where a step may carry both, nobody knows how much decoding the timed steps held.
        timed = np.flatnonzero((seen.prefill_s > 0) & (not seen.mixed))
    request = [] if seen.prefill_request_s is None else [seen.prefill_request_s]
    seconds = np.concatenate([seen.gap_s[gaps], request, seen.busy_s[busy], seen.prefill_s[timed]])
    return Told(seconds, len(gaps) + len(request), gaps, busy, timed)


def _linear(seen: Blocks, told: Told, steps: Steps, request: Steps | None) -> Array:
    """Seconds per second of each coefficient under the additive law, in the order of the equations."""
    once = np.ones((len(steps.chunks), 6))
    taken = spent(Law.ADDITIVE, once, seen, steps)
    rows = [taken.gaps[..., told.gaps], taken.busy[..., told.busy]]
    if len(told.timed):
        rows.append(taken.exclusive[..., told.timed])
    if request is not None:
        rows.insert(1, spent(Law.ADDITIVE, once, seen, request).exclusive)
    return np.concatenate(rows, axis=-1)


def _overlaps(seen: Blocks, told: Told, steps: Steps, request: Steps | None) -> Overlaps:
    """The same for the overlapped law; a request's prefill is a block of its own after the others."""
    times, classes = by_class(steps)
    rows = [
        _of_blocks(often(times * classes.batch, classes, crowd_of(seen)), told.gaps),
        _of_blocks(often(times, classes), told.busy),
    ]
    if len(told.timed):
        rows.append(_of_blocks(often(with_prompts(times), classes), told.timed))
    blocks = [classes]
    if request is not None:
        own_times, own = by_class(request)
        rows.insert(1, often(own_times, own))
        blocks.append(own)
    at = np.concatenate([told.gaps, np.full(told.requests, len(seen)), told.busy, told.timed])
    return Overlaps(_side_by_side(blocks), _side_by_side(rows), at, seen.lengths.context)


def _of_blocks(one: Often, chosen: Places) -> Often:
    """Of the chosen blocks, mostly all."""
    return one if len(chosen) == one.all_steps.shape[-1] else _each(one, (..., chosen))


def _each(one: ByClass, chosen: object) -> ByClass:
    """Every array, indexed."""
    return type(one)(*(getattr(one, name)[chosen] for name in _NAMES[type(one)]))


def _side_by_side(each: Sequence[ByClass]) -> ByClass:
    """Every array, along the last axis."""
    kind = type(each[0])
    return kind(*(np.concatenate([getattr(one, name) for one in each], axis=-1) for name in _NAMES[kind]))
