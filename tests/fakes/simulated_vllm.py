"""A process that serves one simulated vLLM: PORT SPEED; says `ready URL`, then serves until it is terminated."""

from __future__ import annotations

import asyncio
import signal
import sys
import time

from collector.clock import SystemClock
from collector.simulator.scenarios import build, demo_fleet
from collector.simulator.web import serve


async def main(port: int, speed: float) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    fleet = build(demo_fleet()[:1], 5, time.time() - 600)
    fleet[0].server.advance(600.0)
    served = await serve(fleet, SystemClock(), "127.0.0.1", [port], speed)
    print("ready", served.urls[0], flush=True)
    await stop.wait()
    await served.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
