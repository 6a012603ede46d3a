"""Answers of our HTTP side: compressed for whom asks, and not sent again to whom has them."""

from __future__ import annotations

import asyncio
import zlib
from concurrent.futures import Executor

from aiohttp import ETag, web

LEAST_COMPRESSED_BYTES = 1000
LEVEL = 1
"""A quarter more bytes than the usual level for a third of its time."""
_GZIP = 16 + zlib.MAX_WBITS


async def answer(
    request: web.Request,
    body: bytes,
    content_type: str,
    executor: Executor,
    *,
    tag: str | None = None,
    status: int = 200,
) -> web.Response:
    """The body, gzipped where the request accepts it; 304 where it names the same `tag`."""
    headers = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
    if tag is not None:
        headers["ETag"] = f'W/"{tag}"'
        headers["Cache-Control"] = "no-cache"
        if _has(request, tag):
            return web.Response(status=304, headers=headers)
    if len(body) >= LEAST_COMPRESSED_BYTES and accepts_gzip(request.headers.get("Accept-Encoding", "")):
        body = await asyncio.get_running_loop().run_in_executor(executor, compressed, body)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=status, body=body, headers=headers)


def compressed(body: bytes) -> bytes:
    """The body as one gzip member."""
    squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP)
    return squeeze.compress(body) + squeeze.flush()


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header names gzip, or anything, with a weight above 0."""
    for part in header.lower().split(","):
        name, _, parameters = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def _has(request: web.Request, tag: str) -> bool:
    return any(isinstance(one, ETag) and one.value in (tag, "*") for one in request.if_none_match or ())
