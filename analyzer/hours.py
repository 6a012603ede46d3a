"""Where the time of a replica, and of a deployment, went hour by hour: the parts of a long span under the step model.

Seconds add up, shares do not: a replica's hours hold seconds, which a deployment's are the sum of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer.evidence import Evidence, Missing, worst
from analyzer.steptime.account import NEGLIGIBLE
from analyzer.steptime.blocks import blocks
from analyzer.steptime.fit import StepModel
from analyzer.steptime.laws import Spent, classify, spent
from analyzer.steptime.parts import Part
from analyzer.steptime.prior import COMPUTE, KV, OVERHEAD, PREFILL, SEQUENCE, WEIGHTS

Column = NDArray[np.float64]

HOUR_S = 3600.0
SPLIT = ("prefill", "decode_compute", "weight_read", "kv_read", "overhead", "idle")
PLAIN = ("prefill", "decode", "idle")
"""What the time went to where reads of weights and KV cannot be told from the rest: the first is then the marginal."""


@dataclass(frozen=True, slots=True, eq=False)
class ReplicaHours:
    """Seconds by hour of one replica: `start_s` and `covered_s` have shape (n,), `seconds` a column for each name.

    The names are those of `SPLIT` or of `PLAIN`; each hour's seconds add up to what is covered of it.
    """

    start_s: Column
    covered_s: Column
    seconds: Mapping[str, Column]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class MixHours:
    """A deployment's time by hour, oldest first: of the replicas' covered time the share that went to each name.

    Hours without data are not there. `replicas` counts those that are known hour by hour.
    """

    start_s: tuple[float, ...]
    covered_s: tuple[float, ...]
    shares: Mapping[str, tuple[float, ...]]
    replicas: int
    evidence: Evidence


def replica_hours(model: StepModel | Missing, parts: Sequence[Part]) -> ReplicaHours | Missing:
    """The hours of a replica's current epoch; by its model, else by the engine's own timers of both phases."""
    known = [part for part in parts if part.totals.windows > 0 and part.totals.covered_s > 0]
    if not known:
        return Missing("no closed five minutes of the current epoch yet")
    if isinstance(model, Missing):
        return _timed(known, model)
    idle = [part for part in known if part.totals.deltas["steps_total"] == 0]
    ran = [part for part in known if part.totals.deltas["steps_total"]]
    names = SPLIT if model.split else PLAIN
    seconds = _spent(model, ran, names) if ran else {name: np.zeros(0) for name in names}
    if isinstance(seconds, Missing):
        return seconds
    for name in names:
        still = [part.totals.covered_s if name == "idle" else 0.0 for part in idle]
        seconds[name] = np.concatenate([seconds[name], still])
    decided = model.decided and not model.split
    return _by_hour([*ran, *idle], seconds, Evidence.FITTED if decided else Evidence.MODELLED)


def deployment_hours(members: Sequence[ReplicaHours | Missing]) -> MixHours | Missing:
    """The members' hours together; the first reason where there is none. Fewest names told by any are told of all."""
    known = [one for one in members if isinstance(one, ReplicaHours)]
    if not known:
        reasons = [one.reason for one in members if isinstance(one, Missing)]
        return Missing(reasons[0] if reasons else "no replica of this deployment has been seen")
    names = SPLIT if all(set(one.seconds) == set(SPLIT) for one in known) else PLAIN
    # np.unique would load numpy.ma: 2 MB for good.
    starts = np.array(sorted({start_s for one in known for start_s in one.start_s.tolist()}))
    covered = np.zeros(len(starts))
    sums = {name: np.zeros(len(starts)) for name in names}
    for one in known:
        at = np.searchsorted(starts, one.start_s)
        covered[at] += one.covered_s
        for name, column in _as_told(one, names).items():
            sums[name][at] += column
    return MixHours(
        start_s=tuple(starts.tolist()),
        covered_s=tuple(covered.tolist()),
        shares={name: tuple((column / covered).tolist()) for name, column in sums.items()},
        replicas=len(known),
        evidence=worst(*(one.evidence for one in known)),
    )


