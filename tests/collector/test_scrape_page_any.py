"""Whatever a page becomes: a parser with a memory stays right, and only SourceError comes out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.errors import SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import LayoutPool, PageParser
from tests.fakes.exposition import text_pages

TESTS = Path(__file__).parents[1]
PAGES = sorted((*TESTS.glob("pages/*.prom"), *TESTS.glob("captures/*/*.prom")))
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@st.composite
def evolving_pages(draw: st.DrawFn) -> list[str]:
    """A page and what becomes of it: other values, lines gone, come, moved, or with another label."""
    lines = draw(text_pages()).split("\n")[:-1]
    pages = ["\n".join(lines) + "\n"]
    for number in range(draw(st.integers(1, 5))):
        lines = list(lines)
        index = draw(st.integers(0, max(0, len(lines) - 1)))
        change = draw(st.sampled_from(["value", "remove", "insert", "swap", "label", "comment", "type", "nothing"]))
        if change == "value" and lines and not lines[index].startswith("#") and lines[index]:
            lines[index] = lines[index].rpartition(" ")[0] + f" {number}"
        elif change == "remove" and len(lines) > 1:
            del lines[index]
        elif change == "insert":
            lines.insert(index, f"new_{number} 1")
        elif change == "swap":
            other = draw(st.integers(0, max(0, len(lines) - 1)))
            if lines:
                lines[index], lines[other] = lines[other], lines[index]
        elif change == "label" and lines and "{" in lines[index]:
            lines[index] = lines[index].replace("{", f'{{added_{number}="x",', 1)
        elif change == "comment":
            lines.insert(index, f"# TYPE new_{number} counter")
        elif change == "type" and lines:
            lines[index] = lines[index].replace(" gauge", " untyped")
        pages.append("\n".join(lines) + "\n")
    return pages


def outcome(parser: PageParser, body: bytes) -> object:
    try:
        page = parser.parse(body)
    except SourceError as error:
        return error.kind
    return page.types, page.names, page.samples, page.sample_count


@given(evolving_pages(), st.booleans())
def test_a_parser_with_a_memory_gives_what_a_fresh_one_gives(pages: list[str], pooled: bool) -> None:
    pool = LayoutPool() if pooled else None
    remembering = PageParser(None, Limits(), pool)
    for text in pages:
        assert outcome(PageParser(None, Limits()), text.encode()) == outcome(remembering, text.encode())


def survives(body: bytes) -> bool:
    """Whether nothing but a SourceError of one short line comes out, twice in a row."""
    texts = []
    for content_type in ("", OPENMETRICS, "text/html"):
        parser = PageParser(None, Limits(sample_limit=1000, label_limit=20))
        for _ in range(2):
            try:
                parser.parse(body, content_type)
            except SourceError as error:
                texts.append(str(error))
    return all("\n" not in text and len(text) < 500 for text in texts)


@pytest.mark.fault("2", "duplicate series or broken text", promise="no bytes whatever do more than fail the poll")
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_no_bytes_raise_anything_but_a_source_error(body: bytes) -> None:
    assert survives(body)


@given(st.text(st.sampled_from('a{}",=\\ #\n\t1.e+NTYPEOF_:\x00é'), max_size=60))
def test_no_text_of_the_formats_own_characters_raises_anything_but_a_source_error(text: str) -> None:
    assert survives(text.encode())


@settings(max_examples=60)
@given(st.integers(0, len(PAGES) - 1), st.integers(0, 2**32), st.integers(1, 6))
def test_no_damaged_real_page_raises_anything_but_a_source_error(which: int, seed: int, changes: int) -> None:
    body = bytearray(PAGES[which].read_bytes()[:4000])
    chance = random.Random(seed)
    for _ in range(changes):
        at = chance.randrange(len(body))
        how = chance.randrange(3)
        if how == 0:
            body[at] = chance.randrange(256)
        elif how == 1:
            del body[at : at + chance.randrange(40)]
        else:
            body[at:at] = bytes(chance.choices(b'{}",=\\ \n#_\x00\xff', k=chance.randrange(5)))
    assert survives(bytes(body))
