"""For minutes: no page, however damaged, crashes, stops or bloats the reader of pages, of any engine, or of logs.

A page that takes 20 seconds is taken for a hang and ends the run; that says nothing of speed.
"""

from __future__ import annotations

import random
import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.errors import SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import LayoutPool, PageParser
from collector.scrape.reading import read
from collector.scrape.vllm_steps import vllm_step
from collector.servers import engine_specs
from tests.collector.test_scrape_page_any import evolving_pages, outcome
from tests.fakes.exposition import text_pages

pytestmark = pytest.mark.soak
PAGES = sorted(Path(__file__).parents[1].glob("pages/*.prom"))
BODIES = [page.read_bytes() for page in PAGES]
HANG_S = 20
LIMITS = Limits(sample_limit=5000, label_limit=64)
BYTES_PER_BYTE, BYTES_ANYWAY = 60, 4 * 1024**2
"""Most memory that a page may take: the worst, one short line after the other, keeps a few objects for each."""
longer = settings(max_examples=20_000, deadline=None, suppress_health_check=list(HealthCheck))


class HangError(Exception):
    """A page took so long that it would have hung the daemon."""


@contextmanager
def no_hang() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, HANG_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def damaged(body: bytes, seed: int, changes: int) -> bytes:
    """A page after so many accidents: other bytes, cuts, insertions, lines doubled, moved, grown or joined."""
    chance = random.Random(seed)
    lines = body.split(b"\n")
    for _ in range(changes):
        at = chance.randrange(len(lines))
        line = lines[at]
        place = chance.randrange(len(line) + 1)
        how = chance.randrange(8)
        if how == 0:
            lines[at] = line[:place] + bytes([chance.randrange(256)]) + line[place + 1 :]
        elif how == 1:
            lines[at] = line[:place] + line[place + chance.randrange(40) :]
        elif how == 2:
            noise = bytes(chance.choices(b'{}",=\\ #_e+-.0\x00\xff\t\r', k=chance.randrange(1, 12)))
            lines[at] = line[:place] + noise + line[place:]
        elif how == 3:
            lines[at:at] = [line] * chance.randrange(1, 30)
        elif how == 4:
            other = chance.randrange(len(lines))
            lines[at], lines[other] = lines[other], line
        elif how == 5:
            lines[at] = line[:place] + line[place : place + 8] * chance.randrange(1, 2000) + line[place:]
        elif how == 6:
            lines[at] = line.replace(chance.choice([b"gauge", b"counter", b" ", b'"', b"_total"]), b"", 1)
        elif len(lines) > 1:
            del lines[at]
    return chance.choice([b"\n", b"\n", b"\r\n", b"\n\n"]).join(lines)


def understood(body: bytes) -> None:
    """Read a page as the daemon would, as every engine; only SourceError may come out."""
    for spec in engine_specs().values():
        for content_type in ("", "application/openmetrics-text; version=1.0.0"):
            try:
                page = PageParser(spec.wanted, LIMITS).parse(body, content_type)
                read(spec, page, {}, {"slots": 2})
            except SourceError as error:
                assert "\n" not in str(error)
                assert len(str(error)) < 500


@longer
@given(st.integers(0, len(BODIES) - 1), st.integers(0, 2**32), st.integers(1, 40))
def test_no_damaged_page_breaks_or_stops_any_engines_reading(which: int, seed: int, changes: int) -> None:
    with no_hang():
        understood(damaged(BODIES[which][:20_000], seed, changes))


@settings(longer, max_examples=3000)
@given(st.integers(0, len(BODIES) - 1), st.integers(0, 2**32), st.integers(1, 40))
def test_no_damaged_page_takes_memory_out_of_proportion(which: int, seed: int, changes: int) -> None:
    body = damaged(BODIES[which], seed, changes)
    tracemalloc.start()
    try:
        with no_hang():
            outcome(PageParser(None, LIMITS, LayoutPool()), body)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < BYTES_ANYWAY + BYTES_PER_BYTE * len(body)


@longer
@given(evolving_pages())
def test_a_parser_with_a_memory_gives_what_a_fresh_one_gives(pages: list[str]) -> None:
    remembering = PageParser(None, Limits(), LayoutPool())
    with no_hang():
        for text in pages:
            assert outcome(PageParser(None, Limits()), text.encode()) == outcome(remembering, text.encode())


@longer
@given(text_pages())
def test_every_good_page_is_read(text: str) -> None:
    with no_hang():
        PageParser(None, Limits()).parse(text.encode())


@longer
@given(st.binary(max_size=3000))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    with no_hang():
        understood(body)


@longer
@given(st.integers(0, 2**32), st.integers(1, 8))
def test_no_damaged_line_breaks_the_reader_of_the_step_log(seed: int, changes: int) -> None:
    line = (
        b"(EngineCore_DP1 pid=7) INFO 07-09 03:15:05 [core.py:359] Iteration(15): 2 context requests, 7986 context "
        b"tokens, 14 generation requests, 14 generation tokens, iteration elapsed time: 1115.64 ms"
    )
    with no_hang():
        for part in damaged(line, seed, changes).split(b"\n"):
            try:
                told = vllm_step(part)
            except ValueError:
                continue
            assert told is None or (told.took_s >= 0 and told.prompt_tokens >= 0 and told.sequences >= 0)
