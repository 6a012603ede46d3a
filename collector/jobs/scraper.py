"""How a target of the configuration is scraped: its job's credentials, TLS and limits put to work, its kind told."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import partial
from urllib.parse import urlsplit

from collector.clock import Clock
from collector.errors import Kind, SourceError
from collector.gpu.dcgm import ENGINE, TITLE, shows_gpus
from collector.gpu.dcgm_target import GpuPageScraper
from collector.jobs.targets import Target, target_headers
from collector.jobs.tls_contexts import TlsContexts
from collector.scrape.bare import BareEngine, BareScraper, recognise
from collector.scrape.beside import beside
from collector.scrape.fetch import Fetcher, Response
from collector.scrape.listen import PassListener
from collector.scrape.page import LayoutPool
from collector.scrape.spec import EngineSpec
from collector.scrape.target import TargetScraper
from collector.servers import bare_engines, detect


class GpuPageError(SourceError):
    """The page is no engine's: it shows GPUs, and is read by `gpu_scraper_of`."""

    def __init__(self) -> None:
        super().__init__(Kind.UNKNOWN_ENGINE, f"a page of {TITLE}: it shows GPUs and no engine")


def detect_any(page_names: AbstractSet[str], engine: str | None = None) -> EngineSpec:
    """As `collector.servers.detect`. Raises GpuPageError for a page of GPUs where no engine is stated."""
    try:
        return detect(page_names, engine)
    except SourceError as error:
        if not shows_gpus(page_names):
            raise
        if engine is None:
            raise GpuPageError from None
        raise SourceError(error.kind, f"{error}; it looks like {TITLE} (engine: {ENGINE})") from None


def scraper_of(
    target: Target,
    fetcher: Fetcher,
    contexts: TlsContexts,
    layouts: LayoutPool | None = None,
    *,
    only_look: bool = False,
) -> TargetScraper | BareScraper:
    """The target's scraper, for the task that polls it.

    Raises SourceError for forward-pass records that cannot be listened to.
    `only_look`: the whole page is asked for, and nothing is taken that the server gives away only once.
    """
    job = target.job
    bare = bare_engines().get(job.engine)
    if bare is not None:
        return _bare_scraper(target, fetcher, contexts, bare)
    return TargetScraper(
        target.url,
        fetcher,
        detect_any,
        engine=None if job.engine == "auto" else job.engine,
        limits=target.limits(),
        headers=partial(target_headers, target),
        ssl=partial(contexts.of, target),
        server_name=None if job.tls_config is None else job.tls_config.server_name,
        name_filter=job.name_filter and not only_look,
        exclusive=job.exclusive and not only_look,
        log_file=target.step_log,
        passes=_listener(target),
        layouts=layouts,
    )


def _bare_scraper(target: Target, fetcher: Fetcher, contexts: TlsContexts, engine: BareEngine) -> BareScraper:
    job = target.job
    return BareScraper(
        target.url,
        fetcher,
        engine,
        limits=target.limits(),
        headers=partial(target_headers, target),
        ssl=partial(contexts.of, target),
        server_name=None if job.tls_config is None else job.tls_config.server_name,
    )


async def bare_engine_at(target: Target, fetcher: Fetcher, contexts: TlsContexts) -> BareEngine | None:
    """The engine without metrics that answers at a target's address, if one does. Raises nothing."""
    job = target.job

    async def get(path: str) -> Response:
        return await fetcher.get(
            beside(target.url, path),
            limits=target.limits(),
            headers=target_headers(target),
            ssl=contexts.of(target),
            server_name=None if job.tls_config is None else job.tls_config.server_name,
        )

    return await recognise(get, bare_engines().values())


def _listener(target: Target) -> PassListener | None:
    """The records that the target's server publishes, where the job says so."""
    endpoint = target.job.forward_pass_endpoint
    if endpoint is None:
        return None
    host = urlsplit(target.url).hostname or ""
    return PassListener(endpoint.replace("{host}", f"[{host}]" if ":" in host else host), target.job.forward_pass_ranks)


def gpu_scraper_of(target: Target, fetcher: Fetcher, contexts: TlsContexts, clock: Clock) -> GpuPageScraper:
    """The scraper of a target whose page shows GPUs."""
    job = target.job
    return GpuPageScraper(
        target.url,
        fetcher,
        clock,
        limits=target.limits(),
        headers=partial(target_headers, target),
        ssl=partial(contexts.of, target),
        server_name=None if job.tls_config is None else job.tls_config.server_name,
    )
