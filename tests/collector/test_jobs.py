"""The daemon's small parts: ticks, the worker, log lines, targets, duty cycles."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.samples import GpuSample
from collector.errors import Kind, SourceError
from collector.jobs.duty import DutyCycles
from collector.jobs.targets import auth_headers, static_targets, tls_context
from collector.jobs.ticks import Instants, aligned, every, first_delay_s, joined_s, offset_ratio
from collector.jobs.worker import Worker
from collector.logs import configure, event
from collector.settings.jobs import TlsConfig
from collector.settings.load import parse_settings
from collector.store import Steps
from tests.fakes.hand_clock import HandClock


@given(st.floats(0, 4e9), st.sampled_from([0.5, 1.0, 5.0, 15.0, 60.0]))
def test_a_tick_is_at_most_an_interval_before_its_poll(at_s: float, interval_s: float) -> None:
    tick_s = aligned(at_s, interval_s)

    assert 0 <= at_s - tick_s < interval_s + 1e-6


@pytest.mark.fault("2", "thousands of targets", promise="those of 5,000 are spread evenly over the interval")
def test_targets_are_spread_over_the_interval_and_always_alike() -> None:
    """5,000 targets in ten tenths: each holds about 500."""
    offsets = [offset_ratio(f"http://host-{number}:8000/metrics") for number in range(5000)]
    tenths = [sum(int(offset * 10) == tenth for offset in offsets) for tenth in range(10)]

    assert offsets == [offset_ratio(f"http://host-{number}:8000/metrics") for number in range(5000)]
    assert min(tenths) > 400
    assert max(tenths) < 600


@given(st.floats(0, 4e9), st.floats(0, 1e7), st.text(), st.sampled_from([0.5, 1.0, 5.0, 7.3, 15.0, 60.0, 3600.0]))
def test_polls_are_begun_at_shared_instants_off_the_edges_of_ticks(
    wall_s: float, monotonic_s: float, name: str, interval_s: float
) -> None:
    """Of 60 s there are 60 instants, of 15 s there are 20: no poll is put off by more than a twentieth."""
    delay_s = first_delay_s(name, interval_s, wall_s)

    begun_s = joined_s(monotonic_s + delay_s, interval_s)

    apart_s = begun_s / (interval_s / max(20, -(-interval_s // 1.0)))
    assert abs(apart_s - round(apart_s)) < 1e-3
    assert joined_s(begun_s, interval_s) == pytest.approx(begun_s)
    in_tick_s = (wall_s + begun_s - monotonic_s) % interval_s
    assert 0.1 - 1e-4 <= in_tick_s / interval_s <= 0.85 + 1e-4


@pytest.mark.fault(
    "3", "a job is slower than its interval", promise="turns are skipped and counted, never hurried after"
)
def test_a_poll_that_overruns_skips_turns_and_does_not_hurry_after_them() -> None:
    """Interval 10 s, the first poll takes 25 s: the next turn is at 30 s, not at 10 or 20, which are counted."""
    clock, begun, skipped = HandClock(), [], list[int]()

    async def poll() -> None:
        begun.append(clock.monotonic_s() - start_s)
        clock.advance(25 if len(begun) == 1 else 1)
        if len(begun) == 3:
            raise asyncio.CancelledError

    class ByHand(Instants):
        """Reached by turning the clock on."""

        async def reach(self, at_s: float) -> None:
            clock.advance(max(0.0, at_s - clock.monotonic_s()))

    start_s = clock.monotonic_s()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(every(10.0, 0.0, ByHand(clock), poll, skipped.append))

    assert begun == [0.0, 30.0, 40.0]
    assert skipped == [2]


def test_all_who_wait_for_an_instant_are_woken_by_one_timer_but_whoever_left() -> None:
    """Four wait for the instants 0 and 1 of a clock that stands at 1; the second of the first three leaves."""
    clock, woken = HandClock(), list[int]()

    async def main() -> int:
        instants, now_s = Instants(clock), clock.monotonic_s()
        timers: list[object] = []

        async def wait(number: int, at_s: float) -> None:
            await instants.reach(at_s)
            woken.append(number)

        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def counted(delay_s: float, callback: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
            timers.append(callback)
            return call_later(delay_s, callback, *arguments)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_later", counted)
            waiting = [asyncio.create_task(wait(number, now_s)) for number in range(3)]
            waiting.append(asyncio.create_task(wait(3, now_s - 1)))
            await asyncio.sleep(0)
            waiting[1].cancel()
            await asyncio.wait(waiting)
        return len(timers)

    assert asyncio.run(main()) == 2
    assert sorted(woken) == [0, 2, 3]


def test_a_worker_hands_back_results_and_errors() -> None:
    async def main() -> tuple[int, str]:
        worker = Worker("test")
        result = await worker.run(lambda: 6 * 7)
        with pytest.raises(ValueError, match="bad") as caught:
            await worker.run(int, "bad")
        assert worker.close(1.0)
        return result, str(caught.value)

    assert asyncio.run(main())[0] == 42


def test_a_worker_that_hangs_does_not_hold_up_the_end() -> None:
    release = threading.Event()

    async def main() -> bool:
        worker = Worker("test")
        hanging = asyncio.ensure_future(worker.run(release.wait))
        await asyncio.sleep(0)
        hanging.cancel()
        return worker.close(0.05)

    try:
        assert asyncio.run(main()) is False
    finally:
        release.set()


@pytest.fixture
def lines() -> Iterator[tuple[HandClock, io.StringIO]]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    clock, stream = HandClock(), io.StringIO()
    configure("info", "json", clock, stream)
    yield clock, stream
    root.handlers[:], root.level = handlers, level


def test_a_repeated_failure_is_logged_once_a_minute_with_its_count(lines: tuple[HandClock, io.StringIO]) -> None:
    clock, stream = lines
    log = logging.getLogger("breakeven.test")
    for _ in range(10):
        event(log, logging.WARNING, "poll failed", about="a", reason="timeout")
    event(log, logging.WARNING, "poll failed", about="b", reason="timeout")
    clock.advance(61)
    event(log, logging.WARNING, "poll failed", about="a", reason="timeout")

    logged = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["about"], one.get("repeated")) for one in logged] == [("a", None), ("b", None), ("a", 9)]


def test_logfmt_quotes_what_needs_quoting() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        configure("info", "logfmt", HandClock(), stream)
        event(logging.getLogger("breakeven.test"), logging.INFO, "two words", a=1, b='say "x"', c="line\nbreak")
    finally:
        root.handlers[:], root.level = handlers, level

    assert stream.getvalue().rstrip().endswith(r'msg="two words" a=1 b="say \"x\"" c="line\nbreak"')
    assert stream.getvalue().count("\n") == 1


def test_a_target_that_stands_twice_is_polled_once() -> None:
    text = "scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1', 'h:1']}, {targets: ['h:1']}]}]"

    assert len(static_targets(parse_settings(text, "c.yaml"))) == 1


def test_credentials_come_from_files_at_every_poll(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("one\n")
    text = (
        "scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1']}], "
        f"authorization: {{credentials_file: '{secret}'}}}}]"
    )
    job = parse_settings(text, "c.yaml").scrape_configs[0]
    first = auth_headers(job)
    secret.write_text("two\n")

    assert (first, auth_headers(job)) == ({"Authorization": "Bearer one"}, {"Authorization": "Bearer two"})
    secret.unlink()
    with pytest.raises(SourceError) as caught:
        auth_headers(job)
    assert caught.value.kind is Kind.UNAUTHORIZED


def test_basic_auth_is_encoded() -> None:
    """ "user:pass" in base64 is dXNlcjpwYXNz."""
    text = (
        "scrape_configs: [{job_name: a, static_configs: [{targets: ['h:1']}], "
        "basic_auth: {username: user, password: pass}}]"
    )

    assert auth_headers(parse_settings(text, "c.yaml").scrape_configs[0]) == {"Authorization": "Basic dXNlcjpwYXNz"}


def test_an_unusable_certificate_file_is_a_tls_failure(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        tls_context(TlsConfig(ca_file=tmp_path / "absent.pem"))

    assert caught.value.kind is Kind.TLS


def test_other_calls_come_between_the_steps_of_long_work() -> None:
    """Five steps, and a call that is made when the first is under way."""
    done: list[str] = []

    def work() -> Generator[None, None, int]:
        for _ in range(5):
            done.append("step")
            yield
        return 5

    async def go() -> int:
        worker = Worker("test")
        long = asyncio.create_task(worker.run_all(lambda: Steps(work())))
        await worker.run(int)
        await worker.run(done.append, "call")
        result = await long
        assert worker.close(5.0)
        return result

    assert asyncio.run(go()) == 5
    assert done.count("step") == 5
    assert done[-1] == "step"


class History:
    """GPU samples every ten minutes, counting how often each span is asked for."""

    def __init__(self, utilization: float | None) -> None:
        self.asked: list[float] = []
        self._utilization = utilization

    def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
        self.asked.append(since_s)
        times = range(int(since_s), int(until_s), 600)
        return [GpuSample("g", float(at_s), 600.0, utilization_ratio=self._utilization) for at_s in times]


def test_closed_hours_are_read_once() -> None:
    history = History(0.5)
    duty = DutyCycles(history)

    assert duty.mean("g", 0, 3 * 3600 + 60) == 0.5
    asked = len(history.asked)
    assert duty.mean("g", 0, 3 * 3600 + 120) == 0.5
    assert len(history.asked) == asked + 1


def test_the_open_hour_is_read_once_for_all_gpus_at_one_instant() -> None:
    history = History(0.5)
    duty = DutyCycles(history)

    assert duty.mean("g", 3600, 3660) == 0.5
    asked = len(history.asked)
    assert duty.mean("g", 3600, 3660) == duty.by_bucket("g", 3600, 3660)[3600].mean
    assert len(history.asked) == asked
    duty.mean("g", 3600, 3665)
    assert len(history.asked) == asked + 1


def test_hours_that_were_over_by_a_clock_put_back_since_are_read_again() -> None:
    """Three hours ahead for one report: by then nothing was measured after the first hour, and later it was."""

    class Growing(History):
        until_s = 3600.0

        def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
            return super().gpu_samples(since_s, max(since_s, min(until_s, self.until_s)), uuid)

    history = Growing(0.5)
    duty = DutyCycles(history)
    assert len(duty.by_bucket("g", 0, 4 * 3600)) == 6
    history.until_s = 2 * 3600.0
    assert len(duty.by_bucket("g", 0, 2 * 3600)) == 12


def test_hours_are_read_again_when_they_are_to_be_forgotten() -> None:
    history = History(0.5)
    duty = DutyCycles(history)
    duty.mean("g", 0, 3 * 3600)
    asked = len(history.asked)
    duty.forget()
    duty.mean("g", 0, 3 * 3600)
    assert len(history.asked) == 2 * asked


def test_readings_far_apart_stand_for_more_time() -> None:
    """Ten minutes at 1.0 and one second at 0.0: nearly 1."""

    class Mixed:
        def gpu_samples(self, since_s: float, until_s: float, uuid: str | None = None) -> list[GpuSample]:
            if since_s > 0:
                return []
            return [
                GpuSample("g", 0.0, 600.0, utilization_ratio=1.0),
                GpuSample("g", 600.0, 1.0, utilization_ratio=0.0),
            ]

    assert DutyCycles(Mixed()).mean("g", 0, 3700) == pytest.approx(600 / 601)


def test_a_gpu_that_reported_nothing_has_no_mean() -> None:
    assert DutyCycles(History(None)).mean("g", 0, 7200) is None
