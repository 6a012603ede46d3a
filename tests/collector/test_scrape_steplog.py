"""vLLM's step log beside its page, polled as the daemon does: sums from the file, and what is wrong with it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from collector.scrape.steplog import StepLog, Values
from collector.scrape.steps import Step
from collector.scrape.target import TargetScraper
from collector.scrape.told import Scrape
from collector.scrape.vllm_steps import vllm_step
from tests.fakes.metrics_app import MetricsApp
from tests.fakes.polling import poll

PAGES = Path(__file__).parents[1] / "pages"
VLLM = (PAGES / "vllm__0.32.0__busy.prom").read_text()
FRESH = (PAGES / "vllm__0.32.0__fresh.prom").read_text()
TWO_RANKS = (PAGES / "vllm__0.33.0__two-ranks.prom").read_text()
API_SERVERS = (PAGES / "vllm__0.33.0__api-servers.prom").read_text()
LLAMA = (PAGES / "llamacpp__b11549__busy.prom").read_text()
TIMES = ("prefill_s_total", "prefill_marginal_s_total", "decode_s_total")


def line(index: int, prompt: int, sequences: int, ms: float, rank: str = "") -> str:
    """As vLLM 0.32 writes it, but for the time of day."""
    return (
        f"(APIServer pid=9) INFO 11-23 13:17:01 [loggers.py:199] Engine 00{rank or 0}: Iteration({index}): "
        f"{int(prompt > 0)} context requests, {prompt} context tokens, {sequences} generation requests, "
        f"{sequences} generation tokens, iteration elapsed time: {ms:.2f} ms, GPU KV cache usage: 0.1%\n"
    )


def append(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.writelines(lines)


def times(scrape: Scrape, rank: str = "0") -> tuple[float | None, ...]:
    (replica,) = [one for one in scrape.reading.replicas if one.rank == rank]
    return tuple(None if (value := replica.fields[name]) is None else round(value, 6) for name in TIMES)


def test_the_steps_since_the_first_poll_give_prefill_and_decode_seconds(tmp_path: Path) -> None:
    """40 ms of prompt alone, 50 ms of prompt beside one sequence that takes 30 ms alone, and twice these 30 ms."""
    log = tmp_path / "vllm.log"
    append(log, "INFO Started server process\n", line(0, 512, 0, 900.0), line(1, 0, 1, 30.0))

    async def steps(scraper: TargetScraper) -> None:
        assert times(await scraper.scrape()) == (0, 0, 0)
        append(log, line(2, 128, 0, 40.0), line(3, 0, 1, 30.0), "noise\n", line(4, 64, 1, 50.0), line(5, 0, 1, 30.0))
        scrape = await scraper.scrape()
        assert times(scrape) == (0.09, 0.06, 0.06)
        assert scrape.notes == ()
        assert not set(TIMES) & set(scrape.reading.missing)
        assert times(await scraper.scrape()) == (0.09, 0.06, 0.06)

    poll(MetricsApp(VLLM), steps, log_file=log)


def test_the_ranks_of_one_log_are_kept_apart(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0, "0"), line(0, 0, 1, 10.0, "1"))

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        append(log, line(1, 0, 1, 10.0, "0"), line(1, 0, 2, 25.0, "1"))
        scrape = await scraper.scrape()
        assert times(scrape, "0") == (0, 0, 0.01)
        assert times(scrape, "1") == (0, 0, 0.025)

    poll(MetricsApp(TWO_RANKS), steps, log_file=log)


def test_where_several_api_servers_count_each_step_the_log_counts_it_once(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0))

    async def steps(scraper: TargetScraper) -> None:
        before = (await scraper.scrape()).reading.replicas[0].fields["steps_total"]
        append(log, line(1, 0, 1, 10.0), line(2, 0, 1, 10.0))
        after = (await scraper.scrape()).reading.replicas[0].fields["steps_total"]
        assert (before, after) == (0, 2)

    poll(MetricsApp(API_SERVERS), steps, log_file=log)


def test_without_a_log_the_times_are_missing_and_the_note_says_what_to_switch_on() -> None:
    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert times(scrape) == (None, None, None)
        assert "--enable-logging-iteration-details" in scrape.reading.notes["prefill_s_total"]
        assert "`step_log`" in scrape.reading.notes["prefill_s_total"]

    poll(MetricsApp(VLLM), steps)


def test_a_log_without_steps_or_without_a_file_gives_nothing_and_says_so(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"

    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert times(scrape) == (None, None, None)
        assert scrape.notes == (f"{log}: the step log cannot be read: No such file or directory",)
        append(log, "INFO Started server process\n")
        scrape = await scraper.scrape()
        assert times(scrape) == (None, None, None)
        assert scrape.notes == (f"{log}: no line tells a step; start vLLM with --enable-logging-iteration-details",)

    poll(MetricsApp(VLLM), steps, log_file=log)


def test_a_server_that_was_never_asked_has_spent_no_time(tmp_path: Path) -> None:
    """Its page counts no step, and its log holds none yet: zero is known, and the first step is counted."""
    log = tmp_path / "vllm.log"
    append(log, "INFO Started server process\n")
    app = MetricsApp(FRESH)

    async def steps(scraper: TargetScraper) -> None:
        assert times(await scraper.scrape()) == (0, 0, 0)
        append(log, line(0, 512, 0, 40.0))
        app.text = VLLM
        assert times(await scraper.scrape()) == (0.04, 0.04, 0)

    poll(app, steps, log_file=log)


def test_a_log_that_is_away_for_one_poll_is_missing_then_and_complete_afterwards(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0))

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        append(log, line(1, 0, 1, 10.0))
        log.rename(tmp_path / "vllm.log.1")
        assert times(await scraper.scrape()) == (None, None, None)
        append(log, line(2, 0, 1, 10.0))
        assert times(await scraper.scrape()) == (0, 0, 0.02)

    poll(MetricsApp(VLLM), steps, log_file=log)


def test_spoilt_lines_and_steps_without_a_line_are_counted_and_told(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0))

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        append(log, line(1, 0, 1, 10.0), line(2, 0, 1, 10.0)[:-60] + "\n", line(7, 0, 1, 10.0))
        scrape = await scraper.scrape()
        assert times(scrape) == (0, 0, 0.02)
        assert scrape.notes == (
            f"{log}: 1 lines of steps could not be read",
            f"{log}: 5 steps are missing from the log",
        )

    poll(MetricsApp(VLLM), steps, log_file=log)


def test_a_step_that_two_api_servers_log_is_counted_once(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0))

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        append(log, line(1, 0, 1, 10.0))
        assert times(await scraper.scrape()) == (0, 0, 0.01)
        append(log, line(1, 0, 1, 10.0), line(2, 0, 1, 10.0), line(2, 0, 1, 10.0))
        scrape = await scraper.scrape()
        assert times(scrape) == (0, 0, 0.02)
        assert scrape.notes == ()

    poll(MetricsApp(VLLM), steps, log_file=log)


def test_a_restarted_engine_counts_its_steps_from_zero_and_none_is_taken_for_lost(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(41, 0, 1, 10.0))

    async def steps(scraper: TargetScraper) -> None:
        await scraper.scrape()
        append(log, line(0, 0, 1, 10.0), line(1, 0, 1, 10.0))
        scrape = await scraper.scrape()
        assert times(scrape) == (0, 0, 0.02)
        assert scrape.notes == ()

    poll(MetricsApp(VLLM), steps, log_file=log)


def test_an_engine_that_logs_no_steps_leaves_the_file_alone(tmp_path: Path) -> None:
    async def steps(scraper: TargetScraper) -> None:
        scrape = await scraper.scrape()
        assert scrape.engine == "llamacpp"
        assert not [note for note in scrape.notes if "log" in note]

    poll(MetricsApp(LLAMA, endpoints={"/slots": []}), steps, log_file=tmp_path / "none.log")


def test_a_file_system_that_hangs_costs_a_poll_its_times_and_no_step_twice(tmp_path: Path) -> None:
    """The reader of lines waits here as a dead network share would make it wait."""
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0))
    gate = threading.Event()
    gate.set()

    def slow(text: bytes) -> Step | None:
        gate.wait()
        return vllm_step(text)

    async def follow() -> None:
        step_log = StepLog(log, slow, limit_s=0.05)
        while (await step_log.read())[1]:
            pass
        append(log, line(1, 0, 1, 10.0))
        gate.clear()
        for _ in range(2):
            assert await step_log.read() == ({}, (f"{log}: reading the step log hangs",))
        gate.set()
        while (read := await step_log.read())[1]:
            pass
        assert _decode_s(read) == 0.01
        assert _decode_s(await step_log.read()) == 0.01

    asyncio.run(follow())


def test_a_bug_in_the_reading_is_a_note_and_not_a_poll_that_waits(tmp_path: Path) -> None:
    log = tmp_path / "vllm.log"
    append(log, line(0, 0, 1, 10.0))

    def broken(text: bytes) -> Step | None:
        raise RuntimeError("a bug")

    values, notes = asyncio.run(StepLog(log, broken).read())
    assert values == {}
    assert notes == ("reading the step log failed: RuntimeError('a bug')",)


def _decode_s(read: tuple[Values, tuple[str, ...]]) -> float:
    values, notes = read
    assert notes == ()
    return values["0"]["told_decode_s"]
