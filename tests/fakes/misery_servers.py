"""A process of many servers whose moods are changed from outside: COUNT; says `ready PORT`, then takes orders.

Server i listens on 127.2.(i/250).(i%250 + 1):PORT. Each line of standard input is a JSON list: `[i, mood]`, where a
mood either lasts (`MOODS`) or is a change at once (`CHANGES`); `["ledger"]` prints one JSON line: for each server how
many pages it has answered in full, the number of its last page, and how many steps it has really made.

Every page carries its number as KV-cache usage in millionths, so that each stored sample names the page it came from.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.fakes import rude
from tests.fakes.played_server import Played

MOODS = ("well", "dead", "hung", "trickling", "cut", "error", "garbage", "empty")
CHANGES = ("restart", "swap", "rename", "freeze", "thaw", "step_back")
_GARBAGE = random.Random(8).randbytes(20_000)


def address_of(number: int) -> str:
    """The loopback address of a numbered server."""
    return f"127.2.{number // 250}.{number % 250 + 1}"


@dataclass
class Miserable:
    """One server: what it says, its mood, and what it has answered."""

    number: int
    port: int
    played: Played = field(default_factory=Played)
    mood: str = "well"
    last_page: int = 0
    answered: int = 0
    _made_before: float = 0.0
    _mark: float = 0.0
    _names: int = 0
    _server: asyncio.Server | None = None
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._mark = self.played.steps()

    @property
    def made_steps(self) -> float:
        """Steps that it has really made, over all of its lives."""
        return self._made_before + self.played.steps() - self._mark

    async def come(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._connected, address_of(self.number), self.port)

    async def turn(self, mood: str) -> None:
        """Take on another mood; whoever is connected is cut off when it is no longer well."""
        self.mood = mood
        for task in [*self._connections]:
            task.cancel()
        if mood == "dead" and self._server is not None:
            self._server.close()
            self._server = None
        elif mood != "dead" and self._server is None:
            await self.come()

    def change(self, what: str) -> None:
        """Change what the page says, at once."""
        self._made_before, played = self.made_steps, self.played
        works: Mapping[str, Callable[[], None]] = {
            "restart": played.restart,
            "swap": lambda: (self._rename(), played.restart())[0],
            "rename": self._rename,
            "freeze": played.freeze,
            "thaw": played.thaw,
            "step_back": lambda: played.step_back(min(300.0, played.steps())),
        }
        works[what]()
        self._mark = played.steps()

    def _rename(self) -> None:
        self._names += 1
        self.played.labels = b'engine="0",model_name="model-%d"' % self._names

    def page(self) -> bytes:
        """The next page."""
        self.last_page += 1
        usage = b"# TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc{%s} %.6f\n"
        return self.played.page() + usage % (self.played.labels, self.last_page / 1e6)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request as the mood has it; whether another may follow on this connection."""
        head = await rude.request(reader)
        if not head.startswith(b"GET /metrics "):
            writer.write(rude.page(b"", status=b"404 Not Found"))
            await writer.drain()
            return False
        if self.mood == "hung":
            await asyncio.Event().wait()
        if self.mood == "trickling":
            writer.write(rude.HEAD + b"Content-Length: 100000\r\n\r\n")
            while True:
                writer.write(b"#")
                await writer.drain()
                await asyncio.sleep(0.2)
        if self.mood == "well":
            body = self.page()
            writer.write(rude.HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()
            self.answered += 1
            return True
        writer.write(
            {
                "cut": lambda: rude.HEAD + b"Content-Length: 5000\r\n\r\n" + self.played.page()[:900],
                "error": lambda: rude.page(b"no", status=b"503 Service Unavailable"),
                "garbage": lambda: rude.page(_GARBAGE, b"Content-Type: text/plain"),
                "empty": lambda: rude.page(b"", b"Content-Type: text/plain"),
            }[self.mood]()
        )
        await writer.drain()
        return False


async def main(count: int) -> None:
    """Serve until standard input ends."""
    probe = await asyncio.start_server(lambda *_: None, address_of(0), 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    await probe.wait_closed()
    servers = [Miserable(number, port) for number in range(count)]
    for one in servers:
        await one.come()
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    print("ready", port, flush=True)
    while line := await orders.readline():
        match json.loads(line):
            case ["ledger"]:
                told = [(one.answered, one.last_page, one.made_steps) for one in servers]
                print(json.dumps(told), flush=True)
            case [number, mood] if mood in MOODS:
                await servers[number].turn(mood)
            case [number, what]:
                servers[number].change(what)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
