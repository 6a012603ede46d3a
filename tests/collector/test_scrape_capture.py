"""A captured page can be shared: nothing on it names a host or a person, and it still reads the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given

from collector.errors import Kind, SourceError
from collector.scrape.capture import _KEPT, masked
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import read
from collector.servers import detect, engine_specs
from tests.fakes.exposition import LABEL_VALUES, escaped, text_pages

PAGES = sorted((Path(__file__).parents[1] / "pages").glob("*.prom"))
URL = "https://alice:hunter2@gpu7.corp.example:8443/llm/metrics?token=hunter2"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_masked_page_reads_as_the_page_itself(path: Path) -> None:
    text = path.read_text()
    before = PageParser(None, Limits()).parse(text.encode())
    after = PageParser(None, Limits()).parse(masked(text, URL).encode())
    assert after.sample_count == before.sample_count
    assert after.openmetrics == before.openmetrics
    spec = detect(before.names, path.name.split("__")[0])
    assert read(spec, after, {}) == read(spec, before, {})


def test_the_header_says_where_from_without_host_credentials_or_query() -> None:
    head = masked("x 1\n", URL).split("\n")[0]
    assert head == "# SOURCE: captured by breakeven from https://HOST/llm/metrics"


def test_what_names_somebody_is_masked_and_what_the_engine_says_is_kept() -> None:
    text = (
        "# HELP x words\n"
        'x{instance="gpu7.corp.example",ip="10.1.2.3",user="alice"} 1\n'
        'x{instance="gpu8.corp.example",ip="10.1.2.3",user="alice"} 2 1700000000000\n'
        'y_bucket{model_name="org/m\\"x",engine="0",le="0.5",flag="True",size="131072"} 3 # {trace_id="alice"} 1\n'
        "z 4\n"
    )
    out = masked(text, URL).split("\n")[2:]
    assert out == [
        "# HELP x words",
        'x{instance="masked-1",ip="masked-2",user="masked-3"} 1',
        'x{instance="masked-4",ip="masked-2",user="masked-3"} 2 1700000000000',
        'y_bucket{model_name="org/m\\"x",engine="0",le="0.5",flag="True",size="131072"} 3',
        "z 4",
        "",
    ]


def test_a_page_that_cannot_be_read_line_by_line_is_not_shared_half_masked() -> None:
    for bad in ('x{user="alice" 1', "x one", "secret"):
        with pytest.raises(SourceError, match="line 2 of the metrics page") as raised:
            masked(f"ok 1\n{bad}\n", URL)
        assert raised.value.kind is Kind.BAD_PAGE


@given(text_pages())
def test_masking_keeps_every_series_and_its_value(text: str) -> None:
    before = PageParser(None, Limits()).parse(text.encode())
    after = PageParser(None, Limits()).parse(masked(text, URL).encode())
    assert [(one.name, set(one.labels), one.value) for one in after.samples] == [
        (one.name, set(one.labels), one.value) for one in before.samples
    ]


@given(LABEL_VALUES)
def test_no_other_labels_text_comes_through(value: str) -> None:
    secret = f"alice {value}"
    assert escaped(secret) not in masked(f'x{{owner="{escaped(secret)}"}} 1\n', URL)


def test_every_engines_own_labels_are_kept() -> None:
    """What tells replicas apart, and what readings select by, must survive masking."""
    for spec in engine_specs().values():
        used = {label for reading in (*spec.readings.values(), *spec.inputs.values()) for label in reading.labels}
        used |= {label for label in (spec.model_label, spec.rank_label) if label is not None}
        assert used <= _KEPT