def _spent(model: StepModel, ran: Sequence[Part], names: Sequence[str]) -> dict[str, Column] | Missing:
    """Seconds of each part by name, over the model's hypotheses, stretched to the busy time where that is known."""
    seen = blocks(ran, mixed=model.seen.mixed, pair_ratio=model.pair_ratio)
    if isinstance(seen, Missing):
        return seen
    cuts = {name: np.zeros(len(seen)) for name in (*names, "busy", "marginal_prefill")}
    whole = sum(one.weight for one in model.hypotheses if one.weight >= NEGLIGIBLE)
    for one in model.hypotheses:
        if one.weight < NEGLIGIBLE:
            continue
        taken = spent(one.law, np.exp(one.logs), seen, classify(seen, one.chunk_tokens))
        for name, seconds in _cuts(taken).items():
            if name in cuts:
                cuts[name] += one.weight / whole * seconds
    if "decode" in names:
        cuts["prefill"] = cuts["marginal_prefill"]
        cuts["decode"] = cuts["busy"] - cuts["prefill"]
    modelled_s = cuts["busy"]
    busy_s = np.minimum(np.where(np.isnan(seen.busy_s), modelled_s, seen.busy_s), seen.covered_s)
    stretch = np.where(modelled_s > 0, busy_s / np.maximum(modelled_s, 1e-12), 0.0)
    found = {name: cuts[name] * stretch for name in names if name != "idle"}
    return {**found, "idle": seen.covered_s - sum(found.values(), start=np.zeros(len(seen)))}


def _cuts(taken: Spent) -> Mapping[str, Column]:
    """Seconds of each part by name."""
    busy = taken.busy
    return {
        "weight_read": busy[WEIGHTS],
        "kv_read": busy[KV],
        "decode_compute": busy[COMPUTE],
        "prefill": busy[PREFILL],
        "overhead": busy[OVERHEAD] + busy[SEQUENCE],
        "busy": busy.sum(axis=0),
        "marginal_prefill": taken.marginal.sum(axis=0),
    }


def _timed(known: Sequence[Part], why: Missing) -> ReplicaHours | Missing:
    """By the engine's timers of both phases; the reason why there is no model where it lacks them."""
    told = [
        (part, prefill_s, decode_s)
        for part in known
        if (prefill_s := part.totals.deltas["prefill_s_total"]) is not None
        and (decode_s := part.totals.deltas["decode_s_total"]) is not None
    ]
    if not told:
        return why
    covered = np.array([part.totals.covered_s for part, *_ in told])
    prefill, decode = np.array([one for _, one, _ in told]), np.array([one for *_, one in told])
    scale = np.minimum(1.0, covered / np.maximum(prefill + decode, 1e-12))
    prefill, decode = prefill * scale, decode * scale
    seconds = {"prefill": prefill, "decode": decode, "idle": covered - prefill - decode}
    return _by_hour([part for part, *_ in told], seconds, Evidence.MEASURED)


def _by_hour(parts: Sequence[Part], seconds: Mapping[str, Column], evidence: Evidence) -> ReplicaHours:
    """Added up by the hour in which each part's middle lies."""
    middles = np.array([(part.totals.start_s + part.totals.end_s) / 2 for part in parts])
    starts, at = np.unique(middles // HOUR_S * HOUR_S, return_inverse=True)

    def added(column: Column) -> Column:
        return np.bincount(at, weights=column, minlength=len(starts)).astype(np.float64)

    covered = added(np.array([part.totals.covered_s for part in parts]))
    return ReplicaHours(starts, covered, {name: added(column) for name, column in seconds.items()}, evidence)


def _as_told(one: ReplicaHours, names: Sequence[str]) -> Mapping[str, Column]:
    """The replica's columns under other names: all that is not prefill or idle is decode."""
    if set(one.seconds) == set(names):
        return one.seconds
    prefill, idle = one.seconds["prefill"], one.seconds["idle"]
    return {"prefill": prefill, "decode": one.covered_s - prefill - idle, "idle": idle}
