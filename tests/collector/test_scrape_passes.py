"""Forward-pass records added up: lost ones are counted, silent ranks not reported, anything else refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.passes import SILENT_S, Pass, PassSums, pass_of
from collector.scrape.steps import Step
from tests.fakes.pass_records import record


def steps(*numbers: int, worker: str = "w", took_s: float = 0.5) -> Iterator[Pass]:
    return (Pass(worker, Step("0", number, 0, 1, took_s)) for number in numbers)


def taken(*parts: Iterator[Pass]) -> PassSums:
    sums = PassSums()
    for part in parts:
        for one in part:
            sums.take(one, 0.0)
    return sums


def test_lost_records_are_counted_by_the_publishers_own_numbers() -> None:
    assert taken(steps(5, 6, 7)).lost == 0
    assert taken(steps(5, 6, 9, 10)).lost == 2
    assert taken(steps(5, 6), steps(0, 1)).lost == 0  # started anew
    assert taken(steps(5, 6), steps(90, worker="another")).lost == 0


def test_a_rank_that_was_silent_for_long_is_not_reported() -> None:
    sums = taken(steps(1, 2))
    assert sums.values(SILENT_S)["0"]["told_steps"] == 2
    assert sums.values(SILENT_S + 0.1) == {}


def test_there_is_a_bound_to_ranks() -> None:
    sums = PassSums()
    told = [sums.take(Pass("w", Step(str(rank), 0, 0, 1, 0.1)), 0.0) for rank in range(300)]
    assert told == [True] * 256 + [False] * 44


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(record())), json)
def test_a_record_with_any_one_field_replaced_is_read_or_refused(name: str, value: Any) -> None:
    one = pass_of(3, {**record(0.5, decoding=1), name: value})
    assert one is None or (one.step.took_s >= 0 and one.step.sequences >= 0 and one.step.prompt_tokens >= 0)


@given(json)
def test_anything_else_is_refused(value: Any) -> None:
    assert pass_of(0, value) is None
