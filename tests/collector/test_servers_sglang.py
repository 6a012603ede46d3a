"""SGLang's figures: live counts before finished ones, the device timer before moments, and its traps unread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import read
from collector.scrape.spec import Context, Derived
from collector.servers import engine_specs

SGLANG = engine_specs()["sglang"]
(LOADS,) = SGLANG.extras


def derive(**values: float) -> Derived:
    assert SGLANG.derive is not None
    every = dict.fromkeys((*SGLANG.provides, *SGLANG.inputs, *LOADS.inputs))
    return SGLANG.derive({**every, **values}, Context(frozenset(), False, {}))


def test_draft_and_verify_time_is_decode_time_and_idle_time_is_neither() -> None:
    got = derive(timed=100.0, timed_extend=30.0, timed_split_prefill=2.0, timed_idle=8.0).fields
    assert (got["prefill_s_total"], got["decode_s_total"]) == (32, 60)  # 100 - 30 - 2 - 8


@pytest.mark.parametrize("prefix", ["timed", "old_timed"])
def test_the_device_timer_is_believed_before_the_schedulers_moments(prefix: str) -> None:
    moments = {"prefill_busy_s": 1.0, "prefill_tokens": 10.0, "realtime_computed": 10.0}
    assert derive(**{prefix: 5.0, f"{prefix}_extend": 2.0}, **moments).fields["prefill_s_total"] == 2
    assert derive(**moments).fields["prefill_s_total"] == 1


def test_moments_are_scaled_to_all_tokens_and_steps() -> None:
    """Batches at the border of two phases are not timed: 10 of 1000 prompt tokens, 100 of 400 steps."""
    got = derive(
        prefill_busy_s=2.0,
        prefill_tokens=990.0,
        realtime_computed=1000.0,
        decode_step_s=6.0,
        decode_steps=300.0,
        passes_graph=390.0,
        passes_plain=10.0,
    ).fields
    assert got["prefill_s_total"] == pytest.approx(2.0 * 1000 / 990)
    assert got["decode_s_total"] == 8  # 6 s x 400 / 300
    assert derive(decode_step_s=0.0, decode_steps=0.0, passes_graph=3.0).fields["decode_s_total"] is None


@given(
    st.floats(0.7, 1.0),
    st.floats(0.7, 1.0),
    st.floats(0.005, 0.05),
    st.floats(0.005, 0.05),
    st.integers(1000, 10_000_000),
)
def test_a_long_history_does_not_spoil_what_a_minute_adds(
    share: float, share_now: float, step_s: float, step_now_s: float, history: int
) -> None:
    """The error is the product of both deviations from the mean, however long the process has run."""
    timed, now = share * history, share_now * 1000
    before = derive(decode_step_s=timed * step_s, decode_steps=timed, passes_graph=history)
    after = derive(
        decode_step_s=timed * step_s + now * step_now_s, decode_steps=timed + now, passes_graph=history + 1000
    )
    got, earlier = after.fields["decode_s_total"], before.fields["decode_s_total"]
    assert got is not None
    assert earlier is not None
    bound = 1000 * abs(1 - share_now / share) * abs(step_now_s - step_s)
    assert abs(got - earlier - 1000 * step_now_s) <= bound + 1e-6 * got


def test_counts_are_live_where_there_are_live_ones() -> None:
    got = derive(realtime_computed=70.0, realtime_cached=30.0, realtime_decoded=55.0, finished_prompt_tokens_total=9.0)
    assert got.fields["prompt_tokens_total"] == 100  # 70 + 30
    assert got.fields["generation_tokens_total"] == got.fields["decode_sequence_steps_total"] == 55
    assert {"prompt_tokens_total", "prefill_tokens_total", "generation_tokens_total"} <= got.live
    old = derive(finished_prompt_tokens_total=90.0, finished_cached=20.0, finished_generation_tokens_total=40.0)
    assert (old.fields["prefill_tokens_total"], old.fields["generation_tokens_total"]) == (70, 40)
    assert old.live == frozenset()
    assert "prefill_tokens_total" not in derive(finished_prompt_tokens_total=90.0).fields  # what was cached is unknown


def test_decoded_tokens_are_no_sequence_steps_with_speculative_decoding() -> None:
    got = derive(realtime_decoded=55.0, accept_length=2.4)
    assert "decode_sequence_steps_total" not in got.fields
    assert "speculative" in got.notes["decode_sequence_steps_total"]


def test_workers_of_one_replica_are_not_added_up_and_the_lowest_is_read_by_number() -> None:
    label = 'model_name="m",mode="decode"'
    rows = [
        f'sglang:realtime_tokens_total{{{label},tp_rank="{tp}"}} {value}' for tp, value in ((10, 7), (2, 5), (3, 9))
    ]
    text = "# TYPE sglang:realtime_tokens_total counter\n" + "\n".join(rows) + "\n"
    page = PageParser(SGLANG.wanted, Limits()).parse(text.encode())
    (replica,) = read(SGLANG, page, {}).replicas
    assert replica.fields["generation_tokens_total"] == 5


def test_figures_known_to_mislead_are_never_read() -> None:
    """Bytes charged per token, a gauge that is always 0, and rates that stay when the server is idle."""
    traps = (
        "read_bytes_total",
        "write_bytes_total",
        "utilization",
        "gen_throughput",
        "cache_hit_rate",
        "fwd_occupancy",
    )
    assert not {f"sglang:{name}" for name in traps} & SGLANG.wanted


def test_server_info_tells_the_identity_and_auto_tells_nothing() -> None:
    told = SGLANG.identity[0].read(
        {
            "model_path": "meta-llama/Llama-3.1-8B-Instruct-FP8",
            "dtype": "auto",
            "quantization": None,
            "kv_cache_dtype": "fp8_e5m2",
            "tp_size": 2,
            "pp_size": 1,
            "ep_size": 1,
            "context_length": 8192,
            "enable_mixed_chunk": True,
            "version": "0.5.23",
        }
    )
    assert {name: value for name, value in told.items() if value is not None} == {
        "engine_version": "0.5.23",
        "model_path": "meta-llama/Llama-3.1-8B-Instruct-FP8",
        "quantization": "fp8-w8a8",
        "kv_dtype": "fp8_e5m2",
        "tensor_parallel": 2,
        "pipeline_parallel": 1,
        "expert_parallel": 1,
        "max_context_tokens": 8192,
        "mixed_steps": True,
    }


def test_loads_are_told_by_rank_and_a_rank_without_moments_has_none() -> None:
    answer = {
        "loads": [
            {"dp_rank": 0, "total_prefill_busy_us": 2_000_000, "decode_moments": [4, 8.0, 40_000.0, 0, 0, 0]},
            {"dp_rank": 1, "num_running_reqs": 3},
            {"num_running_reqs": 3},
        ]
    }
    assert LOADS.read(answer) == {
        "0": {"prefill_busy_s": 2.0, "prefill_tokens": None, "decode_steps": 4.0, "decode_step_s": 0.04},
        "1": dict.fromkeys(LOADS.inputs),
    }
