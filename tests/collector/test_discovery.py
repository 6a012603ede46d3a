"""Targets that files, HTTP and DNS name: read as Prometheus does, kept where a source fails, and never trusted more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from collector.errors import ConfigError, SourceError
from collector.health import Health
from collector.jobs.discovery import Discovery
from collector.jobs.scraper import scraper_of
from collector.jobs.sources import Resolve, system_resolve
from collector.jobs.targets import Target, target_headers
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.fetch import Fetcher, client_session
from collector.settings import Settings
from collector.settings.load import parse_settings
from tests.fakes import rude
from tests.fakes.dns_server import dns_serving
from tests.fakes.hand_clock import HandClock

JSON = b"Content-Type: application/json; charset=utf-8"
Story = Callable[[Discovery, HandClock], Awaitable[None]]


def settings_of(job: str, name: str = "a") -> Settings:
    return parse_settings(f"scrape_configs: [{{job_name: {name}, {job}}}]", "c.yaml")


def played(settings: Settings, story: Story, resolve: Resolve = system_resolve) -> dict[tuple[str, str], Health]:
    """Tells a story of the discovery by these settings; its health after that."""
    health: dict[tuple[str, str], Health] = {}

    async def go() -> None:
        clock = HandClock()
        async with asyncio.timeout(60), client_session() as session:
            discovery = Discovery(settings, Fetcher(session), health, clock, resolve)
            try:
                await story(discovery, clock)
            finally:
                discovery.close()

    asyncio.run(go())
    return health


def found(settings: Settings) -> tuple[list[Target], list[str]]:
    """All targets after one refresh, and what was said."""
    result: list[tuple[list[Target], list[str]]] = []

    async def story(discovery: Discovery, _: HandClock) -> None:
        failed = await discovery.refresh()
        targets, cut = discovery.targets()
        result.append((targets, [*failed, *cut]))

    played(settings, story)
    return result[0]


def file_job(*files: Path, more: str = "") -> Settings:
    return settings_of(f"file_sd_configs: [{{files: {json.dumps(list(map(str, files)))}}}]{more}")


def test_file_targets_are_read_and_a_broken_file_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"targets": ["h:1", "h:2"], "labels": {"gpu_uuid": "GPU-1, GPU-2"}}]')
    (tmp_path / "b.yaml").write_text("targets: nope\n")
    targets, said = found(file_job(tmp_path / "*.json", tmp_path / "*.yaml"))

    assert [target.url for target in targets] == ["http://h:1/metrics", "http://h:2/metrics"]
    assert targets[0].gpu_uuids == ("GPU-1", "GPU-2")
    assert len(said) == 1
    assert "b.yaml" in said[0]


def test_the_label_step_log_names_a_targets_log(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"targets": ["h:1"], "labels": {"step_log": "/v.log"}}, {"targets": ["h:2"]}]')
    targets, said = found(file_job(tmp_path / "*.json"))

    assert [target.step_log for target in targets] == [Path("/v.log"), None]
    assert said == []


@pytest.mark.fault("2", "a discovery source fails", promise="a file that breaks keeps the targets it named last")
@pytest.mark.parametrize(
    "broken",
    [
        '[{"targets": [',
        '[{"targets": ["h:9"], "labels": ["a"]}]',
        "[" * 3000,
        '[{"targets": ["h:8", "h:9"], "labels": {"step_log": "one.log"}}]',
        '[{"targets": ["user:secret@h:9"]}]',
        '[{"targets": ["h:9/path"]}]',
        '[{"targets": ["h:9?a=b"]}]',
        '[{"targets": [9]}]',
    ],
)
def test_a_file_that_breaks_keeps_the_targets_it_named_last(tmp_path: Path, broken: str) -> None:
    file = tmp_path / "a.json"
    texts = ['[{"targets": ["h:1"]}]', broken, '[{"targets": ["h:2"]}]']
    seen = []

    async def story(discovery: Discovery, clock: HandClock) -> None:
        for text in texts:
            _write(file, text)
            said = await discovery.refresh()
            seen.append(([target.address for target in discovery.targets()[0]], len(said)))
            clock.advance(300)

    health = played(file_job(file), story)

    assert seen == [(["h:1"], 0), (["h:1"], 1), (["h:2"], 0)]
    assert (health["a", "file"].attempts, sum(health["a", "file"].failures.values())) == (3, 1)


@pytest.mark.fault(
    "2", "thousands of targets", promise="of 5,000 target_limit keeps the first, and what is left out is said"
)
def test_too_many_targets_are_cut_and_said(tmp_path: Path) -> None:
    """A file names 5,000, of which those that come first are kept beside the one that the job states itself."""
    addresses = [f"h:{port}" for port in range(1, 5001)]
    (tmp_path / "a.json").write_text(json.dumps([{"targets": addresses}]))
    more = ", target_limit: 4000, static_configs: [{targets: ['s:1']}]"
    targets, said = found(file_job(tmp_path / "*.json", more=more))

    assert [target.address for target in targets] == ["s:1", *addresses[:3999]]
    (line,) = said
    assert "target_limit 4000" in line


@pytest.mark.fault("2", "a discovery source fails", promise="an HTTP source that fails keeps the targets it named last")
def test_http_targets_are_kept_while_their_source_fails() -> None:
    """A list, then every way of failing, then another list."""
    good = b'[{"targets": ["h:1", "[::1]:2"], "labels": {"gpu_uuid": "GPU-1", "step_log": "/etc/passwd"}}]'
    answers = [
        rude.page(good, JSON),
        rude.page(b"", status=b"500 Oops"),
        rude.page(b'[{"targets": ["h:9"]}]', b"Content-Type: text/html"),
        rude.page(b'{"targets": ["h:9"]}', JSON),
        rude.page(b'[{"targets": ["h:9"', JSON),
        rude.page(b"[" * 100_000, JSON),
        rude.page(b"", b"Location: http://h:9/", status=b"302 Found"),
        rude.page(b'[{"targets": ["h:3"]}]', JSON),
    ]
    heads: list[bytes] = []
    seen: list[tuple[list[str], int]] = []
    targets: list[Target] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await rude.request(reader))
        writer.write(answers[len(heads) - 1])
        await writer.drain()

    async def story(discovery: Discovery, clock: HandClock) -> None:
        async with rude.serving(handler) as url:
            job = f"http_sd_configs: [{{url: '{url}', authorization: {{credentials: for-the-source}}}}]"
            discovery.take(settings_of(job))
            for _ in answers:
                said = await discovery.refresh()
                seen.append(([target.address for target in discovery.targets()[0]], len(said)))
                targets[:0] = discovery.targets()[0]
                clock.advance(60)

    health = played(Settings(), story)

    first = ["h:1", "[::1]:2"]
    assert seen == [(first, 0), *[(first, 1)] * 6, (["h:3"], 0)]
    assert b"Authorization: Bearer for-the-source\r\n" in heads[0]
    assert b"Accept: application/json\r\n" in heads[0]
    assert targets[-1].step_log is None
    assert targets[-1].gpu_uuids == ("GPU-1",)
    assert sum(health["a", "http"].failures.values()) == 6


@pytest.mark.fault("2", "a discovery source fails", promise="a name that no longer resolves keeps its last addresses")
def test_dns_targets_are_kept_while_their_name_does_not_resolve() -> None:
    records: dict[tuple[str, str], list[str]] = {
        ("_vllm._tcp.example.", "SRV"): ["0 0 8000 b.example.", "0 0 8001 a.example."],
    }
    seen: list[tuple[list[str], list[str]]] = []

    async def story(_: Discovery, clock: HandClock) -> None:
        async with dns_serving(records) as resolve, client_session() as session:
            settings = settings_of("dns_sd_configs: [{names: [_vllm._tcp.example]}]")
            discovery = Discovery(settings, Fetcher(session), {}, clock, resolve)
            for change in (None, {}, {("_vllm._tcp.example.", "SRV"): ["0 0 9000 c.example."]}):
                if change is not None:
                    records.clear()
                    records.update(change)
                said = await discovery.refresh()
                seen.append(([target.address for target in discovery.targets()[0]], said))
                clock.advance(30)
            discovery.close()

    played(Settings(), story)

    assert [addresses for addresses, _ in seen] == [["a.example:8001", "b.example:8000"]] * 2 + [["c.example:9000"]]
    assert seen[0][1] == seen[2][1] == []
    assert "_vllm._tcp.example" in seen[1][1][0]


def test_addresses_of_a_name_get_the_stated_port() -> None:
    records = {("v4.example.", "A"): ["10.0.0.2", "10.0.0.1"], ("v6.example.", "AAAA"): ["fd00::1"]}
    seen: list[list[str]] = []

    async def story(_: Discovery, clock: HandClock) -> None:
        async with dns_serving(records) as resolve, client_session() as session:
            settings = settings_of(
                "dns_sd_configs: [{names: [v4.example], type: A, port: 8000}, "
                "{names: [v6.example], type: AAAA, port: 8000}]"
            )
            discovery = Discovery(settings, Fetcher(session), {}, clock, resolve)
            assert await discovery.refresh() == []
            seen.append([target.address for target in discovery.targets()[0]])
            discovery.close()

    played(Settings(), story)

    assert seen == [["10.0.0.1:8000", "10.0.0.2:8000", "[fd00::1]:8000"]]


def test_a_source_is_asked_again_at_its_interval_and_not_before(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("[]")
    waits: list[float] = []

    async def story(discovery: Discovery, clock: HandClock) -> None:
        for seconds in (0.0, 299.0, 1.0):
            clock.advance(seconds)
            waits.append(discovery.wait_s(1e9))
            await discovery.refresh()

    health = played(file_job(file), story)

    assert waits == [0.0, 1.0, 0.0]
    assert health["a", "file"].attempts == 2


def test_a_reload_keeps_what_an_unchanged_source_named(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('[{"targets": ["h:1"]}]')
    settings = file_job(file)
    seen: list[int] = []

    async def story(discovery: Discovery, _: HandClock) -> None:
        await discovery.refresh()
        discovery.take(file_job(file, more=", metrics_path: /m"))
        seen.append(len(discovery.targets()[0]))
        discovery.take(settings_of("static_configs: [{targets: ['h:1']}]"))
        seen.append(len(discovery.targets()[0]))

    assert played(settings, story) == {}
    assert seen == [1, 1]


SECRET = "authorization: {credentials: hunter2}"


@pytest.mark.fault(
    "2",
    "credentials would go to a host that discovery named",
    promise="they do not, unless the job says `credentials_to_discovered: true`; it has to say which",
)
@pytest.mark.parametrize(("stated", "sent"), [("false", 0), ("true", 1)])
def test_credentials_go_to_discovered_hosts_only_where_the_job_says_so(tmp_path: Path, stated: str, sent: int) -> None:
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await rude.request(reader))
        writer.write(rude.page(b"x 1\n"))
        await writer.drain()

    async def go() -> None:
        async with rude.serving(handler) as url, client_session() as session:
            _write(tmp_path / "a.json", json.dumps([{"targets": [url.split("/")[2]]}]))
            settings = file_job(tmp_path / "a.json", more=f", {SECRET}, credentials_to_discovered: {stated}")
            discovery = Discovery(settings, Fetcher(session), {}, HandClock())
            await discovery.refresh()
            (target,) = discovery.targets()[0]
            discovery.close()
            with pytest.raises(SourceError):
                await scraper_of(target, Fetcher(session), TlsContexts()).scrape()

    asyncio.run(go())
    assert len(heads) == 1
    assert heads[0].count(b"hunter2") == sent


def test_credentials_go_to_targets_of_the_configuration_whatever_is_said_of_others(tmp_path: Path) -> None:
    more = f", static_configs: [{{targets: ['s:1']}}], {SECRET}, credentials_to_discovered: false"
    (target,) = found(file_job(tmp_path / "a.json", more=more))[0]

    assert target_headers(target) == {"Authorization": "Bearer hunter2"}


@pytest.mark.parametrize(
    "secret", [SECRET, "basic_auth: {username: a, password: b}", "tls_config: {cert_file: a, key_file: b}"]
)
@pytest.mark.parametrize(
    "source",
    [
        "file_sd_configs: [{files: [a.json]}]",
        "http_sd_configs: [{url: 'http://h/'}]",
        "dns_sd_configs: [{names: [n], type: A, port: 1}]",
    ],
)
def test_a_job_with_credentials_and_discovery_has_to_say_whether_they_go_together(secret: str, source: str) -> None:
    with pytest.raises(ConfigError, match="state credentials_to_discovered, true or false"):
        settings_of(f"{source}, {secret}")

    assert settings_of(f"{source}, {secret}, credentials_to_discovered: false")


@pytest.mark.parametrize(
    "source",
    [
        "http_sd_configs: [{url: 'ftp://h/'}]",
        "http_sd_configs: [{url: 'http://user:hunter2@h/'}]",
        "http_sd_configs: [{url: 'http:///x'}]",
        "dns_sd_configs: [{names: [n], type: A}]",
        "dns_sd_configs: [{names: [n], port: 80}]",
        "dns_sd_configs: [{names: []}]",
        "dns_sd_configs: [{names: [n], type: MX}]",
    ],
)
def test_a_source_that_cannot_work_is_refused(source: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings_of(source)

    assert "hunter2" not in str(raised.value)


def _write(file: Path, text: str) -> None:
    file.write_text(text)
