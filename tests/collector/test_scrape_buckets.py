"""A page's buckets become ours without a value taken for shorter than it was; what is no whole set is not reported."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.samples import LENGTH_BOUNDS
from collector.errors import Kind, SourceError
from collector.scrape.buckets import Counts, HistogramReading
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import Histograms, read
from collector.scrape.spec import EngineSpec, Reading

SPEC = EngineSpec(
    name="toy",
    title="Toy",
    tested_with=("1",),
    signatures=("toy_running",),
    evidence=("modelled: nothing",),
    rank_label="rank",
    worker_labels=("worker",),
    readings={
        "running_requests": Reading(("toy_running",), "gauge"),
        "steps_total": Reading(("toy_steps_count",), "counter"),
    },
    histograms={
        "step_tokens": HistogramReading(("toy_steps", "old_steps"), counted_by="steps_total"),
        "prompt_lengths": HistogramReading(("toy_prompt",), {"kind": "text"}, whole_server=True),
    },
)


def told(text: str, rank: str = "0", spec: EngineSpec = SPEC) -> Histograms:
    """The histograms of one replica on a page."""
    page = PageParser(spec.wanted, Limits()).parse(text.encode())
    return read(spec, page, {}).histograms()["", rank]


def steps(buckets: dict[str, float], labels: str = "", name: str = "toy_steps") -> str:
    """A page's step sizes with their count."""
    lines = "".join(f'{name}_bucket{{{labels}le="{le}"}} {value}\n' for le, value in buckets.items())
    return f"toy_steps_count{{{labels}}} 1\n{lines}"


def counted(text: str) -> list[float] | None:
    """The first buckets of the step sizes, without the empty ones at the end."""
    found = told(text)["step_tokens"]
    if found is None:
        return None
    last = max((at for at, count in enumerate(found) if count > 0), default=-1)
    return list(found[: last + 1])


def prompts(cumulative: dict[float, float]) -> Counts | None:
    """The prompt lengths of a page with these buckets."""
    lines = [f'toy_prompt_bucket{{kind="text",le="{bound}"}} {up_to}\n' for bound, up_to in cumulative.items()]
    return told("toy_running 1\n" + "".join(lines))["prompt_lengths"]


def test_cumulative_buckets_become_counts() -> None:
    """2, then 5 - 2, then 5 - 5, then 6 - 5 above the last bound: in the bucket that begins there."""
    assert counted(steps({"1.0": 2, "8.0": 5, "16.0": 5, "+Inf": 6})) == [2, 3, 0, 1]


@pytest.mark.parametrize("spelling", [("1", "8", "+Inf"), ("1.0", "8.0", "Inf"), ("1e0", "8.00", "+inf")])
def test_bounds_may_be_spelt_in_any_way_a_number_is(spelling: tuple[str, str, str]) -> None:
    assert counted(steps(dict(zip(spelling, (2, 5, 6), strict=True)))) == [2, 3, 1]


def test_the_order_of_lines_does_not_matter() -> None:
    assert counted(steps({"+Inf": 6, "8": 5, "1": 2})) == [2, 3, 1]


def test_above_our_own_highest_bound_is_our_last_bucket() -> None:
    found = told(steps({"8192": 1, "16384": 3, "+Inf": 7}))["step_tokens"]
    assert found is not None
    assert found[-3:] == (1, 2, 4)


def test_a_bucket_with_foreign_bounds_goes_where_its_upper_bound_is() -> None:
    """SGLang's 0-100-300-500-700: 300 lies in our 200-500, 700 in our 500-1000, and so does what is above it."""
    found = prompts({100.0: 1, 300.0: 3, 500.0: 7, 700.0: 15, inf: 31})
    assert found is not None
    assert {bound: count for bound, count in zip(LENGTH_BOUNDS, found, strict=False) if count > 0} == {
        100.0: 1,
        500.0: 2 + 4,
        1000.0: 8 + 16,
    }


@given(st.lists(st.integers(0, 900_000), max_size=50), st.sets(st.integers(1, 1_000_000), min_size=1, max_size=40))
def test_no_value_is_taken_for_shorter_than_it_was_and_none_is_lost(lengths: list[int], raw: set[int]) -> None:
    """Any lengths in any buckets that reach as far as the lengths do."""
    bounds = [float(bound) for bound in sorted(raw | {1_000_000})]
    cumulative = {bound: float(sum(length <= bound for length in lengths)) for bound in bounds}
    found = prompts({**cumulative, inf: float(len(lengths))})
    exact = [float(sum(length <= bound for length in lengths)) for bound in LENGTH_BOUNDS]

    assert found is not None
    assert sum(found) == len(lengths)
    assert all(up_to <= most for up_to, most in zip(accumulate(found), exact, strict=False))


