"""Captured runs polled again, second by second: every figure of every load against what clients and engine counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer.batching import decode_batch
from analyzer.evidence import Estimate, Evidence, Figure, Missing
from analyzer.phases import PhaseAccount, account
from analyzer.samples import Identity, ReplicaSample
from analyzer.throughput import generation_tokens_per_s, prefill_tokens_per_s
from analyzer.windows import Totals, add_up, pairwise_totals
from tests.fakes.captured_run import CAPTURES, LoggedStep, page_fields, pages, phase_steps, polled

VLLM = CAPTURES / "vllm-0.32.0-tiny-f32"
LLAMACPP = CAPTURES / "llamacpp-b11549-smollm2"
STEPS = phase_steps(VLLM)


def truth(folder: Path) -> dict[str, dict[str, Any]]:
    told = json.loads((folder / "truth.json").read_text())
    return {phase["phase"]: phase for phase in told["phases"]}


def spans(folder: Path, samples: list[ReplicaSample]) -> dict[str, Totals]:
    """Each phase's totals, from its first page, before the load, to its last, after it."""
    found: dict[str, list[ReplicaSample]] = {}
    for page, sample in zip(pages(folder), samples, strict=True):
        found.setdefault(page.told["phase"], []).append(sample)
    totals = {phase: add_up(pairwise_totals(of)) for phase, of in found.items() if phase in truth(folder)}
    return {phase: one for phase, one in totals.items() if one is not None}


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Totals]:
    return spans(VLLM, polled(VLLM, tmp_path_factory.mktemp("log") / "vllm.log"))


@pytest.fixture(scope="module")
def llamacpp_samples() -> list[ReplicaSample]:
    return polled(LLAMACPP, props={"total_slots": 8})


@pytest.fixture(scope="module")
def llamacpp(llamacpp_samples: list[ReplicaSample]) -> dict[str, Totals]:
    return spans(LLAMACPP, llamacpp_samples)


def value(figure: Figure) -> float:
    assert isinstance(figure, Estimate)
    return figure.value


each_load = pytest.mark.parametrize("load", list(STEPS))


@each_load
def test_vllm_generated_tokens_per_second_are_the_clients_within_1_percent(vllm: dict[str, Totals], load: str) -> None:
    totals = vllm[load]
    expected = truth(VLLM)[load]["generated_tokens"] / totals.covered_s
    assert value(generation_tokens_per_s(totals, lumpy=False)) == pytest.approx(expected, rel=0.01)
    assert totals.coverage_ratio == 1


@each_load
def test_vllm_computed_prompt_tokens_are_the_step_logs_within_1_percent(vllm: dict[str, Totals], load: str) -> None:
    totals = vllm[load]
    expected = sum(step.prompt_tokens for step in STEPS[load])
    assert value(prefill_tokens_per_s(totals)) * totals.covered_s == pytest.approx(expected, rel=0.01)


@each_load
def test_vllm_decode_batch_is_the_step_logs_within_3_percent(vllm: dict[str, Totals], load: str) -> None:
    steps = STEPS[load]
    expected = sum(step.generation_requests for step in steps) / len(steps)
    assert value(decode_batch(vllm[load])) == pytest.approx(expected, rel=0.03)


@each_load
def test_vllm_busy_and_exclusive_prefill_seconds_are_those_of_the_step_log(vllm: dict[str, Totals], load: str) -> None:
    prefill_s, decode_s = vllm[load].deltas["prefill_s_total"], vllm[load].deltas["decode_s_total"]
    assert prefill_s == pytest.approx(sum(step.ms for step in STEPS[load] if step.prompt_tokens) / 1000)
    assert decode_s == pytest.approx(sum(step.ms for step in STEPS[load] if not step.prompt_tokens) / 1000)


@each_load
def test_vllm_exclusive_prefill_share_is_the_step_logs_within_5_points(vllm: dict[str, Totals], load: str) -> None:
    steps = STEPS[load]
    expected = sum(step.ms for step in steps if step.prompt_tokens) / sum(step.ms for step in steps)
    figure = phases(vllm[load]).prefill_exclusive
    assert value(figure) == pytest.approx(expected, abs=0.05)
    assert evidence(figure) is Evidence.MEASURED


@each_load
def test_vllm_marginal_prefill_share_is_the_step_logs_within_5_points(vllm: dict[str, Totals], load: str) -> None:
    steps = STEPS[load]
    expected = sum(added_ms(step, steps) for step in steps if step.prompt_tokens) / sum(step.ms for step in steps)
    figure = phases(vllm[load]).prefill_marginal
    assert value(figure) == pytest.approx(expected, abs=0.05)
    assert evidence(figure) is Evidence.MEASURED


def phases(totals: Totals) -> PhaseAccount:
    """The account as the report makes it, of a server whose GPU nobody knows."""
    return account(totals, Identity("vllm", mixed_steps=True), Missing("no GPU"), None)


def evidence(figure: Figure) -> Evidence:
    assert isinstance(figure, Estimate)
    return figure.evidence


def added_ms(step: LoggedStep, steps: list[LoggedStep]) -> float:
    """What the prompt added: the step less the mean of this load's steps, later ones too, that decoded about as many
    sequences and no prompt."""
    if step.generation_requests == 0:
        return step.ms
    alone = [one for one in steps if not one.prompt_tokens]
    nearest = min(abs(one.generation_requests - step.generation_requests) for one in alone)
    like = [one.ms for one in alone if abs(one.generation_requests - step.generation_requests) == nearest]
    return step.ms - sum(like) / len(like)


