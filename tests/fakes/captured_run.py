"""A captured run under tests/captures, polled again by the real scraper, with vLLM's log beside it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analyzer.samples import ReplicaKey, ReplicaSample
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import read
from collector.scrape.target import TargetScraper
from collector.servers import engine_specs
from tests.fakes.metrics_app import MetricsApp
from tests.fakes.polling import poll

CAPTURES = Path(__file__).parents[1] / "captures"
INTERVAL_S = 1.0


def page_fields(path: Path, engine: str, identity: dict[str, Any] | None = None) -> dict[str, float | None]:
    """What one page says about its one replica."""
    spec = engine_specs()[engine]
    page = PageParser(spec.wanted, Limits()).parse(path.read_bytes())
    (replica,) = read(spec, page, {}, identity).replicas
    return dict(replica.fields)


@dataclass(frozen=True)
class CapturedPage:
    """One page of the run and what was noted with it: `at_s`, `phase`, llama.cpp's `slots`, the `client_tokens`."""

    told: Mapping[str, Any]
    text: str


@dataclass(frozen=True)
class LoggedStep:
    """One line of vLLM's step log; `at_s` is its second of the clock."""

    index: int
    at_s: int
    prompt_requests: int
    prompt_tokens: int
    generation_requests: int
    generation_tokens: int
    ms: float

    @property
    def line(self) -> str:
        """As vLLM 0.32 wrote it."""
        return (
            f"(APIServer pid=8123) INFO 11-23 13:17:01 [loggers.py:199] Engine 000: Iteration({self.index}): "
            f"{self.prompt_requests} context requests, {self.prompt_tokens} context tokens, "
            f"{self.generation_requests} generation requests, {self.generation_tokens} generation tokens, "
            f"iteration elapsed time: {self.ms:.2f} ms, CPU KV cache usage: 0.1%\n"
        )


def pages(folder: Path) -> list[CapturedPage]:
    """The run's pages in order of time."""
    parts = (folder / "run.txt").read_text().split("# PAGE ")[1:]
    split = (part.split("\n", 1) for part in parts)
    return [CapturedPage(json.loads(head), body) for head, body in split]


def logged_steps(folder: Path) -> list[LoggedStep]:
    """Every step that the engine logged."""
    with (folder / "steps.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [LoggedStep(**{**{name: int(value) for name, value in row.items()}, "ms": row["ms"]}) for row in rows]


def phase_steps(folder: Path) -> dict[str, list[LoggedStep]]:
    """The steps of each phase: the server idled between two, and the first line is the first phase's."""
    steps = logged_steps(folder)
    found: dict[str, list[LoggedStep]] = {}
    for phase in json.loads((folder / "truth.json").read_text())["phases"]:
        found[phase["phase"]], steps = steps[: phase["steps"]], steps[phase["steps"] :]
    assert steps == []
    return found


def polled(folder: Path, log: Path | None = None, props: Mapping[str, Any] | None = None) -> list[ReplicaSample]:
    """The samples that polling the run again gives: one for each page, with the page's time.

    `log` is filled as the steps end, a line in the second after it was written. `props` is llama.cpp's answer.
    """
    run = pages(folder)
    app = MetricsApp(run[0].text, filtering="missing", endpoints={} if props is None else {"/props": dict(props)})
    show_slots(app, run[0])
    steps = logged_steps(folder) if log is not None else []
    if log is not None:
        log.touch()
    samples: list[ReplicaSample] = []

    async def steps_of(scraper: TargetScraper) -> None:
        written = 0
        await scraper.scrape()
        await scraper.identify()
        for page in run:
            at_s = page.told["at_s"]
            app.text = page.text
            show_slots(app, page)
            due = sum(step.at_s + 1 <= at_s for step in steps)
            if log is not None:
                append(log, steps[written:due])
                written = due
            (replica,) = (await scraper.scrape()).reading.replicas
            key = ReplicaKey("captured", replica.model, replica.rank)
            samples.append(ReplicaSample(key, 1, at_s, INTERVAL_S, **replica.fields))

    poll(app, steps_of, log_file=log)
    return samples


def append(log: Path, steps: list[LoggedStep]) -> None:
    """Let vLLM write these lines."""
    with log.open("a") as file:
        file.writelines(step.line for step in steps)


def show_slots(app: MetricsApp, page: CapturedPage) -> None:
    """Let llama.cpp's GET /slots answer as it did; -1 was written down for an idle slot."""
    if "slots" in page.told:
        app.endpoints["/slots"] = [
            {"is_processing": decoded >= 0, "next_token": [{"n_decoded": max(0, decoded)}]}
            for decoded in page.told["slots"]
        ]
