"""Every engine has pages, every page its golden reading, and no reading can be wrong in silence."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import Page, PageParser
from collector.scrape.reading import PageReading, ReplicaReading, read
from collector.scrape.spec import IDENTITY_FIELDS
from collector.scrape.steps import StepSums
from collector.servers import detect, engine_specs

HERE = Path(__file__).parents[1]
PAGES = HERE / "pages"
GOLDEN = HERE / "golden" / "pages"
SHARED = Path(os.environ.get("BREAKEVEN_SHARED", HERE.parents[1] / "shared")) / "data" / "pages"
SPECS = engine_specs()


@dataclass(frozen=True)
class Captured:
    """One page under tests/pages with what its header tells."""

    name: str
    body: bytes
    content_type: str
    headers: dict[str, str]
    identities: tuple[dict[str, Any], ...]
    answers: dict[str, Any]
    log: tuple[str, ...]

    @property
    def engine(self) -> str:
        return self.name.split("__")[0]

    @property
    def version(self) -> str:
        return self.name.split("__")[1]

    def page(self, body: bytes | None = None) -> Page:
        parser = PageParser(SPECS[self.engine].wanted, Limits())
        return parser.parse(self.body if body is None else body, self.content_type)

    def readings(self) -> list[tuple[dict[str, Any], PageReading]]:
        page = self.page()
        spec = SPECS[self.engine]
        extras: dict[str, dict[str, float | None]] = {}
        for extra in spec.extras:
            for rank, values in extra.read(self.answers.get(extra.path)).items():
                extras.setdefault(rank, {}).update(values)
        for rank, sums in self._steps().items():
            extras.setdefault(rank, {}).update(sums.values)
        return [(told, read(spec, page, self.headers, told, extras)) for told in ({}, *self.identities)]

    def _steps(self) -> dict[str, StepSums]:
        read_step = SPECS[self.engine].read_step
        found: dict[str, StepSums] = {}
        for line in self.log:
            assert read_step is not None
            step = read_step(line.encode())
            assert step is not None
            found.setdefault(step.rank, StepSums()).add([step])
        return found


def load(path: Path) -> Captured:
    text = path.read_text()
    told = dict(re.findall(r"^# (HEADERS|CONTENT-TYPE|ANSWERS): (.*)$", text, re.MULTILINE))
    return Captured(
        name=path.stem,
        body=text.encode(),
        content_type=told.get("CONTENT-TYPE", ""),
        headers=json.loads(told.get("HEADERS", "{}")),
        identities=tuple(json.loads(line) for line in re.findall(r"^# IDENTITY: (.*)$", text, re.MULTILINE)),
        answers=json.loads(told.get("ANSWERS", "{}")),
        log=tuple(re.findall(r"^# LOG: (.*)$", text, re.MULTILINE)),
    )


CAPTURED = [load(path) for path in sorted(PAGES.glob("*.prom"))]
each_page = pytest.mark.parametrize("captured", CAPTURED, ids=lambda captured: captured.name)
each_engine = pytest.mark.parametrize("engine", list(SPECS))


def histograms(reading: PageReading, replica: ReplicaReading) -> dict[str, str | None]:
    """A replica's histograms, each on one line."""
    told = reading.histograms()[replica.model, replica.rank]
    return {
        name: None if counts is None else " ".join(f"{count:g}" for count in counts) for name, counts in told.items()
    }


def golden(captured: Captured) -> str:
    """The full reading of a page as JSON."""
    page = captured.page()
    readings = [
        {
            "identity": told,
            "process_start": reading.process_start,
            "replicas": [
                {
                    "model": one.model,
                    "rank": one.rank,
                    "fields": dict(one.fields),
                    "histograms": histograms(reading, one),
                    "identity": dict(one.identity),
                }
                for one in reading.replicas
            ],
            "missing": list(reading.missing),
            "notes": dict(reading.notes),
        }
        for told, reading in captured.readings()
    ]
    whole = {"openmetrics": page.openmetrics, "samples": page.sample_count, "readings": readings}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


