"""Replicas with a fitted step-time model and a histogram of steps, for tests of what is shown of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analyzer.assumptions import Policy
from analyzer.hardware import resolve
from analyzer.histograms import UNTOLD
from analyzer.replicas import ReplicaHistory
from analyzer.report import Report, analyse
from analyzer.stepsizes import UPPER
from analyzer.steptime.fit import StepModel, fit
from tests.fakes.histories import CHAT, DAY_S, VLLM, decode_heavy, replica
from tests.fakes.step_blocks import Linear

SWING = tuple(6 + 54 * (1 + np.sin(2 * np.pi * k / 24)) / 2 for k in range(24))
"""Two hours in which the batch swings between 6 and 60."""


def step_model(batches: tuple[float, ...] = SWING) -> StepModel:
    """Fitted to a server of known costs, that of `CHAT`'s hardware."""
    model = fit([Linear().part(batch, number=k) for k, batch in enumerate(batches)], resolve(VLLM, CHAT))
    assert isinstance(model, StepModel)
    return model


def modelled(number: int = 0) -> ReplicaHistory:
    """A day of decode at batch 8: 99 steps in 100 of 2 to 8 tokens, the others of 129 to 256, 9.9 on average."""
    plain = decode_heavy()
    steps = plain.deltas["steps_total"]
    assert steps is not None
    counts = {8.0: 0.99 * steps, 256.0: 0.01 * steps}
    told = tuple(counts.get(bound, 0.0) for bound in UPPER)
    deltas = {**plain.deltas, "step_tokens_total": 9.9 * steps}
    history = replace(plain, deltas=deltas, histograms={**UNTOLD, "step_tokens": told})
    known = replica(history, number=number)
    return replace(known, model=step_model(), recent=history, history=history)


def modelled_report(*fleet: ReplicaHistory) -> Report:
    """The report of these replicas of `CHAT`, just after their last sample."""
    return analyse(fleet, [CHAT], {}, Policy(), now_s=DAY_S + 1, recent_s=300, history_s=7 * DAY_S)
