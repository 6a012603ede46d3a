"""Our page parser reads what prometheus_client reads, shares layouts safely, and says what is wrong with a page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import LayoutPool, Page, PageParser
from tests.fakes.exposition import oracle_rows, rows, text_pages

TESTS = Path(__file__).parents[1]
SHARED = Path(os.environ.get("BREAKEVEN_SHARED", TESTS.parents[1] / "shared")) / "data" / "pages"
PAGES = sorted((*TESTS.glob("pages/*.prom"), *TESTS.glob("captures/*/*.prom"), *SHARED.glob("*.prom")))
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def parse(body: bytes | str, wanted: frozenset[str] | None = None, content_type: str = "", **limits: float) -> Page:
    raw = body.encode() if isinstance(body, str) else body
    return PageParser(wanted, Limits(**limits)).parse(raw, content_type)  # type: ignore[arg-type]


def failure(body: bytes | str, content_type: str = "", **limits: float) -> tuple[Kind, str]:
    with pytest.raises(SourceError) as raised:
        parse(body, None, content_type, **limits)
    return raised.value.kind, str(raised.value)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stored_page_gives_what_prometheus_client_gives(path: Path) -> None:
    text = path.read_text()
    page = parse(text)
    assert oracle_rows(text, page.openmetrics) == rows(page.samples)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_wanting_some_names_leaves_out_the_others_and_nothing_else(path: Path) -> None:
    whole = parse(path.read_bytes())
    wanted = frozenset(sorted(whole.names)[::3])
    some = parse(path.read_bytes(), wanted)
    assert [sample for sample in whole.samples if sample.name in wanted] == list(some.samples)
    assert (whole.names, whole.types, whole.sample_count) == (some.names, some.types, some.sample_count)


@given(text_pages())
def test_any_text_page_gives_what_prometheus_client_gives(text: str) -> None:
    assert oracle_rows(text, openmetrics=False) == rows(parse(text).samples)


@given(st.lists(st.floats(min_value=0, max_value=1e12), min_size=3, max_size=3), st.text(max_size=10))
def test_openmetrics_as_prometheus_client_writes_it_is_read_back(values: list[float], label: str) -> None:
    registry = CollectorRegistry()
    label = label.encode("utf-8", "replace").decode().translate(dict.fromkeys((*range(32), *range(127, 160))))
    counter = Counter("a", "help\nwith\\lines", ["model"], registry=registry)
    counter.labels(label).inc(values[0], exemplar={"trace_id": "x"})
    Gauge("b", "", ["x"], registry=registry).labels(label).set(values[1])
    Histogram("c", "", registry=registry).observe(values[2], exemplar={"trace_id": "y # z"})
    Info("d", "", registry=registry).info({"version": label})
    text = openmetrics_exposition.generate_latest(registry).decode()
    page = parse(text, None, OPENMETRICS)
    assert page.openmetrics
    assert dict(page.types) == {"a": "counter", "b": "gauge", "c": "histogram", "d": "info"}
    assert oracle_rows(text, openmetrics=True) == rows(page.samples)
    plain = generate_latest(registry).decode()
    assert oracle_rows(plain, openmetrics=False) == rows(parse(plain).samples)


def test_a_line_that_takes_an_unwanted_ones_place_is_seen() -> None:
    """The number of lines and every wanted line stay the same: only the verified shape tells."""
    parser = PageParser(frozenset({"wanted"}), Limits())
    assert len(parser.parse(b'wanted{a="1"} 1\nother 2\n').samples) == 1
    assert len(parser.parse(b'wanted{a="1"} 1\nwanted{a="2"} 2\n').samples) == 2


def test_a_type_that_changes_in_place_is_seen() -> None:
    """The same number of lines, the same samples: an engine that was upgraded between two polls."""
    parser = PageParser(None, Limits())
    assert dict(parser.parse(b"# TYPE a gauge\na 1\n").types) == {"a": "gauge"}
    assert dict(parser.parse(b"# TYPE a counter\na 2\n").types) == {"a": "counter"}


def test_pages_of_one_shape_share_their_layout_between_parsers() -> None:
    pool = LayoutPool()
    first = PageParser(frozenset({"a"}), Limits(), pool)
    second = PageParser(frozenset({"a"}), Limits(), pool)
    assert first.parse(b"a 1\nb 2\n").layout is second.parse(b"a 3\nb 4\n").layout
    other = PageParser(frozenset({"b"}), Limits(), pool)
    assert [sample.name for sample in other.parse(b"a 1\nb 2\n").samples] == ["b"]


def test_pages_that_differ_in_one_line_share_all_others() -> None:
    """As servers do that had room for different numbers of KV blocks: a layout is 150 kB, one of its lines is not."""
    pool = LayoutPool()
    page = b'# TYPE blocks gauge\nblocks{number="%d"} 1\n# TYPE steps counter\nsteps{engine="0"} 7\n'
    first, second = (PageParser(None, Limits(), pool).parse(page % number).layout for number in (1000, 1001))

    assert first is not second
    assert first.prefixes == (b'blocks{number="1000"} ', b'steps{engine="0"} ')
    assert second.prefixes == (b'blocks{number="1001"} ', b'steps{engine="0"} ')
    assert second.prefixes[1] is first.prefixes[1]
    assert second.series[1] is first.series[1]
    assert (second.at, second.fixed, second.types) == (first.at, first.fixed, first.types)
    assert second.fixed[0] is first.fixed[0]
    assert second.types is first.types


@pytest.mark.fault("3", "NaN in a counter", promise="not reported")
def test_values_that_are_not_numbers_are_absent_and_infinity_is_kept() -> None:
    page = parse("a NaN\nb +Inf\nc -inf\nd 0\n")
    assert {"b": float("inf"), "c": float("-inf"), "d": 0.0} == {one.name: one.value for one in page.samples}
    assert {"a", "b", "c", "d"} == page.names


def test_time_stamps_and_exemplars_are_read_over() -> None:
    assert [one.value for one in parse("a 1.5 1700000000000\n").samples] == [1.5]
    text = 'a_bucket{le="1"} 5 # {trace_id="# 1"} 0.5 1.2\n# EOF\n'
    assert [one.value for one in parse(text).samples] == [5.0]
    assert Kind.BAD_PAGE is failure('ok 1\na 5 # {trace_id="x"} 0.5\n')[0]


def test_names_in_the_labels_are_read() -> None:
    page = parse('{"my.metric", "a.b"="c"} 1\n# TYPE "other.metric" gauge\n{"other.metric"} 2\n')
    assert [tuple(one) for one in page.samples] == [("my.metric", {"a.b": "c"}, 1.0), ("other.metric", {}, 2.0)]
    assert dict(page.types) == {"other.metric": "gauge"}


def test_escapes_are_undone_in_labels() -> None:
    page = parse('a{x="q\\"b\\\\s\\nl",y="\\\\n",z="\\q"} 1\n')
    assert page.samples[0].labels == {"x": 'q"b\\s\nl', "y": "\\n", "z": "\\q"}


@pytest.mark.fault("2", "hostile label text", promise="text that no exit can show is replaced on entry")
def test_text_that_could_harm_an_exit_is_replaced() -> None:
    """Invalid UTF-8, an encoded lone surrogate, NUL and terminal escapes: nothing of it comes through."""
    page = parse(b'a{x="\xff",y="\xed\xa0\x80",z="a\x00b\x1b[2J"} 1\n')
    labels = page.samples[0].labels
    assert labels["x"] == "�"
    assert labels["z"] == "a�b�[2J"
    assert "\x00" not in "".join(labels.values())
    "".join(labels.values()).encode("utf-8")


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        (b"", "", "an empty answer"),
        (b" \n\t\r\n", "text/plain", "an empty answer"),
        (b"<!doctype html><html>", "", "an HTML page"),
        (b"hello", "text/html; charset=utf-8", "an HTML page"),
        (b'{"error": {"code": 503}}', "", "JSON"),
        (b"[1, 2]", "", "JSON"),
        (b"{}", "", "JSON"),
        (b"null", "application/json", "JSON"),
        (b"\x1f\x8b\x08\x00\x00\x00", "", "binary data"),
        (b"hello world\n", "", "begins with 'hello world'"),
        (b"Not Found", "", "begins with 'Not Found'"),
        (b"# only a comment\n", "", "only comments"),
        (b"-----BEGIN\nx 1\n", "", "begins with '-----BEGIN'"),
    ],
)
def test_what_is_no_metrics_page_says_what_it_looks_like(body: bytes, content_type: str, says: str) -> None:
    kind, text = failure(body, content_type)
    assert Kind.NOT_METRICS is kind
    assert says in text
    assert "\n" not in text


@pytest.mark.fault(
    "2",
    "duplicate series or broken text",
    promise="a page that breaks the format gives nothing, and the place is named",
)
@pytest.mark.parametrize(
    "body",
    [
        "ok 1\nx\n",
        "ok 1\nx \n",
        "ok 1\nx one\n",
        "ok 1\nx 1_000\n",
        "ok 1\nx 1 2 3\n",
        'ok 1\nx{a="1" 2\n',
        "ok 1\nx{a=1} 2\n",
        'ok 1\nx{a="1",,b="2"} 2\n',
        'ok 1\nx{a="1",a="2"} 2\n',
        'ok 1\nx{1a="1"} 2\n',
        'ok 1\n{a="1"} 2\n',
        "ok 1\n1x 2\n",
        "ok 1\nx 1\nx 2\n",
        'ok 1\nx{a="1",b="2"} 1\nx{b="2",a="1"} 1\n',
        "ok 1\n# TYPE x\n",
        "ok 1\n# TYPE ok gauge\n# TYPE ok counter\n",
        "ok 1\nx 2",
        "ok 1\n# EOF\nx 2\n# EOF\n",
    ],
)
def test_a_damaged_page_fails_whole_and_names_the_place(body: str) -> None:
    kind, text = failure(body)
    assert Kind.BAD_PAGE is kind
    assert "\n" not in text


def test_a_damaged_value_is_found_by_a_parser_that_knows_the_layout() -> None:
    parser = PageParser(None, Limits())
    parser.parse(b"a 1\nb 2\n")
    for body in (b"a 1\nb 2_0\n", b"a 1\nb x\n"):
        with pytest.raises(SourceError, match=r"line \d of the metrics page") as raised:
            parser.parse(body)
        assert raised.value.kind is Kind.BAD_PAGE


def test_openmetrics_without_its_end_was_cut_off() -> None:
    assert failure("a 1\n", OPENMETRICS) == (Kind.BAD_PAGE, "the metrics page ends without '# EOF': it was cut off")
    parser = PageParser(None, Limits())
    parser.parse(b"a 1\n")
    with pytest.raises(SourceError):
        parser.parse(b"a 1\n", OPENMETRICS)


@pytest.mark.fault(
    "2",
    "too many samples, labels or too long ones",
    promise="the whole page fails beyond sample_limit, as in Prometheus",
)
def test_more_samples_than_the_limit_fail_the_page_wanted_or_not() -> None:
    text = "".join(f"x{number} 1\n" for number in range(11))
    assert Kind.TOO_MANY_SAMPLES is failure(text, sample_limit=10)[0]
    assert parse(text, frozenset(), sample_limit=11).sample_count == 11
    assert Kind.TOO_MANY_SAMPLES is failure("\n" * 20_000, sample_limit=10)[0]


@pytest.mark.fault(
    "2", "too many samples, labels or too long ones", promise="the whole page fails beyond a label limit"
)
@pytest.mark.parametrize(
    ("line", "limit", "value", "fits"),
    [
        ('x{a="1",b="2"} 1', "label_limit", 2, False),
        ('x{a="1",b="2"} 1', "label_limit", 3, True),  # two labels and the name
        ('x{abcdefghij="1"} 1', "label_name_length_limit", 9, False),
        ('x{abcdefghij="1"} 1', "label_name_length_limit", 10, True),
        ('x{a="é"} 1', "label_value_length_limit", 1, False),  # two bytes
        ('x{a="é"} 1', "label_value_length_limit", 2, True),
        ("abcdef 1", "label_value_length_limit", 5, False),  # the name is a label's value
        ('x{a="====="} 1', "label_limit", 2, True),
        ('{"x",a="1",b="2"} 1', "label_limit", 2, False),
    ],
)
def test_label_limits_fail_the_page_wanted_or_not(line: str, limit: str, value: int, fits: bool) -> None:
    for wanted in (None, frozenset[str]()):
        if fits:
            assert parse(line + "\n", wanted, **{limit: value}).sample_count == 1
        else:
            with pytest.raises(SourceError, match=limit) as raised:
                parse(line + "\n", wanted, **{limit: value})
            assert raised.value.kind is Kind.LABEL_LIMIT
