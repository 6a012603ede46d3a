"""A process with four bad targets: one silent, one huge, one web page, one other exporter; says `ready PORT...`."""

from __future__ import annotations

import asyncio
import signal

HUGE = b"# TYPE x gauge\n" + b"".join(b'x{n="%d"} 1\n' % number for number in range(50_000))
PAGES = {
    "huge": (b"text/plain", HUGE),
    "web": (b"text/html", b"<!doctype html><title>hello</title>"),
    "node": (b"text/plain", b"# TYPE node_load1 gauge\nnode_load1 0.5\n"),
}


async def main() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    def page(name: str):  # type: ignore[no-untyped-def]
        kind, body = PAGES[name]

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            writer.write(head % (kind, len(body)) + body)
            try:
                await writer.drain()
            except ConnectionError:
                return
            writer.close()

        return answer

    servers = [await asyncio.start_server(silent, "127.0.0.1", 0)]
    servers += [await asyncio.start_server(page(name), "127.0.0.1", 0) for name in PAGES]
    print("ready", *(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await stop.wait()
    for server in servers:
        server.close()


if __name__ == "__main__":
    asyncio.run(main())