@given(st.lists(st.integers(0, 2_000_000), max_size=50), st.sets(st.integers(1, 1_000_000)))
def test_buckets_that_have_our_bounds_are_exact_whatever_else_they_have(lengths: list[int], raw: set[int]) -> None:
    bounds = sorted({*map(float, raw), *LENGTH_BOUNDS})
    cumulative = {bound: float(sum(length <= bound for length in lengths)) for bound in bounds}
    found = prompts({**cumulative, inf: float(len(lengths))})

    assert found is not None
    assert list(accumulate(found)) == [sum(n <= bound for n in lengths) for bound in (*LENGTH_BOUNDS, inf)]


@pytest.mark.parametrize(
    "buckets",
    [
        {"1": 2, "8": 5},  # no +Inf: cut off
        {"+Inf": 5},  # a count and no distribution
        {"1": 5, "8": 2, "+Inf": 6},  # falls
        {"1": 5, "8": 6, "+Inf": 5},
        {"1": -1, "+Inf": 5},
        {"1": 2, "eight": 5, "+Inf": 6},
        {"1": 2, "nan": 5, "+Inf": 6},
        {"1": 2, "1.0": 2, "+Inf": 6},  # one bound twice
        {"1": 2, "8": inf, "+Inf": inf},
    ],
)
def test_what_is_no_whole_set_is_not_reported(buckets: dict[str, float]) -> None:
    assert counted(steps(buckets)) is None


def test_series_that_differ_in_other_labels_are_added_up() -> None:
    text = steps({"1": 2, "+Inf": 6}, 'reason="a",') + steps({"1": 1, "+Inf": 10}, 'reason="b",')
    assert counted(text) == [3, 13]


def test_series_of_different_bounds_are_not_added_up() -> None:
    text = steps({"1": 2, "+Inf": 6}, 'reason="a",') + steps({"8": 1, "+Inf": 10}, 'reason="b",')
    assert counted(text) is None


def test_of_workers_that_do_the_same_steps_the_lowest_is_read() -> None:
    text = steps({"1": 2, "+Inf": 6}, 'worker="1",') + steps({"1": 1, "+Inf": 10}, 'worker="0",')
    assert counted(text) == [1, 9]


def test_the_newest_name_is_read() -> None:
    new, old = {"1": 1, "+Inf": 1}, {"1": 7, "+Inf": 7}
    assert counted(steps(old, name="old_steps")) == [7]
    assert counted(steps(new) + steps(old, 'x="",', name="old_steps")) == [1]


def test_labels_select_series() -> None:
    text = 'toy_running 1\ntoy_prompt_bucket{kind="text",le="1"} 1\ntoy_prompt_bucket{kind="text",le="+Inf"} 1\n'
    assert told(text.replace("text", "image"))["prompt_lengths"] is None
    assert _sum(told(text)["prompt_lengths"]) == 1


def test_without_the_number_of_what_it_counts_a_histogram_is_not_given() -> None:
    """Where several servers count one step each, the engine takes back the count, and so falls the histogram."""
    text = steps({"1": 2, "+Inf": 6})
    assert told("toy_running 1\n" + text.replace("toy_steps_count{} 1\n", ""))["step_tokens"] is None


def test_what_a_server_counts_once_for_several_replicas_is_nobodys() -> None:
    lengths = 'toy_prompt_bucket{kind="text",le="1"} 1\ntoy_prompt_bucket{kind="text",le="+Inf"} 1\n'
    one, two = 'toy_running{rank="0"} 1\n', 'toy_running{rank="1"} 1\n'
    assert _sum(told(one + lengths)["prompt_lengths"]) == 1
    assert told(one + two + lengths)["prompt_lengths"] is None


def test_replicas_are_kept_apart() -> None:
    text = steps({"1": 2, "+Inf": 2}, 'rank="0",') + steps({"1": 5, "+Inf": 5}, 'rank="1",')
    assert [_sum(told(text, rank)["step_tokens"]) for rank in ("0", "1")] == [2, 5]


def test_buckets_of_another_type_fail_the_page() -> None:
    text = steps({"1": 2, "+Inf": 6})
    assert told("# TYPE toy_steps histogram\n" + text)["step_tokens"] is not None
    with pytest.raises(SourceError, match="toy_steps_bucket is declared a gauge") as raised:
        told("# TYPE toy_steps_bucket gauge\n" + text)
    assert raised.value.kind is Kind.BAD_PAGE


def test_a_page_without_buckets_is_read_as_ever() -> None:
    assert told("toy_running 1\n") == {"step_tokens": None, "prompt_lengths": None}


@pytest.mark.parametrize(
    ("histograms", "says"),
    [
        ({"steps_total": HistogramReading(("x",))}, "histogram: steps_total"),
        ({"step_tokens": HistogramReading(("x",), counted_by="steps")}, "count of a histogram: steps"),
    ],
)
def test_an_impossible_specification_is_refused(histograms: dict[str, HistogramReading], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SPEC, histograms=histograms)


def test_bucket_series_are_wanted_and_no_field_is_promised_for_them() -> None:
    assert {"toy_steps_bucket", "old_steps_bucket", "toy_prompt_bucket"} <= SPEC.wanted
    assert SPEC.provides == ("steps_total", "running_requests")


def _sum(counts: Counts | None) -> float | None:
    return None if counts is None else sum(counts)
