"""A real vLLM on the CPU under twelve loads: every figure against its clients and against its own log of steps."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from analyzer.batching import decode_batch
from analyzer.evidence import Estimate, Figure
from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.throughput import generation_tokens_per_s, prefill_tokens_per_s
from analyzer.windows import Totals, add_up, pairwise_totals
from collector.scrape.fetch import Fetcher, client_session
from collector.scrape.target import TargetScraper
from collector.servers import detect
from tests.e2e.test_llama_server import free_port
from tests.soak.answering import wait
from tests.soak.install_vllm import main as install
from tests.soak.tiny_model import VOCABULARY, write_tiny_model

pytestmark = pytest.mark.soak
ENVIRONMENT = Path(os.environ.get("BREAKEVEN_VLLM", Path(__file__).parents[2] / ".cache" / "vllm"))
START_LIMIT_S, LOAD_S, REST_S, POLL_S = 900.0, 10.0, 3.0, 1.0
KINDS = {
    "decode-heavy": ((32, 64),),
    "prefill-heavy": ((480, 4),),
    "mixed": ((256, 32),),
    "bursty": ((64, 24), (384, 8)),
}
CONCURRENCY = (1, 4, 8)
LOADS = [(kind, clients) for kind in KINDS for clients in CONCURRENCY]
STEP = re.compile(
    r"Iteration\(\d+\): \d+ context requests, (\d+) context tokens, (\d+) generation requests, \d+ generation tokens, "
    r"iteration elapsed time: ([\d.]+) ms"
)


@dataclass(frozen=True)
class Step:
    """A line of vLLM's log, as this test reads it."""

    prompt_tokens: int
    sequences: int
    ms: float


@dataclass(frozen=True)
class Told:
    """One load: what was polled, the tokens that the clients were told, and the steps that vLLM logged."""

    totals: Totals
    prompt_tokens: int
    generated_tokens: int
    steps: tuple[Step, ...]


def server(folder: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    """vLLM as it is started on a CPU; what it says goes to the log."""
    write_tiny_model(folder / "model")
    command = [
        *(str(ENVIRONMENT / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(folder / "model"), "--served-model-name", "m", "--load-format", "dummy"),
        *("--dtype", "float32", "--enforce-eager", "--max-model-len", "2048", "--max-num-seqs", "16"),
        *("--host", "127.0.0.1", "--port", str(port), "--enable-logging-iteration-details"),
        "--no-enable-prefix-caching",
    ]
    settings = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "OMP_NUM_THREADS": "1",  # several wait for one another, which takes ages on a busy machine
        "VLLM_NO_USAGE_STATS": "1",
        "NO_COLOR": "1",
    }
    with log.open("ab") as output:
        return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output, env={**os.environ, **settings})


def ask(port: int, prompt: int, tokens: int, chance: random.Random) -> tuple[int, int]:
    """One request of made-up words; the tokens that its answer tells."""
    words = [chance.randrange(3, VOCABULARY) for _ in range(prompt)]
    body = {"model": "m", "prompt": words, "max_tokens": tokens, "ignore_eos": True, "temperature": 0}
    request = Request(f"http://127.0.0.1:{port}/v1/completions", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    with urlopen(request, timeout=300) as answer:
        usage = json.loads(answer.read())["usage"]
    return usage["prompt_tokens"], usage["completion_tokens"]


def client(port: int, kind: str, seed: int, until_s: float) -> list[tuple[int, int]]:
    chance = random.Random(seed)
    answers = []
    while time.monotonic() < until_s:
        answers.append(ask(port, *chance.choice(KINDS[kind]), chance))
        if kind == "bursty":
            time.sleep(chance.expovariate(2))
    return answers


def steps(log: Path) -> list[Step]:
    found = STEP.findall(log.read_text(errors="replace"))
    return [Step(int(prompt), int(sequences), float(ms)) for prompt, sequences, ms in found]


async def polled(scraper: TargetScraper, clients: list[object]) -> list[ReplicaSample]:
    """Samples from before the load until it has come to rest."""
    samples = []
    rest = REST_S
    while rest > 0:
        scrape = await scraper.scrape()
        (replica,) = scrape.reading.replicas
        at_s = time.time() - scrape.age_s
        samples.append(
            ReplicaSample(ReplicaKey("vllm", replica.model, replica.rank), 1, at_s, POLL_S, **replica.fields)
        )
        await asyncio.sleep(POLL_S)
        if all(one.done() for one in clients):  # type: ignore[attr-defined]
            rest -= POLL_S
    return samples


async def measure(port: int, log: Path) -> dict[tuple[str, int], Told]:
    told = {}
    ask(port, 32, 16, random.Random(0))  # the first step of a process is like no other
    async with client_session() as session:
        scraper = TargetScraper(f"http://127.0.0.1:{port}/metrics", Fetcher(session), detect, log_file=log)
        await scraper.scrape()
        with ThreadPoolExecutor(max(CONCURRENCY)) as threads:
            for kind, clients in LOADS:
                before = len(steps(log))
                first = await polled(scraper, [])
                until_s = time.monotonic() + LOAD_S
                load = [threads.submit(client, port, kind, number, until_s) for number in range(clients)]
                samples = first[-1:] + await polled(scraper, list(load))
                answers = [answer for one in load for answer in one.result()]
                totals = add_up(pairwise_totals(samples))
                assert totals is not None
                told[kind, clients] = Told(
                    totals,
                    sum(prompt for prompt, _ in answers),
                    sum(generated for _, generated in answers),
                    tuple(steps(log)[before:]),
                )
    return told


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, int], Told]]:
    install(ENVIRONMENT)
    folder = tmp_path_factory.mktemp("vllm")
    port, log = free_port(), folder / "vllm.log"
    process = server(folder, port, log)
    try:
        wait("vLLM", process, port, log, START_LIMIT_S)
        told = asyncio.run(measure(port, log))
        for load, one in told.items():
            print(load, {name: round(figure, 3) for name, figure in figures(one).items()}, file=sys.stderr)
        yield told
    finally:
        process.terminate()
        process.wait(timeout=60)


