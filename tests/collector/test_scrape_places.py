"""Figures picked from remembered places are those that a first look at the same page finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.layout import Layout
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import read
from tests.collector.test_scrape_spec import SPEC, reading_of

NUMBER = st.sampled_from(["0", "1", "2.5", "7e3", "NaN", "+Inf", "-Inf", "1e19"])
SERIES = (
    'toy_prompt_total{model="a",rank="0"}',
    'toy_prompt_total{model="a",rank="1"}',
    'old_prompt_total{model="a",rank="0"}',
    'toy_tokens_total{model="a",rank="0",phase="decode"}',
    'toy_tokens_total{model="a",rank="0",phase="prefill"}',
    'toy_running{model="a",rank="0",engine="x"}',
    'toy_running{model="a",rank="0",engine="y"}',
    'toy_kv{model="a",rank="1"}',
    "toy_start",
)


def page_of(values: dict[str, str]) -> str:
    return "".join(f"{series} {value}\n" for series, value in values.items())


@given(st.lists(st.dictionaries(st.sampled_from(SERIES), NUMBER, min_size=1), min_size=2, max_size=6))
def test_a_row_of_pages_reads_as_each_page_does_alone(pages: list[dict[str, str]]) -> None:
    """Series come, go and lose their values between the pages of one server."""
    parser = PageParser(SPEC.wanted, Limits())
    for values in (*pages, *pages):
        text = page_of(values)
        kept, alone = read(SPEC, parser.parse(text.encode()), {}), reading_of(text)
        assert kept.replicas == alone.replicas
        assert (kept.process_start, kept.missing, kept.notes) == (alone.process_start, alone.missing, alone.notes)


@given(st.lists(st.tuples(*[NUMBER] * len(SERIES)), min_size=2, max_size=6))
def test_pages_of_one_shape_read_as_each_does_alone(pages: list[tuple[str, ...]]) -> None:
    """The same series throughout, so that the places that are remembered are those that are used."""
    parser = PageParser(SPEC.wanted, Limits())
    layouts: set[Layout] = set()
    for numbers in pages:
        text = page_of(dict(zip(SERIES, numbers, strict=True)))
        page = parser.parse(text.encode())
        layouts.add(page.layout)
        assert read(SPEC, page, {}).replicas == reading_of(text).replicas
    assert len(layouts) == 1


def test_an_older_name_stands_in_as_long_as_the_newer_one_has_no_value() -> None:
    """7, then 9 by the older name while the newer says NaN, then 8."""
    parser = PageParser(SPEC.wanted, Limits())
    said = []
    for newer in ("7", "NaN", "8"):
        text = f'toy_prompt_total{{model="a"}} {newer}\nold_prompt_total{{model="a"}} 9\n'
        (replica,) = read(SPEC, parser.parse(text.encode()), {}).replicas
        said.append(replica.fields["prompt_tokens_total"])
    assert said == [7.0, 9.0, 8.0]
