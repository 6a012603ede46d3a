"""Servers without metrics: there or not, what they say they serve, and GPU counters; never a figure made up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner

from analyzer.assumptions import Deployment, Policy
from analyzer.evidence import Estimate, Evidence, Missing
from analyzer.replicas import ReplicaHistory
from analyzer.report import analyse
from analyzer.samples import ReplicaKey
from analyzer.verdict import Verdict
from analyzer.windows import add_up, pairwise_totals
from collector.cli.inspect import servers
from collector.cli.look import look_at_sources
from collector.clock import SystemClock
from collector.errors import Kind
from collector.health import TargetHealth
from collector.jobs.poll import PollTarget
from collector.jobs.polled import Polled
from collector.jobs.scraper import scraper_of
from collector.jobs.targets import static_targets
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.facts import FACTS
from collector.scrape.fetch import Fetcher, client_session
from collector.servers import bare_engines
from collector.servers.ollama import ENGINE as OLLAMA
from collector.settings import Settings
from collector.settings.load import parse_settings
from tests.fakes.metrics_app import MetricsApp, running

LLAMA = {
    "name": "llama3.1:8b",
    "size": 6_654_289_920,
    "size_vram": 6_654_289_920,
    "context_length": 4096,
    "details": {"format": "gguf", "parameter_size": "8.0B", "quantization_level": "Q4_K_M"},
}


def ollama(*loaded: dict[str, Any]) -> MetricsApp:
    """What Ollama answers; its metrics page is a 404."""
    endpoints = {"/": "Ollama is running", "/api/ps": {"models": list(loaded)}, "/api/version": {"version": "0.13.1"}}
    return MetricsApp(path="/nowhere", endpoints=endpoints)


def settings_of(address: str, engine: str) -> Settings:
    group = f"{{targets: ['{address}'], labels: {{gpu_uuid: GPU-1}}}}"
    text = f"scrape_configs: [{{job_name: j, engine: {engine}, static_configs: [{group}]}}]\ngpu: {{nvml: off}}"
    return parse_settings(text, "c.yaml")


class Kept:
    def __init__(self) -> None:
        self.polled: list[Polled] = []

    def put(self, _target: str, polled: list[Polled]) -> None:
        self.polled += polled


def polls(app: MetricsApp, engine: str, *changes: dict[str, Any]) -> tuple[list[Polled], TargetHealth]:
    """Poll once, and again after each change of the app's answers."""
    kept, health = Kept(), TargetHealth(url="u", job="j")

    async def go() -> None:
        async with running(app) as url, client_session() as session:
            (target,) = static_targets(settings_of(url.split("/")[2], engine))
            scraper = scraper_of(target, Fetcher(session), TlsContexts())
            poll = PollTarget(target, scraper, kept, health, SystemClock())  # type: ignore[arg-type]
            await poll.run()
            for change in changes:
                app.endpoints |= change
                await poll.run()

    asyncio.run(go())
    return kept.polled, health


def test_an_ollama_server_is_a_replica_without_a_figure_and_with_its_gpus() -> None:
    (polled,), health = polls(ollama(LLAMA), "ollama")
    assert (health.up, health.engine, health.unreported) == (True, "ollama", ())
    assert (polled.fields, polled.unreported, polled.gpu_uuids) == ({}, (), ("GPU-1",))
    identity = polled.identity
    assert (identity.engine, identity.engine_version) == ("ollama", "0.13.1")
    assert (identity.model_path, identity.quantization, identity.dtype) == ("llama3.1:8b", "Q4_K_M", None)
    assert (identity.max_context_tokens, identity.weight_bytes, identity.mixed_steps) == (4096, None, None)


def test_another_loaded_model_is_another_epoch_and_an_unloaded_one_is_not() -> None:
    other = {**LLAMA, "name": "qwen3:8b"}
    polled, _ = polls(ollama(LLAMA), "ollama", {"/api/ps": {"models": []}}, {"/api/ps": {"models": [other]}})
    first, idle, second = (one.identity for one in polled)
    assert first == idle
    assert first != second
    assert second.model_path == "qwen3:8b"


@pytest.mark.parametrize(("answer", "kind"), [(404, Kind.HTTP_STATUS), ({"data": []}, Kind.WRONG_ENGINE), ("no", None)])
def test_a_server_that_is_not_ollama_is_a_failed_poll(answer: Any, kind: Kind | None) -> None:
    app = ollama()
    app.endpoints["/api/ps"] = answer
    polled, health = polls(app, "ollama")
    assert polled == []
    assert health.reason == (kind or Kind.WRONG_ENGINE)


