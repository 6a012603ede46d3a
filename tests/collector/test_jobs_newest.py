"""The newest windows of many replicas at once are those that each one's own samples give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import Totals, add_up_whole
from collector.jobs.newest import Since, newest_of, newest_windows
from collector.store.codec import replica_row
from collector.store.stack import Stack

POLL_S, BEGIN_S = 15.0, 1_795_428_000.0


def key(epoch: int) -> ReplicaKey:
    return ReplicaKey(f"http://{epoch}:8000/metrics", "m")


@st.composite
def polls(draw: st.DrawFn) -> list[ReplicaSample]:
    """Polls of one replica of which some were missed, lack a series, carry a histogram, or follow a fall."""
    epoch = draw(st.integers(1, 10_000))
    steps, samples = 0.0, []
    for number in range(draw(st.integers(1, 25))):
        steps += draw(st.sampled_from([0.0, 3.0, 10.0]))
        if draw(st.integers(0, 60)) == 0:
            steps = 0.0
        if draw(st.integers(0, 9)) == 0:
            continue
        told: dict[str, Any] = {"steps_total": steps, "running_requests": draw(st.sampled_from([0.0, 2.0]))}
        if draw(st.integers(0, 20)) > 0:
            told["prompt_tokens_total"] = 7 * steps
        if number % 4 == 0:
            told["step_tokens"] = (steps, *[0.0] * 13)
        samples.append(ReplicaSample(key(epoch), epoch, BEGIN_S + number * POLL_S, POLL_S, **told))
    return samples


def summed(parts: list[Totals]) -> Mapping[str, Any] | None:
    whole = add_up_whole(parts)
    return None if whole is None else asdict(whole)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(polls().filter(bool), min_size=1, max_size=3, unique_by=lambda samples: samples[0].epoch),
    st.integers(0, 25),
    st.integers(0, 25),
)
def test_many_at_once_give_what_each_gives_alone(fleet: list[list[ReplicaSample]], recent: int, cut: int) -> None:
    """Sums over whole seconds and counts are exact, however they are grouped."""
    fleet.sort(key=lambda samples: samples[0].epoch)
    rows = [replica_row(sample) for samples in fleet for sample in samples]
    stack = Stack(rows, {samples[0].epoch: key(samples[0].epoch) for samples in fleet})
    recent_s, cut_s = BEGIN_S + recent * POLL_S, BEGIN_S + cut * POLL_S
    begin = Since(min(cut_s - 5.5 * POLL_S, recent_s), cut_s)

    found = newest_windows(stack, {samples[0].epoch: begin for samples in fleet}, recent_s)

    for samples in fleet:
        epoch = samples[0].epoch
        alone = newest_of(stack.columns(epoch), begin, recent_s)
        assert found[epoch].last == alone.last
        assert found[epoch].recent == alone.recent
        assert summed([*found[epoch].after]) == summed([*alone.after])