def test_vllm_request_seconds_are_no_share_of_the_engines_time(vllm: dict[str, Totals]) -> None:
    """Under 24 clients the finished requests spent 14 % of their seconds in prefill, and the engine 23 % of its own."""
    prefill_s, decode_s = (vllm["sat-c24"].deltas[f"request_{phase}_s_total"] for phase in ("prefill", "decode"))
    assert prefill_s is not None
    assert decode_s is not None
    assert prefill_s / (prefill_s + decode_s) == pytest.approx(0.14, abs=0.01)
    assert value(phases(vllm["sat-c24"]).prefill_exclusive) == pytest.approx(0.23, abs=0.01)


def test_vllm_counts_the_tokens_of_requests_whose_client_left() -> None:
    """Six clients read 166 tokens and hung up: all of them are counted, and none once they are gone."""
    folder = CAPTURES / "vllm-0.32.0-abort"
    told = json.loads((folder / "truth.json").read_text())
    before, after, later = (counters(folder / f"{name}.prom", "vllm") for name in ("before", "just-after", "after-3s"))
    seen = sum(told["tokens_seen_before_disconnect"])
    assert seen == 166
    assert after["generation_tokens_total"] - before["generation_tokens_total"] == pytest.approx(seen, rel=0.01)
    assert after["prefill_tokens_total"] - before["prefill_tokens_total"] == told["clients"] * told["prompt_each"]
    assert later["generation_tokens_total"] == after["generation_tokens_total"]
    assert later["finished_generation_tokens_total"] == before["finished_generation_tokens_total"]


def counters(page: Path, engine: str) -> dict[str, float]:
    return {name: number for name, number in page_fields(page, engine).items() if number is not None}


each_llamacpp_load = pytest.mark.parametrize("load", list(truth(LLAMACPP)))


@each_llamacpp_load
def test_llamacpp_tokens_per_second_are_the_clients_within_1_percent(llamacpp: dict[str, Totals], load: str) -> None:
    totals, told = llamacpp[load], truth(LLAMACPP)[load]
    generated = value(generation_tokens_per_s(totals, lumpy=False)) * totals.covered_s
    assert generated == pytest.approx(told["generated_tokens"], rel=0.01)
    assert value(prefill_tokens_per_s(totals)) * totals.covered_s == pytest.approx(told["prompt_tokens"], rel=0.01)


@pytest.mark.parametrize(("load", "clients"), [("decode-c1", 1), ("decode-c4", 4), ("decode-c8", 8)])
def test_llamacpp_decode_batch_is_the_number_of_clients_within_3_percent(
    llamacpp: dict[str, Totals], load: str, clients: int
) -> None:
    assert value(decode_batch(llamacpp[load])) == pytest.approx(clients, rel=0.03)


def test_llamacpp_live_tokens_are_what_the_clients_had_received_at_that_moment(
    llamacpp_samples: list[ReplicaSample],
) -> None:
    """At each of 146 polls within a step of eight tokens, where the page alone is up to 983 tokens behind."""
    start = llamacpp_samples[0].generation_tokens_total
    assert start is not None
    off, page_off = [], []
    for page, sample in zip(pages(LLAMACPP), llamacpp_samples, strict=True):
        assert sample.generation_tokens_total is not None
        low, high = page.told["client_tokens"]  # right before and right after the scrape
        counted = sample.generation_tokens_total - start
        off.append(max(low - counted, counted - high, 0))
        alone = float(page.text.split("\nllamacpp:tokens_predicted_total ")[1].split("\n")[0])
        page_off.append(low - (alone - start))
    assert len(off) == 146
    assert max(off) <= 8
    assert max(page_off) == 983


def test_llamacpp_counts_the_tokens_of_requests_whose_client_left() -> None:
    """Six clients had read 180 tokens when they hung up; the server made up to two steps more for each."""
    folder = CAPTURES / "llamacpp-b11549-abort"
    told = json.loads((folder / "truth.json").read_text())
    before, after = (counters(folder / f"{name}.prom", "llamacpp") for name in ("before", "after-3s"))
    seen = sum(told["tokens_seen_before_disconnect"])
    assert seen == 180
    assert 0 <= after["generation_tokens_total"] - before["generation_tokens_total"] - seen <= 2 * told["clients"]
    assert after["prefill_tokens_total"] - before["prefill_tokens_total"] == told["clients"] * told["prompt_each"]


def test_llamacpp_past_a_million_tokens_counts_in_steps_of_ten() -> None:
    """The page prints six digits: the count is right to 10 tokens, and 1 more token may not be seen at all."""
    folder = CAPTURES / "llamacpp-b11549-nano-1m"
    told = json.loads((folder / "truth.json").read_text())["pages"]
    start = counters(folder / "start.prom", "llamacpp")["prefill_tokens_total"]
    for one in told:
        counted = counters(folder / f"{one['page']}.prom", "llamacpp")["prefill_tokens_total"] - start
        assert counted == pytest.approx(one["prompt_tokens"], abs=5 if one["prompt_tokens"] > 1e6 else 0)