@each_page
def test_a_page_reads_as_its_golden_file_says(captured: Captured, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{captured.name}.json"
    now = golden(captured)
    if request.config.getoption("--update-golden"):
        path.write_text(now)
    assert path.exists(), f"no golden file for {captured.name}: run pytest {Path(__file__).name} --update-golden"
    assert path.read_text() == now


@each_page
def test_a_page_states_its_source_and_names_a_tested_version(captured: Captured) -> None:
    assert captured.body.startswith(b"# SOURCE: ")
    assert captured.engine in SPECS
    assert captured.version in SPECS[captured.engine].tested_with


def test_no_golden_file_outlives_its_page() -> None:
    assert {captured.name for captured in CAPTURED} == {path.stem for path in GOLDEN.glob("*.json")}


@each_engine
def test_an_engine_has_a_page_for_every_version_it_claims(engine: str) -> None:
    assert set(SPECS[engine].tested_with) == {page.version for page in CAPTURED if page.engine == engine}


@each_engine
def test_every_metric_name_in_an_engines_file_is_on_one_of_its_pages(engine: str) -> None:
    """A misspelt name would otherwise look like a figure that the engine does not report."""
    on_pages = frozenset[str]().union(*(page.page().names for page in CAPTURED if page.engine == engine))
    assert sorted(SPECS[engine].wanted - on_pages) == []


@each_engine
def test_every_field_an_engine_claims_comes_out_of_one_of_its_pages(engine: str) -> None:
    seen = {
        name
        for page in CAPTURED
        if page.engine == engine
        for _, reading in page.readings()
        for replica in reading.replicas
        for name, value in replica.fields.items()
        if value is not None
    }
    assert seen == set(SPECS[engine].provides)


@each_engine
def test_every_histogram_an_engine_claims_comes_out_of_one_of_its_pages(engine: str) -> None:
    seen = {
        name
        for page in CAPTURED
        if page.engine == engine
        for _, reading in page.readings()
        for told in reading.histograms().values()
        for name, counts in told.items()
        if counts is not None and sum(counts) > 0
    }
    assert seen == set(SPECS[engine].histograms)


@each_page
def test_a_histogram_holds_what_its_counter_counted(captured: Captured) -> None:
    """Of vLLM's own: as many steps and requests as the counters beside it say."""
    if captured.engine != "vllm" or "vllm:iteration_tokens_total_bucket" not in captured.page().names:
        return
    _, reading = captured.readings()[0]
    for replica in reading.replicas:
        told = reading.histograms()[replica.model, replica.rank]
        steps, finished = replica.fields["steps_total"], replica.fields["requests_finished_total"]
        assert steps == (None if told["step_tokens"] is None else sum(told["step_tokens"]))
        for name in ("prompt_lengths", "generation_lengths"):
            counts = told[name]
            assert counts is not None
            assert (finished or 0.0) >= sum(counts)


@each_page
def test_a_page_tells_its_engine_and_is_refused_by_name_for_every_other(captured: Captured) -> None:
    names = captured.page().names
    spec = SPECS[captured.engine]
    assert spec == detect(names, captured.engine if spec.explicit_only else None)
    for other in set(SPECS) - {captured.engine}:
        with pytest.raises(SourceError, match=re.escape(f"engine: {captured.engine}")) as raised:
            detect(names, other)
        assert raised.value.kind is Kind.WRONG_ENGINE


@each_page
def test_a_renamed_series_is_missing_and_never_zero(captured: Captured) -> None:
    """Each figure's names are renamed in turn: the figure vanishes or is derived from others, and nothing is 0."""
    spec = SPECS[captured.engine]
    before = read(spec, captured.page(), captured.headers)
    for field, reading in spec.readings.items():
        if field in before.missing:
            continue
        body = captured.body
        for name in reading.names:
            body = re.sub(rb"\b" + name.encode() + rb"(?=[{ ])", name.encode() + b"_renamed", body)
        after = read(spec, captured.page(body), captured.headers)
        values = [replica.fields[field] for replica in after.replicas]
        if field in spec.derives:
            assert 0.0 not in values or [replica.fields[field] for replica in before.replicas] == values
        else:
            assert [None] * len(before.replicas) == values
            assert field in after.missing


@each_page
def test_a_page_that_declares_a_series_of_another_kind_is_refused(captured: Captured) -> None:
    spec = SPECS[captured.engine]
    present = captured.page().names
    swapped = {b"counter": b"gauge", b"gauge": b"counter"}
    checked = 0
    for reading in (*spec.readings.values(), *spec.inputs.values()):
        for name in present.intersection(reading.names):
            family = name.encode().removesuffix(b"_total") if captured.page().openmetrics else name.encode()
            pattern = rb"(?m)^# TYPE " + re.escape(family) + rb" (counter|gauge)$"
            body, count = re.subn(
                pattern, lambda found: found.group().replace(found.group(1), swapped[found.group(1)]), captured.body
            )
            if count == 0 or reading.accept_types:
                continue
            checked += 1
            with pytest.raises(SourceError, match=re.escape(name)) as raised:
                read(spec, captured.page(body), captured.headers)
            assert raised.value.kind is Kind.BAD_PAGE
    assert checked > 1


@each_engine
def test_identity_readers_survive_any_json_and_tell_only_known_fields(engine: str) -> None:
    odd: tuple[Any, ...] = (
        *(None, 1, 1.5, True, "x", [], {}, [[]], {"data": 3}, {"data": []}, {"data": [None]}),
        *({"data": [{"meta": 4}]}, {"data": [{"root": 7, "max_model_len": "x"}]}, {"data": {"0": 1}}),
        *({"model_ftype": "???"}, {"model_ftype": ""}, {"total_slots": True}, {"total_slots": 0}, {"total_slots": 1e9}),
        *({"version": ["0.1"]}, {"version": "\ud800"}, {"default_generation_settings": [1]}, {"model_path": " "}),
    )
    for extra in SPECS[engine].extras:
        for answer in (*odd, {"loads": [None, {"dp_rank": 0, "decode_moments": 3}]}, [{"is_processing": True}, 7]):
            assert all(set(values) <= set(extra.inputs) for values in extra.read(answer).values())
    for probe in SPECS[engine].identity:
        for answer in odd:
            assert set(probe.read(answer)) <= IDENTITY_FIELDS
    for info in SPECS[engine].info:
        assert set(info.read({})) <= IDENTITY_FIELDS
        assert set(info.read({"num_gpu_blocks": "x", "block_size": "-3"})) <= IDENTITY_FIELDS


def test_shared_pages_are_told_apart() -> None:
    """Pages from outside this repository, where they are at hand: ours are read, the others refused."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared pages at {SHARED}: set BREAKEVEN_SHARED to check them")
    engines = {}
    for path in sorted(SHARED.glob("*.prom")):
        page = PageParser(None, Limits()).parse(path.read_bytes())
        try:
            spec = detect(page.names, "nim" if path.name.startswith("nim_") else None)
            assert read(spec, page, {}).replicas
            engines[path.name] = spec.name
        except SourceError as error:
            engines[path.name] = error.kind
    ours = {name: engine for name, engine in engines.items() if engine is not Kind.UNKNOWN_ENGINE}
    assert ours == {
        "llamacpp_pre26920_2025-08.prom": "llamacpp",
        "lmdeploy_0.16.composed.prom": "lmdeploy",
        "nim_2024-10.prom": "nim",
        "ray_vllm_v0_2024-12.prom": "ray",
        "sglang_0.5.23.composed.prom": "sglang",
        "sglang_via_dynamo_2026-01.prom": "sglang",
        "tgi_3.3.composed.prom": "tgi",
        "triton_tensorrtllm_backend.prom": "triton",
        "trtllm_prometheus_via_dynamo_2026-01.prom": "trtllm",
        "vllm_0.33.composed.prom": "vllm",
    }
    # The sample of Triton's vLLM backend is an excerpt without Triton's own series: told by name it can still be read.
    assert engines["triton_vllm_backend.prom"] is Kind.UNKNOWN_ENGINE
    excerpt = PageParser(None, Limits()).parse((SHARED / "triton_vllm_backend.prom").read_bytes())
    (replica,) = read(SPECS["triton"], excerpt, {}).replicas
    assert (replica.model, replica.rank, replica.fields["generation_tokens_total"]) == ("vllm_model", "1", 16)
