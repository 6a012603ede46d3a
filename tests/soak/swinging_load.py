"""A load that swings by a fixed schedule, and what a server's page and its clients say of it meanwhile."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import pi, sin
from pathlib import Path
from urllib.request import Request, urlopen

from analyzer.samples import ReplicaKey, ReplicaSample
from collector.scrape.target import TargetScraper
from tests.soak.drift import Piece

CLIENTS = 8
POLL_S = 5.0
SWING_S, MIX_S = 430.0, 270.0
"""Periods of the load and of its mix, in no simple ratio to each other or to five minutes: no two windows are alike."""
PAUSE_S = 0.15
DECODE_HEAVY, PROMPT_HEAVY, MIXED = (32, 64), (480, 8), (200, 32)
"""Requests by their prompt tokens and generated tokens."""


@dataclass(frozen=True)
class Answer:
    """A request by the clients' clock (unix seconds): when the server began with its prompt, and when it was done.

    The start is None where the server does not tell how long it took for the prompt.
    """

    began_s: float | None
    ended_s: float


@dataclass(frozen=True)
class Machine:
    """The machine at one instant: runnable processes on average over a minute, CPU seconds of all and of the server.

    `log_bytes` is how long the server's log was, 0 where there is none.
    """

    at_s: float
    load: float
    busy_s: float
    server_s: float
    log_bytes: int


@dataclass(frozen=True)
class Recorded:
    """A run: every poll, every request, how busy the machine was, and pieces of work that tell how fast, if any do."""

    samples: list[ReplicaSample]
    answers: list[Answer]
    machine: list[Machine]
    pieces: Sequence[Piece] = ()


def clients_at(elapsed_s: float, fewest: int) -> int:
    """`fewest` to all of them, by a sine."""
    return fewest + round((CLIENTS - fewest) * (1 + sin(2 * pi * elapsed_s / SWING_S)) / 2)


def request_at(elapsed_s: float, chance: random.Random) -> tuple[int, int]:
    """A request's prompt and generated tokens: by turns mostly long prompts and mostly long answers."""
    prompts = (1 + sin(2 * pi * elapsed_s / MIX_S)) / 2
    drawn = chance.random()
    if drawn < 0.25:
        return MIXED
    return PROMPT_HEAVY if drawn < 0.25 + 0.75 * prompts else DECODE_HEAVY


def client(
    ask: Callable[[int, int, random.Random], Answer], number: int, begin_s: float, run_s: float, fewest: int
) -> list[Answer]:
    """One client's requests; it pauses while the schedule wants fewer clients. Times are monotonic."""
    chance = random.Random(number)
    answers = []
    while (elapsed_s := time.monotonic() - begin_s) < run_s:
        if number < clients_at(elapsed_s, fewest):
            answers.append(ask(*request_at(elapsed_s, chance), chance))
            time.sleep(chance.expovariate(1 / PAUSE_S))
        else:
            time.sleep(0.2)
    return answers


def ask_llama(port: int, prompt: int, tokens: int, chance: random.Random) -> Answer:
    """One streamed request. Its prompt was done when its first token came, and took what the answer's timings say."""
    text = "".join(chance.choices("abcdefghijklmnop", k=prompt))
    body = {"prompt": text, "n_predict": tokens, "ignore_eos": True, "cache_prompt": False, "stream": True}
    request = Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode())
    first_s, prompt_s = None, None
    with urlopen(request, timeout=300) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                first_s = first_s or time.time()
                if b'"timings"' in line:
                    prompt_s = json.loads(line[len(b"data: ") :])["timings"]["prompt_ms"] / 1000
    ended_s = time.time()
    assert first_s is not None
    assert prompt_s is not None
    return Answer(first_s - prompt_s, ended_s)


def machine_now(pid: int, log: Path | None = None) -> Machine:
    """From /proc; the server's CPU seconds are those of its process and of all its children."""
    size = 0 if log is None else log.stat().st_size
    load = float(Path("/proc/loadavg").read_text().split()[0])
    user, nice, system, _, _, irq, soft, *_ = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:])
    return Machine(time.time(), load, (user + nice + system + irq + soft) / 100, _server_ticks(pid) / 100, size)


def _server_ticks(pid: int) -> int:
    children: dict[int, list[int]] = {}
    ticks = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        number = int(status.parent.name)
        children.setdefault(int(words[1]), []).append(number)
        ticks[number] = int(words[11]) + int(words[12])
    found, total = [pid], 0
    while found:
        one = found.pop()
        total += ticks.get(one, 0)
        found.extend(children.get(one, ()))
    return total


async def drive(
    scraper: TargetScraper,
    ask: Callable[[int, int, random.Random], Answer],
    pid: int,
    run_s: float,
    fewest: int,
    log: Path | None = None,
) -> Recorded:
    """Runs the load of `fewest` to all clients against the server of that process, which may write a log; polls it."""
    samples: list[ReplicaSample] = []
    machine = []
    begin_s = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as threads:
        load: list[Future[list[Answer]]] = [
            threads.submit(client, ask, number, begin_s, run_s, fewest) for number in range(CLIENTS)
        ]
        for tick in range(1, round(run_s / POLL_S) + 1):
            scrape = await scraper.scrape()
            (replica,) = scrape.reading.replicas
            at_s = time.time() - scrape.age_s
            samples.append(ReplicaSample(ReplicaKey("server", "m"), 1, at_s, POLL_S, **replica.fields))
            machine.append(machine_now(pid, log))
            if scraper.identity_due:
                await scraper.identify()
            await asyncio.sleep(max(0.0, begin_s + tick * POLL_S - time.monotonic()))
    return Recorded(samples, [answer for one in load for answer in one.result()], machine)
