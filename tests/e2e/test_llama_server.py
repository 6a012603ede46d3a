"""The real daemon on a real llama.cpp server under a known load: its figures against what the client counted."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.fakes.daemon_process import DaemonProcess, helper, running
from tests.fakes.nano_model import write_nano_model

LOAD_S = 120.0
PAUSE_S = 0.5
"""Between rounds of 420 tokens: llama.cpp's mean batch is exact for its first 100,000 decodes only."""
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
analysis: {{recent: 10m}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
scrape_configs:
  - job_name: llama
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@dataclass
class Client:
    """What the client was told: tokens it received, and the server's own timings of each request."""

    prompt_tokens: int = 0
    generated_tokens: int = 0
    prompt_s: float = 0.0
    predicted_s: float = 0.0
    requests: int = 0

    def ask(self, port: int, prompt: str, tokens: int) -> None:
        """One request of the load."""
        body = {"prompt": prompt, "n_predict": tokens, "ignore_eos": True, "cache_prompt": False}
        request = Request(f"http://127.0.0.1:{port}/completion", json.dumps(body).encode())
        with urlopen(request, timeout=60) as answer:
            told = json.loads(answer.read())
        timings = told["timings"]
        self.requests += 1
        self.prompt_tokens += timings["prompt_n"]
        self.generated_tokens += timings["predicted_n"]
        self.prompt_s += timings["prompt_ms"] / 1000
        self.predicted_s += timings["predicted_ms"] / 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Client]:
    """A two-minute load of prompts and answers of three kinds, and the daemon's report once all of it is counted."""
    folder: Path = tmp_path_factory.mktemp("llama")
    model, port = folder / "nano.gguf", free_port()
    write_nano_model(model)
    (folder / "config.yaml").write_text(CONFIG.format(port=port))
    with (
        # One thread: of two that wait for each other at every product, a neighbour that takes one stops both.
        helper("-m", "tests.fakes.llama_process", str(model), str(port), "1", "1"),
        running(folder, "run", "--config.file", "config.yaml") as daemon,
    ):
        client = Client()
        daemon.until(lambda: _generated(daemon) is not None)
        end = time.monotonic() + LOAD_S
        while time.monotonic() < end:
            for length, tokens in ((1500, 20), (60, 300), (500, 100)):
                client.ask(port, "x" * length, tokens)
            time.sleep(PAUSE_S)
        seen = daemon.until(lambda: _settled(daemon, client))
        assert daemon.stop() == 0
        return seen, client


def _generated(daemon: DaemonProcess) -> float | None:
    report = daemon.report()
    if report is None or not report["replicas"]:
        return None
    value = report["replicas"][0]["generation_tokens_per_s"].get("value")
    return None if value is None else float(value)


def _settled(daemon: DaemonProcess, client: Client) -> dict[str, Any] | None:
    """The replica's report once its tokens stand still and the prompt's last batch was polled."""
    report = daemon.report()
    assert report is not None
    replica: dict[str, Any] = report["replicas"][0]
    count = replica["generation_tokens_per_s"]["value"] * replica["recent_covered_s"]
    return replica if count > 0.999 * client.generated_tokens else None


def test_generated_tokens_are_those_that_the_client_received(measured: tuple[dict[str, Any], Client]) -> None:
    """Tokens per second times the covered time, within 2 %."""
    replica, client = measured
    counted = replica["generation_tokens_per_s"]["value"] * replica["recent_covered_s"]

    assert counted == pytest.approx(client.generated_tokens, rel=0.02)
    assert client.requests > 30


def test_computed_prompt_tokens_are_those_that_the_server_told_the_client(
    measured: tuple[dict[str, Any], Client],
) -> None:
    replica, client = measured
    counted = replica["prefill_tokens_per_s"]["value"] * replica["recent_covered_s"]

    assert counted == pytest.approx(client.prompt_tokens, rel=0.02)


def test_the_phase_mix_is_that_of_the_servers_own_timings(measured: tuple[dict[str, Any], Client]) -> None:
    """Prompt seconds over all seconds of all responses, within 0.02, and called measured."""
    replica, client = measured
    truth = client.prompt_s / (client.prompt_s + client.predicted_s)
    marginal, exclusive = replica["phases"]["prefill_marginal"], replica["phases"]["prefill_exclusive"]

    assert marginal["value"] == pytest.approx(truth, abs=0.02)
    assert exclusive["value"] == pytest.approx(truth, abs=0.02)
    assert marginal["evidence"] == exclusive["evidence"] == "measured"


def test_the_decode_batch_of_one_slot_is_one(measured: tuple[dict[str, Any], Client]) -> None:
    replica, _ = measured

    assert replica["decode_batch"]["value"] == pytest.approx(1, rel=0.01)


def test_the_server_is_known_by_what_its_endpoints_told(measured: tuple[dict[str, Any], Client]) -> None:
    replica, _ = measured

    assert replica["identity"]["engine"] == "llamacpp"
    assert replica["identity"]["slots"] == 1
    assert replica["identity"]["mixed_steps"] is False