def value(figure: Figure) -> float:
    assert isinstance(figure, Estimate)
    return figure.value


def shares(totals: Totals) -> tuple[float, float]:
    """Exclusive and marginal prefill over the seconds in steps."""
    names = ("prefill_s_total", "prefill_marginal_s_total", "decode_s_total")
    exclusive_s, marginal_s, decode_s = (totals.deltas[name] for name in names)
    assert exclusive_s is not None
    assert marginal_s is not None
    assert decode_s is not None
    return exclusive_s / (exclusive_s + decode_s), marginal_s / (exclusive_s + decode_s)


def true_shares(one: Told) -> tuple[float, float]:
    """The same from the log: what a prompt added is its step less the mean decode step of the nearest batch."""
    whole_ms = sum(step.ms for step in one.steps)
    alone = [step for step in one.steps if not step.prompt_tokens]
    exclusive_ms = marginal_ms = 0.0
    for step in one.steps:
        if step.prompt_tokens:
            exclusive_ms += step.ms
            nearest = min((abs(other.sequences - step.sequences) for other in alone), default=0)
            like = [other.ms for other in alone if abs(other.sequences - step.sequences) == nearest]
            marginal_ms += step.ms - (sum(like) / len(like) if like and step.sequences else 0)
    return exclusive_ms / whole_ms, marginal_ms / whole_ms


def figures(one: Told) -> dict[str, float]:
    """What we say and what is true, side by side, for whoever watches."""
    totals = one.totals
    said, true = shares(totals), true_shares(one)
    return {
        "generated": value(generation_tokens_per_s(totals, lumpy=False)) * totals.covered_s,
        "generated_true": one.generated_tokens,
        "prompt": value(prefill_tokens_per_s(totals)) * totals.covered_s,
        "prompt_true": one.prompt_tokens,
        "batch": value(decode_batch(totals)),
        "batch_true": sum(step.sequences for step in one.steps) / len(one.steps),
        "exclusive": said[0],
        "exclusive_true": true[0],
        "marginal": said[1],
        "marginal_true": true[1],
    }


each_load = pytest.mark.parametrize("load", LOADS, ids=lambda load: f"{load[0]}-c{load[1]}")


@each_load
def test_generated_tokens_are_the_clients_within_1_percent(
    measured: dict[tuple[str, int], Told], load: tuple[str, int]
) -> None:
    said = figures(measured[load])
    assert said["generated"] == pytest.approx(said["generated_true"], rel=0.01)


@each_load
def test_computed_prompt_tokens_are_the_clients_and_the_logs_within_1_percent(
    measured: dict[tuple[str, int], Told], load: tuple[str, int]
) -> None:
    said = figures(measured[load])
    assert said["prompt"] == pytest.approx(said["prompt_true"], rel=0.01)
    assert said["prompt"] == pytest.approx(sum(step.prompt_tokens for step in measured[load].steps), rel=0.01)


@each_load
def test_the_decode_batch_is_the_logs_within_3_percent(
    measured: dict[tuple[str, int], Told], load: tuple[str, int]
) -> None:
    said = figures(measured[load])
    assert said["batch"] == pytest.approx(said["batch_true"], rel=0.03)


@each_load
def test_both_prefill_shares_are_the_logs_within_5_points(
    measured: dict[tuple[str, int], Told], load: tuple[str, int]
) -> None:
    said = figures(measured[load])
    assert said["exclusive"] == pytest.approx(said["exclusive_true"], abs=0.05)
    assert said["marginal"] == pytest.approx(said["marginal_true"], abs=0.05)
