"""Reading a vLLM page in steady state, beside prometheus_client on the same pages."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.servers import engine_specs
from tests.bench.measure import paired, ratio
from tests.bench.table import Row

PAGE = Path(__file__).parents[1] / "pages" / "vllm__0.32.0__saturated.prom"
SNAPSHOTS = 20
_VALUE = re.compile(rb"(?<= )(\d+)(\.0)?$", re.MULTILINE)


def snapshots() -> list[bytes]:
    """The same page at successive polls: every whole number has grown."""
    body = PAGE.read_bytes()

    def at(poll: int) -> bytes:
        return _VALUE.sub(lambda found: b"%d%s" % (int(found[1]) + poll, found[2] or b""), body)

    return [at(poll) for poll in range(SNAPSHOTS)]


def rows(runs: int) -> list[Row]:
    """Seconds of a core per 1,000 pages."""
    pages = snapshots()
    texts = [page.decode() for page in pages]
    spec = engine_specs()["vllm"]
    parser = PageParser(spec.wanted, Limits())

    def ours() -> None:
        for _ in range(10):
            for page in pages:
                parser.parse(page)

    def theirs() -> None:
        for text in texts:
            for family in text_string_to_metric_families(text):
                _ = family.samples

    mine, other = paired([ours, theirs], runs)
    mine, other = mine.times(1000 / (10 * SNAPSHOTS)), other.times(1000 / SNAPSHOTS)
    size = f"{len(pages[0]) / 1000:.0f} kB"
    return [
        Row(f"1,000 vLLM pages of {size}, steady state", mine, "s"),
        Row("the same pages in prometheus_client", other, "s"),
        Row("prometheus_client over ours, pair by pair", ratio(other, mine), "times"),
    ]
