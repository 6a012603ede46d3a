"""The same loads on several llama.cpp servers by turns: what F16's page told, and what every server's clients got."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import add_up_whole, pairwise_totals
from collector.scrape.target import TargetScraper
from tests.fakes.closed_loop import Told
from tests.soak.swinging_load import machine_now

POLL_S = 2.0
OWN_PROCESSOR = 0.9


@dataclass(frozen=True)
class Load:
    """Clients that each ask so many times, one after another, with a prompt and an answer of so many tokens."""

    clients: int
    requests: int
    prompt: int
    answer: int


LOADS = {
    "decode-c1": Load(1, 2, 32, 128),
    "decode-c4": Load(4, 2, 32, 128),
    "decode-c8": Load(8, 2, 32, 128),
    "prefill-c4": Load(4, 2, 512, 4),
    "mixed-c4": Load(4, 2, 256, 64),
}


@dataclass(frozen=True)
class Got:
    """One run of a load: generated tokens per second as the clients received them, and the server's own account.

    `server` and `others`: mean number of processors that the server and all else kept busy. `told` None: nobody polled.
    """

    output_per_s: float
    others: float
    server: float
    told: Told | None

    @property
    def undisturbed(self) -> bool:
        """Whether the server, which computes on one processor and nearly always has a request, had that to itself."""
        return self.server >= OWN_PROCESSOR


def ask(port: int, prompt: int, tokens: int, chance: random.Random) -> int:
    """One request; the tokens that came."""
    text = "".join(chance.choices("abcdefghijklmnop", k=prompt))
    body = {"prompt": text, "n_predict": tokens, "ignore_eos": True, "cache_prompt": False}
    request = Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode())
    with urlopen(request, timeout=300) as answer:
        return int(json.loads(answer.read())["timings"]["predicted_n"])


def client(port: int, load: Load, number: int) -> int:
    chance = random.Random(number)
    return sum(ask(port, load.prompt, load.answer, chance) for _ in range(load.requests))


async def run(load: Load, port: int, pid: int, scraper: TargetScraper | None) -> Got:
    """The load against the server of that process, polled before, meanwhile and after where there is a scraper."""
    samples = [] if scraper is None else [await _polled(scraper)]
    before, begin_s = machine_now(pid), time.monotonic()
    with ThreadPoolExecutor(load.clients) as threads:
        asked: list[Future[int]] = [threads.submit(client, port, load, number) for number in range(load.clients)]
        answers = asyncio.gather(*map(asyncio.wrap_future, asked))
        while scraper is not None and not answers.done():
            await asyncio.wait([answers], timeout=POLL_S)
            samples.append(await _polled(scraper))
        tokens = sum(await answers)
    wall_s, after = time.monotonic() - begin_s, machine_now(pid)
    between_s, server_s = after.at_s - before.at_s, after.server_s - before.server_s
    others_s = after.busy_s - before.busy_s - server_s
    return Got(tokens / wall_s, others_s / between_s, server_s / between_s, _told(samples) if samples else None)


async def _polled(scraper: TargetScraper) -> ReplicaSample:
    scrape = await scraper.scrape()
    (replica,) = scrape.reading.replicas
    return ReplicaSample(ReplicaKey("server", "m"), 1, time.time() - scrape.age_s, POLL_S, **replica.fields)


def _told(samples: list[ReplicaSample]) -> Told:
    total = add_up_whole(pairwise_totals(samples))
    assert total is not None

    def rose(name: str) -> float:
        value = total.deltas[name]
        assert value is not None, f"the server does not tell {name}"
        return value

    return Told(
        wall_s=total.covered_s,
        prompt_tokens=rose("prefill_tokens_total"),
        prompt_s=rose("prefill_s_total"),
        output_tokens=rose("generation_tokens_total"),
        steps=rose("steps_total"),
        sequence_steps=rose("decode_sequence_steps_total"),
    )


def quickest(repeats: list[Told]) -> Told:
    """The repeat that took least time: one whole run, so that its figures belong together."""
    return min(repeats, key=lambda one: one.wall_s)


def change(scheme: list[Got], base: list[Got]) -> float:
    """Greatest output rate over the greatest of the base."""
    return max(one.output_per_s for one in scheme) / max(one.output_per_s for one in base)


def processor() -> str:
    """The generation of this machine's processor, as `cpu_kernels` names it."""
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].split("\n")
    told = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    vendor, flags = told.get("vendor_id"), told.get("flags", "").split()
    if vendor == "GenuineIntel" and "amx_int8" in flags:
        return "Xeon with AMX"  # a virtual machine may hide its model number
    if vendor != "AuthenticAMD":
        return "unknown"
    # Zen 3 and Zen 4 are one family; the latter has AVX-512.
    zen_3 = told["cpu family"] == "25" and "avx512f" not in flags
    return "Zen 3" if zen_3 else "Zen 5" if told["cpu family"] == "26" else "unknown"


def shown(runs: Mapping[str, Mapping[str, list[Got]]]) -> str:
    """Every repeat's output rate and how busy others kept the machine, a line per load and scheme."""
    lines = []
    for name in LOADS:
        for scheme, loads in runs.items():
            each = ", ".join(f"{one.output_per_s:.2f} ({one.server:.2f}, {one.others:.2f})" for one in loads[name])
            lines.append(f"{name:10} {scheme:5} output tokens/s (processors kept busy by it, by others): {each}")
    return "\n".join(lines)
