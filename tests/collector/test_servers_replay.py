"""Captured runs of real servers, replayed: what we read equals what clients and the engine's own log counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.captured_run import CAPTURES
from tests.fakes.captured_run import page_fields as fields

VLLM = CAPTURES / "vllm-0.32.0-tiny-f32"
LLAMACPP = CAPTURES / "llamacpp-b11549-smollm2"


def truth(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    return loaded


def increase(folder: Path, phase: str, engine: str, identity: dict[str, Any] | None = None) -> dict[str, float]:
    """What each reported counter grew by during a phase."""
    before = fields(folder / f"{phase}-start.prom", engine, identity)
    after = fields(folder / f"{phase}-end.prom", engine, identity)
    pairs = ((name, before[name], value) for name, value in after.items())
    return {name: new - old for name, old, new in pairs if old is not None and new is not None}


def phases(folder: Path) -> list[Any]:
    return [pytest.param(one, id=one["phase"]) for one in truth(folder)["phases"]]


@pytest.mark.parametrize("phase", phases(VLLM))
def test_vllm_counts_equal_the_clients_and_the_engines_log(phase: dict[str, Any]) -> None:
    got = increase(VLLM, phase["phase"], "vllm")
    expected = {
        "prompt_tokens_total": phase["prompt_tokens"],
        "prefill_tokens_total": phase["prompt_tokens"],  # no prefix cache in this run
        "cached_tokens_total": 0,
        "generation_tokens_total": phase["generated_tokens"],
        "steps_total": phase["steps"],
        "step_tokens_total": phase["prompt_tokens"] + phase["generated_tokens"],
        "decode_sequence_steps_total": phase["decode_sequence_steps"],
        "prefills_total": phase["requests"],
        "requests_finished_total": phase["requests"],
        "finished_prompt_tokens_total": phase["prompt_tokens"],
        "finished_generation_tokens_total": phase["generated_tokens"],
        "preemptions_total": 0,
    }
    assert {name: got[name] for name in expected} == expected


@pytest.mark.parametrize("phase", phases(VLLM))
def test_vllm_decode_batch_is_the_engines_within_3_percent(phase: dict[str, Any]) -> None:
    got = increase(VLLM, phase["phase"], "vllm")
    batch = got["decode_sequence_steps_total"] / got["steps_total"]
    assert batch == pytest.approx(phase["decode_sequence_steps"] / phase["steps"], rel=0.03)
    if phase["phase"].startswith("decode"):
        assert batch == pytest.approx(phase["concurrency"], rel=0.03)  # every client decodes nearly all the time


def test_vllm_sums_over_the_whole_run_equal_the_truth() -> None:
    told = truth(VLLM)
    first = fields(VLLM / "decode-c1-start.prom", "vllm")
    last = fields(VLLM / "sat-c24-end.prom", "vllm")
    for name, key in (
        ("prompt_tokens_total", "prompt_tokens"),
        ("generation_tokens_total", "generated_tokens"),
        ("steps_total", "steps"),
    ):
        before, after = first[name], last[name]
        assert before is not None
        assert after is not None
        assert after - before == sum(phase[key] for phase in told["phases"])
    assert last["steps_total"] == told["steps_in_log"] == 1074


@pytest.mark.parametrize("phase", phases(LLAMACPP))
def test_llamacpp_counts_equal_the_clients_at_rest(phase: dict[str, Any]) -> None:
    got = increase(LLAMACPP, phase["phase"], "llamacpp", {"slots": 8})
    assert got["prefill_tokens_total"] == phase["prompt_tokens"]
    assert got["cached_tokens_total"] == phase["cached_tokens"]
    assert got["prompt_tokens_total"] == phase["prompt_tokens"] + phase["cached_tokens"]
    assert got["generation_tokens_total"] == phase["generated_tokens"]


@pytest.mark.parametrize("phase", phases(LLAMACPP))
def test_llamacpp_prompt_time_is_counted_once_whatever_the_concurrency(phase: dict[str, Any]) -> None:
    """Eight slots: never more than the wall time, where the requests' own times add up to several times that."""
    got = increase(LLAMACPP, phase["phase"], "llamacpp", {"slots": 8})
    assert 0 < got["prefill_s_total"] <= phase["wall_s"]
    assert "decode_s_total" not in got


def test_llamacpp_with_one_client_at_a_time_gives_both_times_exactly() -> None:
    """One request at a time is what one slot sees: times equal the server's own, to the printed digits."""
    told = {phase["phase"]: phase for phase in truth(LLAMACPP)["phases"]}["decode-c1"]
    got = increase(LLAMACPP, "decode-c1", "llamacpp", {"slots": 1})
    assert got["decode_s_total"] == pytest.approx(told["predicted_s"], abs=1e-4)
    assert got["prefill_s_total"] == pytest.approx(told["prompt_s_of_requests"], rel=0.02)


@pytest.mark.parametrize(("phase", "batch"), [("decode-c1", 1.0), ("decode-c4", 4.0), ("decode-c8", 8.0)])
def test_llamacpp_mean_batch_is_the_number_of_clients_within_3_percent(phase: str, batch: float) -> None:
    got = increase(LLAMACPP, phase, "llamacpp", {"slots": 8})
    assert got["decode_sequence_steps_total"] / got["steps_total"] == pytest.approx(batch, rel=0.03)
