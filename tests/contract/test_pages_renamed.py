"""Pages that are not what we know: renamed series are missing and never zero, and a wrong engine is refused by name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import Page, PageParser
from collector.scrape.reading import PageReading, read
from collector.scrape.spec import EngineSpec
from collector.servers import detect, engine_specs

HERE = Path(__file__).parents[1]
SHARED = Path(os.environ.get("BREAKEVEN_SHARED", HERE.parents[1] / "shared")) / "data" / "pages"
SPECS = engine_specs()
OWN = sorted((HERE / "pages").glob("*.prom"))


def parsed(spec: EngineSpec, body: bytes) -> Page:
    told = re.search(rb"^# CONTENT-TYPE: (.*)$", body, re.MULTILINE)
    return PageParser(spec.wanted, Limits()).parse(body, told[1].decode() if told else "")


def renamed(body: bytes, name: str) -> bytes:
    return re.sub(rb"(?m)^" + re.escape(name.encode()) + rb"(?=[{ ])", name.encode() + b"_renamed", body)


def zeroed(before: PageReading, after: PageReading) -> list[str]:
    """The fields of a replica that were not zero before and are now."""
    was = {(one.model, one.rank): one.fields for one in before.replicas}
    return [
        field
        for one in after.replicas
        for field, value in one.fields.items()
        if value == 0 and was[one.model, one.rank][field] != 0
    ]


@pytest.mark.fault("2", "a metric is renamed or missing", promise="the figure is missing by name, never 0")
@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_no_figure_becomes_zero_when_any_series_it_rests_on_is_renamed(path: Path) -> None:
    """Fields, and what other fields are derived from."""
    spec = SPECS[path.stem.split("__")[0]]
    body = path.read_bytes()
    before = read(spec, parsed(spec, body), {})
    names = {name for reading in (*spec.readings.values(), *spec.inputs.values()) for name in reading.names}
    on_page = sorted(names & parsed(spec, body).names)
    assert on_page
    for name in on_page:
        assert (name, zeroed(before, read(spec, parsed(spec, renamed(body, name)), {}))) == (name, [])


def shared_pages() -> Iterator[tuple[Path, EngineSpec, bytes]]:
    """Pages from outside this repository of engines that we read, NIM's stated."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared pages at {SHARED}: set BREAKEVEN_SHARED to check them")
    found = 0
    for path in sorted(SHARED.glob("*.prom")):
        names = PageParser(None, Limits()).parse(path.read_bytes()).names
        try:
            spec = detect(names, "nim" if path.name.startswith("nim_") else None)
        except SourceError:
            continue
        found += 1
        yield path, spec, path.read_bytes()
    assert found >= 10


def test_shared_pages_lose_a_renamed_figure_and_say_so() -> None:
    checked = 0
    for path, spec, body in shared_pages():
        before = read(spec, parsed(spec, body), {})
        for field, reading in spec.readings.items():
            if field in before.missing or field in spec.derives:
                continue
            without = body
            for name in reading.names:
                without = renamed(without, name)
            after = read(spec, parsed(spec, without), {})
            checked += 1
            assert (path.name, field, field in after.missing) == (path.name, field, True)
            assert {one.fields[field] for one in after.replicas} <= {None}
    assert checked > 70


def test_shared_pages_are_refused_by_name_for_every_other_engine() -> None:
    for path, spec, body in shared_pages():
        names = parsed(spec, body).names
        for other in SPECS.keys() - {spec.name}:
            with pytest.raises(SourceError, match=re.escape(f"engine: {spec.name}")) as raised:
                detect(names, other)
            assert (path.name, raised.value.kind) == (path.name, Kind.WRONG_ENGINE)


def test_the_shared_iteration_records_are_read() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"no shared pages at {SHARED}: set BREAKEVEN_SHARED to check them")
    records = json.loads((SHARED / "trtllm_serve_metrics.json").read_text())
    (extra,) = SPECS["trtllm"].extras
    told = extra.read(records)["0"]
    timed = [one for one in records if "inflightBatchingStats" in one]
    batches = [one["inflightBatchingStats"] for one in timed]
    assert told["iterations"] == sum(one["numCtxTokens"] + one["numGenRequests"] > 0 for one in batches)
    assert told["generating"] == sum(one["numGenRequests"] for one in batches)
    seconds = (told["context_iteration_s"] or 0) + (told["generation_iteration_s"] or 0)
    busy_ms = sum(
        one["iterLatencyMS"]
        for one, batch in zip(timed, batches, strict=True)
        if batch["numCtxTokens"] + batch["numGenRequests"] > 0
    )
    assert seconds == pytest.approx(busy_ms / 1000)
