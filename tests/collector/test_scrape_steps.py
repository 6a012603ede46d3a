"""Steps told one by one: seconds with and without prompt tokens, and what the prompt tokens added."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.steps import STEP_INPUTS, Step, StepSums
from collector.scrape.vllm_steps import vllm_step


def step(prompt_tokens: int, sequences: int, took_s: float) -> Step:
    return Step("0", 0, prompt_tokens, sequences, took_s)


def sums(*polls: Iterable[Step]) -> StepSums:
    made = StepSums()
    for steps in polls:
        made.add(steps)
    return made


def marginal_s(made: StepSums) -> float:
    return made.values["told_prefill_marginal_s"]


def test_a_step_with_prompt_tokens_is_prefill_and_any_other_is_decode() -> None:
    made = sums([step(512, 0, 0.4), step(0, 1, 0.03), step(64, 3, 0.10), step(0, 4, 0.05)])
    told = made.values
    assert tuple(told) == STEP_INPUTS
    assert told["told_steps"] == 4
    assert told["told_sequence_steps"] == 0 + 1 + 3 + 4
    assert told["told_prompt_tokens"] == 576
    assert told["told_prefill_s"] == pytest.approx(0.4 + 0.10)
    assert told["told_decode_s"] == pytest.approx(0.03 + 0.05)


def test_marginal_prefill_is_the_step_less_what_its_batch_takes_alone() -> None:
    """0.40 wholly, and 0.10 less the mean of 0.04 and 0.06."""
    made = sums([step(512, 0, 0.4), step(0, 2, 0.04), step(0, 2, 0.06), step(64, 2, 0.10)])
    assert marginal_s(made) == pytest.approx(0.40 + 0.10 - 0.05)


def test_a_batch_that_was_not_seen_alone_is_read_off_its_neighbours() -> None:
    """Between 0.02 s at 2 and 0.06 s at 10, six sequences take 0.04 s; beyond 10 the nearest, 0.06 s."""
    alone = [step(0, 2, 0.02)] * 8 + [step(0, 10, 0.06)] * 8
    assert marginal_s(sums(alone, [step(64, 6, 0.10)])) == pytest.approx(0.06)
    assert marginal_s(sums(alone, [step(64, 12, 0.10)])) == pytest.approx(0.04)
    assert marginal_s(sums(alone, [step(64, 1, 0.10)])) == pytest.approx(0.08)


def test_a_mixed_step_before_any_decode_step_is_counted_once_one_was_seen() -> None:
    made = sums([step(64, 1, 0.10)])
    assert marginal_s(made) == 0
    assert made.values["told_prefill_s"] == pytest.approx(0.10)
    made.add([step(0, 1, 0.03)])
    assert marginal_s(made) == pytest.approx(0.07)


def test_steps_from_before_our_time_only_teach_what_decoding_costs() -> None:
    made = StepSums()
    made.learn([step(0, 1, 0.03), step(9, 1, 5.0)])
    assert set(made.values.values()) == {0}
    made.add([step(64, 1, 0.10)])
    assert marginal_s(made) == pytest.approx(0.07)


def test_a_growing_context_is_followed() -> None:
    """Decode steps that once took 10 ms have long taken 30 ms: a mixed step of 50 ms adds 20 ms."""
    made = sums([step(0, 4, 0.01)] * 500, [step(0, 4, 0.03)] * 500, [step(64, 4, 0.05)])
    assert marginal_s(made) == pytest.approx(0.02, rel=0.01)


def test_a_step_without_any_token_counts_for_nothing() -> None:
    """Data-parallel ranks run such steps only to keep in step with the others."""
    assert set(sums([step(0, 0, 0.02)]).values.values()) == {0}


def test_chance_does_not_add_up() -> None:
    """Mixed steps whose one prompt token adds 1 ms to 30 +- 10 ms: the sum is right although single ones are not."""
    chance = random.Random(5)
    made = StepSums()
    for _ in range(200):
        alone = [step(0, 8, chance.gauss(0.030, 0.010)) for _ in range(20)]
        made.add([*alone, *(step(1, 8, chance.gauss(0.031, 0.010)) for _ in range(5))])
    assert marginal_s(made) == pytest.approx(1000 * 0.001, abs=0.5)  # 1000 steps: 10 ms * sqrt(1000 * 1.5) = 0.39 s
    clipped = 1000 * 0.0045  # what cutting each difference off at zero would give: E[max(0, x)] of 1 +- 10 ms
    assert marginal_s(made) < clipped / 2


STEPS = st.lists(
    st.builds(
        step,
        st.integers(0, 3).map(lambda n: n * 100),
        st.integers(0, 300),
        st.floats(0, 10, allow_nan=False, allow_infinity=False),
    ),
    max_size=30,
)


@given(st.lists(STEPS, max_size=8))
def test_no_sum_ever_falls_and_marginal_prefill_is_at_most_the_exclusive(polls: list[list[Step]]) -> None:
    made = StepSums()
    before = made.values
    for steps in polls:
        made.add(steps)
        assert all(made.values[name] >= before[name] for name in STEP_INPUTS)
        assert marginal_s(made) <= made.values["told_prefill_s"] + 1e-9
        before = made.values


@given(STEPS, st.integers(0, 30))
def test_all_seconds_are_counted_once_however_the_polls_cut_them(steps: list[Step], cut: int) -> None:
    whole, parts = sums(steps).values, sums(steps[:cut], steps[cut:]).values
    counted = [one for one in steps if one.prompt_tokens or one.sequences]
    for told in (whole, parts):
        assert told["told_prefill_s"] + told["told_decode_s"] == pytest.approx(sum(one.took_s for one in counted))
        assert told["told_steps"] == len(counted)


LINE = (
    b"(EngineCore_DP1 pid=1205) INFO 07-09 03:15:05 [core.py:359] Iteration(15): 2 context requests, 7986 context "
    b"tokens, 14 generation requests, 28 generation tokens, iteration elapsed time: 1115.64 ms"
)


@pytest.mark.parametrize(
    "line",
    [
        LINE,
        LINE + b", GPU KV cache usage: 3.1%",
        LINE + b"\r",
        b"\x1b[0;36m" + LINE.replace(b"1205)", b"1205)\x1b[0;0m"),
    ],
    ids=["0.14", "0.32", "carriage return", "in colour"],
)
def test_a_line_of_vllm_tells_rank_index_tokens_sequences_and_seconds(line: bytes) -> None:
    assert vllm_step(line) == Step("1", 15, 7986, 14, pytest.approx(1.11564))


@pytest.mark.parametrize(
    ("before", "rank"),
    [
        (b"(EngineCore pid=1205)", "0"),
        (b"(EngineCore_0 pid=1205)", "0"),
        (b"(EngineCore_DP12 pid=1205)", "12"),
        (b"", "0"),
        (b"(APIServer pid=18221)", "0"),
    ],
)
def test_the_rank_is_the_engine_cores_number_and_0_without_one(before: bytes, rank: str) -> None:
    told = vllm_step(LINE.replace(b"(EngineCore_DP1 pid=1205)", before))
    assert told is not None
    assert told.rank == rank


def test_a_line_of_0_32_is_the_api_servers_and_names_the_engine() -> None:
    told = vllm_step(
        b"(APIServer pid=18221) INFO 11-24 03:36:53 [loggers.py:199] Engine 003: Iteration(637): 1 context requests, "
        b"32 context tokens, 4 generation requests, 4 generation tokens, iteration elapsed time: 416.61 ms, CPU KV "
        b"cache usage: 0.3%"
    )
    assert told == Step("3", 637, 32, 4, pytest.approx(0.41661))


def test_a_dummy_step_has_no_tokens() -> None:
    told = vllm_step(
        b"INFO Iteration(3): 0 context requests, 0 context tokens, 0 generation requests, 0 generation tokens, "
        b"iteration elapsed time: 4.00 ms (dummy)"
    )
    assert told == Step("0", 3, 0, 0, 0.004)


@pytest.mark.parametrize("line", [b"", b"INFO Avg prompt throughput: 1.0 tokens/s", b"\xff\xfe", b"x" * 100_000])
def test_any_other_line_tells_no_step(line: bytes) -> None:
    assert vllm_step(line) is None


def test_a_prompt_in_the_log_cannot_pass_for_a_step() -> None:
    """Prompts are logged as quoted text; a line break in one is written as two characters."""
    assert vllm_step(b"INFO Received request a: prompt: '" + LINE + b"', params: x") is None
    assert vllm_step(b'INFO Received request a: prompt: "' + LINE + b'", params: x') is None


@pytest.mark.parametrize(
    "line", [LINE[:-8], LINE.replace(b" ms", b" s"), LINE.replace(b"7986", b"-1"), LINE.replace(b"1115.64", b"nan")]
)
def test_a_line_that_is_cut_or_written_otherwise_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="step log"):
        vllm_step(line)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader_of_lines(noise: bytes) -> None:
    for line in (noise, LINE[:60] + noise, noise + LINE):
        try:
            told = vllm_step(line)
        except ValueError:
            continue
        assert told is None or told.took_s >= 0
