"""The named fleets: their facts, that they can be built, and that each is what it says it is."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.simulator.scenarios import (
    FLEETS,
    H100,
    LLAMA_8B,
    LLAMA_70B,
    build,
    demo_fleet,
    kv_capacity_tokens,
    step_costs,
)
from collector.simulator.traffic import DAY_S
from collector.simulator.truth import Shares, shares

START_UNIX_S = 20_000 * DAY_S


def test_bytes_follow_from_the_shapes() -> None:
    """2 (K and V) · 2 bytes · 32 layers · 8 heads · 128 = 131,072; 80 layers give 327,680."""
    assert (LLAMA_8B.kv_bytes_per_token, LLAMA_70B.kv_bytes_per_token) == (131_072, 327_680)
    assert (LLAMA_8B.weight_bytes, LLAMA_70B.weight_bytes) == pytest.approx((16.06e9, 141.1e9))


def test_a_step_reads_all_weights_but_the_embedding_table() -> None:
    """8.03e9 - 128,256 · 4,096 = 7,504,663,424 parameters of 2 bytes, at 0.8 · 3.35e12 bytes/s: 5.6005 ms."""
    costs = step_costs(LLAMA_8B, H100, 1)
    assert (costs.weight_bytes, costs.active_parameters) == (15_009_326_848, 7_504_663_424)
    assert costs.weight_read_s == pytest.approx(5.6005e-3, rel=1e-4)


def test_several_gpus_share_the_reading_and_pay_for_talking() -> None:
    """Two all-reduces of 8 µs in each of 80 layers: 1.28 ms on top of 0.5 ms."""
    one, four = (step_costs(LLAMA_70B, H100, gpus) for gpus in (1, 4))
    assert four.weight_read_s == pytest.approx(one.weight_read_s / 4)
    assert (one.overhead_s, four.overhead_s) == pytest.approx((0.5e-3, 1.78e-3))


def test_kv_memory_is_what_weights_and_activations_leave() -> None:
    """0.92 · 80 GiB = 79,027,398,246; less 4 GiB and 16.06 GB: 58,672,430,950 bytes, 447,635 tokens of 131,072."""
    assert kv_capacity_tokens(LLAMA_8B, H100, 1) == 447_635


def test_a_fleet_has_its_own_ports_gpus_and_names() -> None:
    fleet = demo_fleet()
    assert [spec.name for spec in fleet] == ["chat-0", "chat-1", "summarise-0"]
    assert [spec.port_offset for spec in fleet] == [0, 1, 2]
    gpus = [spec.first_gpu + number for spec in fleet for number in range(spec.tensor_parallel)]
    assert gpus == [0, 1, 2, 3, 4, 5]
    assert FLEETS["demo"]() == fleet


def test_the_same_seed_builds_the_same_fleet_and_replicas_differ() -> None:
    runs = [build(demo_fleet(), seed, START_UNIX_S) for seed in (1, 1, 2)]
    for run in runs:
        for replica in run:
            replica.server.advance(300.0)
    truths = [[replica.server.truth() for replica in run] for run in runs]
    assert truths[0] == truths[1]
    assert truths[0] != truths[2]
    assert truths[0][0] != truths[0][1]


@pytest.fixture(scope="module")
def spent() -> dict[str, Shares]:
    """How each replica of the demo spends ten minutes around noon, the daily mean of its traffic being at 09:00."""
    noon = 12 * 3600.0
    replicas = build(demo_fleet(), 1, START_UNIX_S + noon)
    found = {}
    for replica in replicas:
        replica.server.advance(300.0)
        before = replica.server.truth()
        replica.server.advance(900.0)
        found[replica.spec.name] = shares(before, replica.server.truth())
    return found


def test_chat_is_decode_heavy_and_memory_bound_with_a_moderate_batch(spent: dict[str, Shares]) -> None:
    for name in ("chat-0", "chat-1"):
        assert spent[name].marginal_prefill_ratio < 0.1
        assert spent[name].memory_bound_ratio > 0.7
        assert 8 < spent[name].decode_batch < 40


def test_summarise_is_prefill_heavy_and_compute_bound(spent: dict[str, Shares]) -> None:
    assert spent["summarise-0"].marginal_prefill_ratio > 0.45
    assert spent["summarise-0"].memory_bound_ratio < 0.5


def test_traffic_peaks_at_15_and_is_lowest_at_3_utc_whenever_the_server_started() -> None:
    """1.6 requests/s with a swing of 0.6: 2.56 and 0.64 per second; half an hour at the low has 3 % of noise."""
    rates = {}
    for hour in (2.75, 14.75):
        replica = build(demo_fleet(), 1, START_UNIX_S + 3600 * hour)[0]
        replica.server.advance(1800.0)
        rates[hour] = replica.server.truth().arrivals / 1800.0
    assert rates == pytest.approx({2.75: 0.64, 14.75: 2.56}, rel=0.07)


def test_every_page_is_read_back_under_its_model_name() -> None:
    for replica in build(demo_fleet(), 1, START_UNIX_S):
        replica.server.advance(60.0)
        samples = [s for family in text_string_to_metric_families(replica.page.render()) for s in family.samples]
        names = {sample.labels["model_name"] for sample in samples if "model_name" in sample.labels}
        assert names == {replica.spec.model.name}
        (started,) = [sample.value for sample in samples if sample.name == "process_start_time_seconds"]
        assert started == START_UNIX_S
