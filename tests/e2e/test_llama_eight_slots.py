"""The real daemon on a real llama.cpp server with eight slots: its prompt share against eight clients' clocks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.e2e.test_llama_server import CONFIG, free_port
from tests.fakes.daemon_process import DaemonProcess, helper, running
from tests.fakes.nano_model import write_nano_model

SLOTS = 8
LOAD_S, SEEN_S = 40.0, 25.0


@dataclass(frozen=True)
class Answer:
    """One request, in unix seconds: when its prompt was begun and done, and its last token came.

    Server and client stand beside each other: the prompt was done when its first token came, and had taken what the
    answer's timings say.
    """

    prompt_began_s: float
    first_token_s: float
    ended_s: float
    prompt_tokens: int
    generated_tokens: int

    def generated_by(self, at_s: float) -> float:
        """Tokens that had come by then, as if evenly."""
        share = (at_s - self.first_token_s) / (self.ended_s - self.first_token_s)
        return self.generated_tokens * min(1.0, max(0.0, share))


def ask(port: int, prompt: str, tokens: int) -> Answer:
    """One streamed request."""
    body = {"prompt": prompt, "n_predict": tokens, "ignore_eos": True, "cache_prompt": False, "stream": True}
    request = Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode())
    first_s = None
    told: dict[str, Any] = {}
    with urlopen(request, timeout=60) as answer:
        for line in answer:
            if line.startswith(b"data: "):
                first_s = first_s or time.time()
                if b'"timings"' in line:
                    told = json.loads(line[len(b"data: ") :])["timings"]
    ended_s = time.time()
    assert first_s is not None
    began_s = first_s - told["prompt_ms"] / 1000
    return Answer(began_s, first_s, ended_s, told["prompt_n"], told["predicted_n"])


def union_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that at least one of the spans covers."""
    covered, reached = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def client(port: int, number: int, until_s: float) -> list[Answer]:
    """Long prompts and long answers in turn, each client beginning elsewhere in the round."""
    rounds = ((1500, 10), (60, 200), (500, 60), (20, 400))
    answers = []
    while time.time() < until_s:
        length, tokens = rounds[(number + len(answers)) % len(rounds)]
        answers.append(ask(port, "x" * length, tokens))
    return answers


@dataclass(frozen=True)
class Measured:
    """What the daemon reported of the replica, and all answers, also those outside its live span."""

    replica: dict[str, Any]
    answers: list[Answer]

    @property
    def span_s(self) -> tuple[float, float]:
        """The live span's ends (unix time)."""
        end_s = self.replica["last_sample_s"]
        return end_s - self.replica["recent_covered_s"], end_s


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """Eight clients for forty seconds, and what the daemon reported of the first twenty-five while they asked."""
    folder: Path = tmp_path_factory.mktemp("llama")
    model, port = folder / "nano.gguf", free_port()
    write_nano_model(model)
    (folder / "config.yaml").write_text(CONFIG.format(port=port))
    with (
        helper("-m", "tests.fakes.llama_process", str(model), str(port), str(SLOTS)),
        ThreadPoolExecutor(SLOTS) as clients,
        running(folder, "run", "--config.file", "config.yaml") as daemon,
    ):
        end_s = time.time() + LOAD_S
        load = [clients.submit(client, port, number, end_s) for number in range(SLOTS)]
        seen = daemon.until(lambda: _covering(daemon, SEEN_S), limit_s=LOAD_S)
        answers = [answer for one in load for answer in one.result()]
        assert daemon.stop() == 0
    return Measured(seen["replicas"][0], answers)


def _covering(daemon: DaemonProcess, seconds: float) -> dict[str, Any] | None:
    """The report once it covers so many seconds of the replica."""
    report = daemon.report()
    if report is None or not report["replicas"]:
        return None
    return report if report["replicas"][0]["recent_covered_s"] >= seconds else None


def test_the_prompt_share_of_eight_slots_is_that_of_the_clients_clocks(measured: Measured) -> None:
    """Wall time in which any prompt was computed over wall time in which anything was, of the live span: within 0.05.

    A batch that holds prompt tokens is prompt time as a whole, also for the tokens it generates for other slots: it is
    the exclusive share. No client ever saw how full a batch was, so that the marginal one has no truth here.
    """
    begin_s, end_s = measured.span_s

    def within(start_s: float, until_s: float) -> tuple[float, float]:
        return min(max(start_s, begin_s), end_s), min(max(until_s, begin_s), end_s)

    prompt_s = union_s(within(one.prompt_began_s, one.first_token_s) for one in measured.answers)
    busy_s = union_s(within(one.prompt_began_s, one.ended_s) for one in measured.answers)
    share = measured.replica["phases"]["prefill_exclusive"]

    assert share["value"] == pytest.approx(prompt_s / busy_s, abs=0.05)
    assert 0.1 < prompt_s / busy_s < 0.9


def test_prompts_of_several_slots_overlap_and_their_time_is_counted_once(measured: Measured) -> None:
    """The sum of the requests' own times, over which an average would be taken, is far more than the wall time."""
    summed_s = sum(one.ended_s - one.prompt_began_s for one in measured.answers)

    assert summed_s > 4 * union_s((one.prompt_began_s, one.ended_s) for one in measured.answers)


def test_tokens_per_second_are_those_of_the_clients(measured: Measured) -> None:
    """Prompt over generated tokens of the live span, within 10 %: a prompt at its edge is 3 % of them.

    The server counts a prompt when that is done, and `/slots` tells the tokens of answers under way: their clients had
    them as evenly as they came.
    """
    replica, (begin_s, end_s) = measured.replica, measured.span_s
    ratio = replica["prefill_tokens_per_s"]["value"] / replica["generation_tokens_per_s"]["value"]
    prompt_tokens = sum(one.prompt_tokens for one in measured.answers if begin_s < one.first_token_s <= end_s)
    generated_tokens = sum(one.generated_by(end_s) - one.generated_by(begin_s) for one in measured.answers)

    assert ratio == pytest.approx(prompt_tokens / generated_tokens, rel=0.1)


def test_the_server_is_known_to_have_eight_slots(measured: Measured) -> None:
    assert measured.replica["identity"]["slots"] == SLOTS
    assert measured.replica["identity"]["mixed_steps"] is True