def test_a_float_type_is_a_dtype_and_several_models_tell_nothing() -> None:
    full = {**LLAMA, "details": {"quantization_level": "F16"}}
    told = OLLAMA.read({"models": [full]})
    assert told is not None
    assert (told["dtype"], told["quantization"]) == ("float16", None)
    assert OLLAMA.read({"models": [LLAMA, full]}) == {}
    assert OLLAMA.read(["x"]) is None


def test_mii_is_up_while_its_port_answers_and_down_when_not() -> None:
    (polled,), health = polls(MetricsApp(), "mii")
    assert (polled.identity.engine, health.up) == ("mii", True)

    async def nobody() -> TargetHealth:
        async with running(MetricsApp()) as url, client_session() as session:
            address = url.split("/")[2]
        health = TargetHealth(url="u", job="j")
        (target,) = static_targets(settings_of(address, "mii"))
        await PollTarget(
            target, scraper_of(target, Fetcher(session), TlsContexts()), Kept(), health, SystemClock()
        ).run()  # type: ignore[arg-type]
        return health

    assert asyncio.run(nobody()).reason == Kind.REFUSED


def test_gpu_utilization_is_all_that_is_known_and_the_verdict_is_insufficient_data() -> None:
    (polled,), _ = polls(ollama(LLAMA), "ollama")
    samples = [polled.sample(1) for _ in range(3)]
    spaced = [type(one)(one.replica, 1, 15.0 * number, 15.0) for number, one in enumerate(samples)]
    totals = add_up(pairwise_totals(spaced))
    known = ReplicaHistory(
        replica=ReplicaKey("t", ""),
        job="j",
        deployment="d",
        identity=polled.identity,
        simulated=False,
        last=spaced[-1],
        recent=totals,
        history=totals,
        joined_gpus=1,
        gpu_utilization_recent=0.7,
        gpu_utilization_history=0.7,
    )
    report = analyse(
        [known],
        [Deployment("d")],
        {},
        Policy(min_history_s=1.0, min_coverage_ratio=0.1, dwell_s=0.0, hold_s=0.0),
        now_s=31.0,
        recent_s=300.0,
        history_s=300.0,
    )
    (deployment,) = report.deployments
    busy = deployment.busy
    assert isinstance(busy, Estimate)
    assert (busy.value, busy.evidence) == (pytest.approx(0.7), Evidence.MEASURED)
    assert isinstance(deployment.prefill_exclusive, Missing)
    assert isinstance(deployment.decode_batch, Missing)
    assert isinstance(deployment.generation_tokens_per_s, Missing)
    assert {scheme.verdict for scheme in deployment.schemes} == {Verdict.INSUFFICIENT_DATA}
    assert all(scheme.judged.reasons_against or scheme.judged.reasons_for for scheme in deployment.schemes)


def findings(app: MetricsApp, engine: str) -> list[tuple[str, str, str]]:
    async def go() -> list[tuple[str, str, str]]:
        async with running(app) as url:
            found = await look_at_sources(settings_of(url.split("/")[2], engine), embedded=False)
            return [(one.level, one.text, one.remedy) for one in found]

    return asyncio.run(go())


def test_doctor_recognises_an_ollama_address_and_says_what_to_do() -> None:
    (level, text, remedy), *_ = findings(ollama(LLAMA), "auto")
    assert level == "fail"
    assert text.startswith("Ollama: exposes nothing; GPU counters only")
    assert "\n" not in text
    assert remedy == "set `engine: ollama` on the job and join its GPUs (gpu_joins, or the label gpu_uuid)"


def test_doctor_notes_what_a_stated_ollama_cannot_give_and_does_not_tell() -> None:
    found = findings(ollama({**LLAMA, "name": "our-own:latest"}), "ollama")
    assert [level for level, _, _ in found if level == "fail"] == []
    assert found[0][1].startswith("Ollama: exposes nothing; GPU counters only")
    assert (
        "note",
        "nothing tells the shape of 'our-own:latest', which is no known model",
        "set deployments[].model",
    ) in found
    assert not any("precision" in text for _, text, _ in found)  # Q4_K_M


def test_servers_lists_engines_that_expose_nothing() -> None:
    whole = json.loads(CliRunner().invoke(servers, ["--json"]).output)
    for name, engine in bare_engines().items():
        assert whole[name]["reads"] == {}
        assert whole[name]["evidence"] == list(engine.evidence)
        shown = CliRunner().invoke(servers, [name]).output
        assert "exposes nothing; GPU counters only" in shown
        assert "deployments[].gpus_per_replica" in shown
        assert engine.not_told <= FACTS
