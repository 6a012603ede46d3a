"""One GET to a peer, and what it failed with: for tests of the fetcher."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from collector.errors import Kind, SourceError
from collector.scrape.fetch import Fetcher, Response, client_session
from collector.scrape.limits import Limits
from tests.fakes import rude

PATIENT = Limits(timeout_s=20, body_size_limit_bytes=1024 * 1024)


_HUNG_S = 25
"""Well beyond every deadline in these tests: a fetch that overlooks its own ends here, with another error."""


def fetch_from(handler: rude.Handler, limits: Limits = PATIENT, **options: object) -> Response:
    """The answer of a peer to one GET."""

    async def go() -> Response:
        async with asyncio.timeout(_HUNG_S), rude.serving(handler) as url, client_session() as session:
            return await Fetcher(session).get(url, limits=limits, **options)  # type: ignore[arg-type]

    return asyncio.run(go())


def failure(get: Callable[[], object]) -> tuple[Kind, str]:
    with pytest.raises(SourceError) as raised:
        get()
    assert "\n" not in str(raised.value)
    return raised.value.kind, str(raised.value)


def failure_at(url: str, **options: object) -> tuple[Kind, str]:
    async def go() -> Response:
        async with client_session() as session:
            return await Fetcher(session).get(url, limits=PATIENT, **options)  # type: ignore[arg-type]

    return failure(lambda: asyncio.run(go()))
