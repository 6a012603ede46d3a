"""A target whose page shows GPUs, polled over real HTTP: told by itself, refused by name, gone when it fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from analyzer.samples import GpuSample
from collector.errors import Kind, SourceError
from collector.export.snapshot import State
from collector.gpu.dcgm_target import FROZEN_AFTER_S, EnergyWatch
from collector.gpu.readings import GpuReading
from collector.health import DaemonHealth, TargetHealth
from collector.jobs.any_target import Parts
from collector.jobs.discover import find_on_loopback, usual_ports
from collector.jobs.gpu_board import MISSED_S, GpuBoard
from collector.jobs.joins import GpuJoins
from collector.jobs.polled import Polled
from collector.jobs.scraper import scraper_of
from collector.jobs.targets import Target, static_targets
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.page import LayoutPool
from collector.settings.load import parse_settings
from tests.fakes.hand_clock import HandClock
from tests.fakes.metrics_app import MetricsApp, running

PAGES = Path(__file__).parents[1] / "pages"
GPUS = (PAGES / "gpus/dcgm__4.8.2__busy-and-idle.prom").read_text()
VLLM = (PAGES / "vllm__0.32.0__busy.prom").read_text()
BUSY, IDLE = "GPU-aaaaaaaa-0000-0000-0000-000000000001", "GPU-bbbbbbbb-0000-0000-0000-000000000002"


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.polled: list[Polled] = []
        self.gpus: list[GpuSample] = []

    def put(self, _target: str, polled: list[Polled]) -> None:
        self.polled += polled

    def newest_s(self, _target: str) -> None:
        """No poll of an earlier run is known."""

    def put_gpus(self, samples: list[GpuSample]) -> None:
        self.gpus += samples


class Bench:
    """One target with all that its polls need."""

    def __init__(self, app: MetricsApp, engine: str) -> None:
        self.app, self.engine = app, engine
        self.sink, self.clock = Kept(), HandClock()
        self.state = State("test", DaemonHealth(0.0))
        self.health = TargetHealth()
        self.poll: Callable[[], Awaitable[None]]


def bench(app: MetricsApp, steps: Callable[[Bench], Awaitable[None]], engine: str = "auto") -> Bench:
    """Runs steps with the polls of a target that the app serves."""
    made = Bench(app, engine)

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            one = _target(url, engine)
            board = GpuBoard(made.sink, made.state)  # type: ignore[arg-type]
            parts = Parts(made.sink, board, GpuJoins(), LayoutPool(), TlsContexts(), made.clock)  # type: ignore[arg-type]
            made.poll = parts.poll_of(one, Fetcher(session), made.health).run
            await steps(made)

    asyncio.run(go())
    return made


def _target(url: str, engine: str) -> Target:
    address = url.split("/")[2]
    text = f"scrape_configs: [{{job_name: j, engine: {engine}, static_configs: [{{targets: ['{address}']}}]}}]"
    (one,) = static_targets(parse_settings(text, "test.yaml"))
    return one


async def once(one: Bench) -> None:
    await one.poll()


@pytest.mark.parametrize("engine", ["auto", "dcgm"])
def test_an_exporter_is_told_by_its_series_and_its_gpus_are_samples(engine: str) -> None:
    one = bench(MetricsApp(GPUS), once, engine)

    assert (one.health.up, one.health.engine, one.health.unreported) == (True, "dcgm", ())
    assert [(gpu.uuid, gpu.utilization_ratio, gpu.interval_s) for gpu in one.sink.gpus] == [
        (BUSY, 0.993, 15.0),
        (IDLE, 0.0, 15.0),
    ]
    assert one.state.gpus[BUSY].throttled_ratio == 1.0  # reason 4: the power cap
    assert one.sink.polled == []


def test_an_engine_at_a_target_left_to_auto_is_read_as_before() -> None:
    one = bench(MetricsApp(VLLM), once)

    assert (one.health.engine, len(one.sink.polled), one.sink.gpus) == ("vllm", 1, [])


def test_a_target_that_turns_from_one_kind_to_the_other_and_back_is_followed() -> None:
    async def steps(one: Bench) -> None:
        await one.poll()
        one.app.text = VLLM
        await one.poll()
        assert one.health.reason == Kind.WRONG_ENGINE
        assert (one.state.gpus, one.state.health.gpus) == ({}, {})
        await one.poll()
        assert one.health.engine == "vllm"
        one.app.text = GPUS
        await one.poll()
        assert one.health.engine == "dcgm"

    one = bench(MetricsApp(GPUS), steps)
    assert (len(one.sink.polled), len(one.sink.gpus)) == (1, 4)


def test_a_failed_poll_leaves_no_gpu_standing_and_a_good_one_brings_it_back() -> None:
    async def steps(one: Bench) -> None:
        await one.poll()
        one.app.status = 500
        await one.poll()
        assert one.state.gpus == {}
        assert {gpu.reason for gpu in one.state.health.gpus.values()} == {Kind.HTTP_STATUS.value}
        assert one.health.failures == {Kind.HTTP_STATUS.value: 1}
        one.app.status = 200
        await one.poll()
        assert one.state.gpus.keys() == {BUSY, IDLE}

    bench(MetricsApp(GPUS), steps)


def test_an_exporter_stated_as_an_engine_is_refused_by_name() -> None:
    one = bench(MetricsApp(GPUS), once, "vllm")

    assert one.health.reason == Kind.WRONG_ENGINE
    assert "dcgm-exporter (engine: dcgm)" in str(one.health.message)


def test_an_engine_stated_as_an_exporter_is_refused_by_name() -> None:
    one = bench(MetricsApp(VLLM), once, "dcgm")

    assert one.health.reason == Kind.WRONG_ENGINE
    assert "not a page of dcgm-exporter" in str(one.health.message)


def test_a_page_that_is_no_longer_renewed_is_frozen_after_three_minutes() -> None:
    """Energy that stands still at 612 W; the idle GPU's moves. The figures come back as soon as the energy moves."""
    energy = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{"

    async def steps(one: Bench) -> None:
        for moved, expected in ((0, 2), (FROZEN_AFTER_S - 1, 2), (1, 1)):
            one.clock.advance(moved)
            one.app.text = re.sub(rf"({re.escape(energy)}.*{IDLE}.*) \d+", rf"\1 {5e8 + one.clock.wall_s():.0f}", GPUS)
            await one.poll()
            assert len(one.state.gpus) == expected
        assert one.state.health.gpus[BUSY].reason == "frozen"
        one.app.text = GPUS.replace("812345678901", "812345679901")
        await one.poll()
        assert BUSY in one.state.gpus

    bench(MetricsApp(GPUS), steps)


@pytest.mark.parametrize(
    ("power_w", "reasons"), [(612.0, ("frozen", "frozen")), (0.0, (None, None)), (None, (None, None))]
)
def test_energy_that_stands_still_is_frozen_only_beside_power_and_so_are_the_gpus_instances(
    power_w: float | None, reasons: tuple[str | None, str | None]
) -> None:
    clock = HandClock()
    watch = EnergyWatch(clock)
    gpu = GpuReading("GPU-1", fields={"energy_j_total": 5.0, "power_w": power_w})
    instance = GpuReading("GPU-1/GI-3", fields={"utilization_ratio": 0.5})
    watch.checked([gpu, instance])
    clock.advance(FROZEN_AFTER_S)

    assert tuple(one.reason for one in watch.checked([gpu, instance])) == reasons


def test_an_exporter_on_loopback_is_found_beside_an_engine_and_not_alone() -> None:
    async def go() -> None:
        async with running(MetricsApp(GPUS)) as exporter, running(MetricsApp(VLLM)) as engine:
            ports = [int(url.split("/")[2].rpartition(":")[2]) for url in (exporter, engine)]
            assert {one.engine for one in await find_on_loopback(ports)} == {"dcgm", "vllm"}
            assert await find_on_loopback(ports[:1]) == []

    asyncio.run(go())
    assert 9400 in usual_ports()


def test_the_kind_of_a_page_is_told_to_who_only_looks() -> None:
    async def go() -> None:
        async with running(MetricsApp(GPUS)) as url, client_session() as session:
            with pytest.raises(SourceError, match="a page of dcgm-exporter") as raised:
                await scraper_of(_target(url, "auto"), Fetcher(session), TlsContexts(), only_look=True).scrape()
            assert raised.value.kind is Kind.UNKNOWN_ENGINE

    asyncio.run(go())


@pytest.mark.fault(
    "1", "fewer GPUs than before, or none", promise="one that an exporter's page no longer shows is missing"
)
def test_a_gpu_that_the_page_no_longer_shows_is_missing_until_it_is_back() -> None:
    """And forgotten after a day: it was taken out, or cut anew."""

    async def steps(one: Bench) -> None:
        await one.poll()
        one.app.text = "".join(line for line in GPUS.splitlines(keepends=True) if IDLE not in line)
        for _ in range(2):
            await one.poll()
            assert one.state.gpus.keys() == {BUSY}
            assert one.state.health.gpus[BUSY].up
            assert (one.state.health.gpus[IDLE].up, one.state.health.gpus[IDLE].reason) == (False, "missing")
        one.app.text = GPUS
        await one.poll()
        assert one.state.health.gpus[IDLE].up
        one.app.text = "".join(line for line in GPUS.splitlines(keepends=True) if IDLE not in line)
        await one.poll()
        one.clock.advance(MISSED_S + 1)
        await one.poll()
        assert one.state.health.gpus.keys() == {BUSY}

    bench(MetricsApp(GPUS), steps)
