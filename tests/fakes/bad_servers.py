"""A process with a bad target of each kind; says `ready NAME=PORT ...`."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from tests.fakes import rude

HUGE = b"# TYPE x gauge\n" + b"".join(b'x{n="%d"} 1\n' % number for number in range(50_000))
MILLION = b"# TYPE x gauge\n" + b"".join(b'x{n="%d"} 1\n' % number for number in range(1_000_000))
OPENING = rude.HEAD + b"Content-Length: 1000000\r\n\r\n"
BOMB = rude.bomb(256 << 20)
HANDLERS: dict[str, rude.Handler] = {
    "slow": rude.silent,
    "trickled_head": rude.trickling(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "trickled_body": rude.trickling(OPENING, b"x"),
    "bomb": rude.answering(rude.page(BOMB, b"Content-Type: text/plain", b"Content-Encoding: gzip")),
    "endless": rude.endless(rude.HEAD + b"\r\n", b"x 1\n" * 10_000),
    "redirect": rude.answering(rude.page(b"", b"Location: http://169.254.169.254/metrics", status=b"302 Found")),
    "guarded": rude.answering(rude.page(b"", b"WWW-Authenticate: Bearer", status=b"401 Unauthorized")),
    "elsewhere": rude.answering(rude.page(b"", status=b"404 Not Found")),
    "million": rude.answering(rude.page(MILLION, b"Content-Type: text/plain")),
    "duplicate": rude.answering(
        rude.page(b"# TYPE vllm:num_requests_running gauge\n" + b"vllm:num_requests_running 1\n" * 2)
    ),
}
PAGES = {
    "huge": (b"text/plain", HUGE),
    "web": (b"text/html", b"<!doctype html><title>hello</title>"),
    "node": (b"text/plain", b"# TYPE node_load1 gauge\nnode_load1 0.5\n"),
}


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    handlers = HANDLERS | {
        name: rude.answering(rude.page(body, b"Content-Type: " + kind)) for name, (kind, body) in PAGES.items()
    }
    async with contextlib.AsyncExitStack() as stack:
        urls = {name: await stack.enter_async_context(rude.serving(one)) for name, one in handlers.items()}
        print("ready", *(f"{name}={url.split(':')[2].split('/')[0]}" for name, url in urls.items()), flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
