"""TLS files of targets, over real TLS: looked at with every poll, and shared by targets that say the same."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from collector.errors import Kind, SourceError
from collector.jobs.scraper import scraper_of
from collector.jobs.targets import Target, static_targets
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.fetch import Fetcher, client_session
from collector.settings.load import parse_settings
from tests.collector.test_scrape_addresses import certified
from tests.fakes import rude

VLLM = (Path(__file__).parents[1] / "pages/vllm__0.32.0__busy.prom").read_bytes()
CONFIG = """
scrape_configs:
  - job_name: a
    scheme: https
    tls_config: {{ca_file: {ca}, server_name: localhost}}
    static_configs: [{{targets: {addresses}}}]
"""


def targets_of(ca: Path, *addresses: str) -> list[Target]:
    return static_targets(parse_settings(CONFIG.format(ca=ca, addresses=list(addresses)), "c.yaml"))


@pytest.mark.fault(
    "2",
    "a certificate that is expired, self-signed or of another name",
    promise="a file of `tls_config` that comes late or is renewed is used at the next poll",
)
def test_a_file_that_comes_late_or_changes_is_used_at_the_next_poll(tmp_path: Path) -> None:
    """The authority's file is absent, then the server's, then another one's, then the server's again."""
    ours, other = tmp_path / "ours", tmp_path / "other"
    ours.mkdir()
    other.mkdir()
    server, stranger, used = certified(ours), certified(other), tmp_path / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server)

    async def go() -> list[Kind | None]:
        handler = rude.answering(rude.page(VLLM, b"Content-Type: text/plain"))
        async with rude.serving(handler, "https", ssl=context) as url, client_session() as session:
            (target,) = targets_of(used, url.split("/")[2])
            scraper = scraper_of(target, Fetcher(session), TlsContexts())
            found: list[Kind | None] = []
            for file in (None, server, stranger, server):
                if file is not None:
                    shutil.copy(file, used)
                try:
                    await scraper.scrape()
                    found.append(None)
                except SourceError as error:
                    found.append(error.kind)
        return found

    assert asyncio.run(go()) == [Kind.TLS, None, Kind.TLS, None]


def test_targets_that_say_the_same_share_one_context(tmp_path: Path) -> None:
    """Each holds the authorities that it trusts: a thousand of the system's would be 1.5 GB."""
    contexts = TlsContexts()
    first, second = targets_of(certified(tmp_path), "h:1", "h:2")

    assert contexts.of(first) is contexts.of(second)


def test_a_target_that_discovery_named_is_not_shown_our_certificate(tmp_path: Path) -> None:
    """It is a credential: with it the context is another one, and the job may say that it is for such hosts too."""
    ca, absent = certified(tmp_path), tmp_path / "absent.pem"
    (target,) = targets_of(ca, "h:1")
    assert target.job.tls_config is not None
    own = target.job.tls_config.model_copy(update={"cert_file": absent, "key_file": absent})
    told = replace(target, job=target.job.model_copy(update={"tls_config": own}))
    contexts = TlsContexts()

    with pytest.raises(SourceError):
        contexts.of(told)
    assert isinstance(contexts.of(replace(told, discovered=True)), ssl.SSLContext)
