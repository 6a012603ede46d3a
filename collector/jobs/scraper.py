"""How a target of the configuration is scraped: its job's credentials, TLS and limits put to work."""

from __future__ import annotations

from functools import partial

from collector.jobs.targets import Target, auth_headers, tls_context
from collector.scrape.fetch import Fetcher
from collector.scrape.page import LayoutPool
from collector.scrape.target import TargetScraper
from collector.servers import detect


def scraper_of(
    target: Target, fetcher: Fetcher, layouts: LayoutPool | None = None, *, only_look: bool = False
) -> TargetScraper:
    """The target's scraper. Raises SourceError for TLS files that cannot be used.

    `only_look`: the whole page is asked for, and nothing is taken that the server gives away only once.
    """
    job = target.job
    return TargetScraper(
        target.url,
        fetcher,
        detect,
        engine=None if job.engine == "auto" else job.engine,
        limits=target.limits(),
        headers=partial(auth_headers, job),
        ssl=tls_context(job.tls_config),
        server_name=None if job.tls_config is None else job.tls_config.server_name,
        name_filter=job.name_filter and not only_look,
        exclusive=job.exclusive and not only_look,
        layouts=layouts,
    )
