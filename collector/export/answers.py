"""Answers of our HTTP side: compressed for whom asks, and not sent again to whom has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor

from aiohttp import ETag, web

from collector.export.pressed import Part, Pressed, gzipped, plain, size_bytes

LEAST_COMPRESSED_BYTES = 1000


async def answer(
    request: web.Request,
    body: Sequence[Part],
    content_type: str,
    executor: Executor,
    *,
    tag: str | None = None,
    status: int = 200,
) -> web.Response:
    """The body, given in parts, gzipped where the request accepts it; 304 where it names the same `tag`."""
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if tag is not None:
        headers["ETag"] = f'W/"{tag}"'
        headers["Cache-Control"] = "no-cache"
        if _has(request, tag):
            return web.Response(status=304, headers=headers)
    write = plain
    if size_bytes(body) >= LEAST_COMPRESSED_BYTES and accepts_gzip(request.headers.get("Accept-Encoding", "")):
        write = gzipped
        headers["Content-Encoding"] = "gzip"
    elif not any(isinstance(part, Pressed) for part in body):
        return web.Response(status=status, body=plain(body), headers=headers)
    written = await asyncio.get_running_loop().run_in_executor(executor, write, body)
    return web.Response(status=status, body=written, headers=headers)


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header names gzip, or anything, with a weight above 0."""
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _has(request: web.Request, tag: str) -> bool:
    return any(isinstance(one, ETag) and one.value in (tag, "*") for one in request.if_none_match or ())
