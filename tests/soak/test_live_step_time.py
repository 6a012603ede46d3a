"""The step-time model on real servers on the CPU under a swinging load: windows that it was not fitted to."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from tests.e2e.test_llama_server import free_port
from tests.fakes.daemon_process import helper
from tests.fakes.nano_model import Shape, write_nano_model
from tests.soak import test_live_vllm as vllm
from tests.soak.install_vllm import main as install
from tests.soak.swinging_load import CLIENTS, Answer, Recorded, ask_llama, drive

pytestmark = pytest.mark.soak
WARM_UP_S, WINDOW_S, WINDOWS = 60.0, 300.0, 6
RUN_S = WARM_UP_S + WINDOW_S * WINDOWS + 15.0
LLAMA = Shape(embedding=384, layers=6, heads=6, feed_forward=1024)
"""Of 10 million parameters: what a step takes is decided by the model, not by what stands around it."""


def ask_vllm(port: int, prompt: int, tokens: int, chance: random.Random) -> Answer:
    vllm.ask(port, prompt, tokens, chance)
    return Answer(None, time.time())


async def recorded(port: int, pid: int, ask: Callable[..., Answer], log: Path | None, run_s: float) -> Recorded:
    ask(port, 32, 16, random.Random(99))  # the first step of a process is like no other
    async with client_session() as session:
        scraper = TargetScraper(f"http://127.0.0.1:{port}/metrics", Fetcher(session), detect, log_file=log)
        await scraper.scrape()
        await scraper.identify()
        return await drive(scraper, partial(ask, port), pid, run_s)


def run_vllm(folder: Path, run_s: float) -> Recorded:
    install(vllm.ENVIRONMENT)
    port, log = free_port(), folder / "vllm.log"
    process = vllm.server(folder, port, log)
    try:
        vllm.wait(process, port, log)
        return asyncio.run(recorded(port, process.pid, ask_vllm, log, run_s))
    finally:
        process.terminate()
        process.wait(timeout=60)


def run_llama(folder: Path, run_s: float) -> Recorded:
    model, port = folder / "llama.gguf", free_port()
    write_nano_model(model, shape=LLAMA)
    with helper("-m", "tests.fakes.llama_process", str(model), str(port), str(CLIENTS), "1") as (process, _):
        return asyncio.run(recorded(port, process.pid, ask_llama, None, run_s))
