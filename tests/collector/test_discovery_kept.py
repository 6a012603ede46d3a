"""Targets that a source named outlive the daemon: it starts while the source fails, and polls them all the same."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from collector.jobs.discovery import Discovery
from collector.jobs.named_last import SUFFIX, NamedLast
from collector.scrape.fetch import Fetcher, client_session
from collector.settings import Settings
from collector.settings.load import parse_settings
from tests.fakes import rude
from tests.fakes.hand_clock import HandClock

JSON = b"Content-Type: application/json"
LABELS = {"gpu_uuid": "GPU-1"}


def settings_of(sources: str) -> Settings:
    return parse_settings(f"scrape_configs: [{{job_name: a, {sources}}}]", "c.yaml")


def named(settings: Settings, folder: Path) -> tuple[list[str], int]:
    """What a daemon that starts now polls, and how many sources failed it."""

    async def go() -> tuple[list[str], int]:
        async with asyncio.timeout(60), client_session() as session:
            kept = NamedLast(folder / "run.db")
            discovery = Discovery(settings, Fetcher(session), {}, HandClock(), kept=kept)
            failed = await discovery.refresh()
            discovery.close()
            return [target.address for target in discovery.targets()[0]], len(failed)

    return asyncio.run(go())


@pytest.mark.fault(
    "2", "a discovery source fails", promise="a daemon that starts meanwhile has the targets that it named last"
)
def test_a_restart_while_the_source_fails_takes_no_target_away(tmp_path: Path) -> None:
    """A list; then another process's life each: the source fails, and again, and names another list."""
    answers = [
        rude.page(json.dumps([{"targets": ["h:1", "h:2"], "labels": LABELS}]).encode(), JSON),
        rude.page(b"", status=b"500 Oops"),
        rude.page(b"[", JSON),
        rude.page(b'[{"targets": ["h:3"]}]', JSON),
        rude.page(b"", status=b"500 Oops"),
    ]

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await rude.request(reader)
        writer.write(answers.pop(0))
        await writer.drain()

    async def lives() -> list[tuple[list[str], int]]:
        async with rude.serving(handler) as url:
            settings = settings_of(f"http_sd_configs: [{{url: '{url}'}}]")
            return [await asyncio.to_thread(named, settings, tmp_path) for _ in range(5)]

    seen = asyncio.run(lives())

    first = ["h:1", "h:2"]
    assert seen == [(first, 0), (first, 1), (first, 1), (["h:3"], 0), (["h:3"], 1)]
    text = (tmp_path / f"run.db{SUFFIX}").read_text()
    assert "127.0.0.1" not in text, "the source itself may hold a secret"


def test_a_file_that_breaks_over_a_restart_keeps_its_targets_and_stops_no_other(tmp_path: Path) -> None:
    broken, good = tmp_path / "a.json", tmp_path / "b.json"
    broken.write_text(json.dumps([{"targets": ["h:1"], "labels": LABELS}]))
    good.write_text('[{"targets": ["h:2"]}]')
    settings = settings_of(f"file_sd_configs: [{{files: ['{tmp_path}/?.json']}}]")
    assert named(settings, tmp_path) == (["h:1", "h:2"], 0)
    broken.write_text("[")
    assert named(settings, tmp_path) == (["h:2", "h:1"], 1)
    broken.unlink()
    assert named(settings, tmp_path) == (["h:2"], 0)


@pytest.mark.parametrize("text", ["[", "[1]", '{"a": 1}', '{"a": [["h:1"]]}', "\x00"])
def test_what_is_kept_and_damaged_is_left_out(text: str, tmp_path: Path) -> None:
    (tmp_path / f"run.db{SUFFIX}").write_text(text)
    (tmp_path / "a.json").write_text('[{"targets": ["h:1"]}]')
    settings = settings_of(f"file_sd_configs: [{{files: ['{tmp_path}/?.json']}}]")
    assert named(settings, tmp_path) == (["h:1"], 0)
    assert "h:1" in (tmp_path / f"run.db{SUFFIX}").read_text()


def test_where_it_cannot_be_kept_nothing_else_is_lost(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"targets": ["h:1"]}]')
    settings = settings_of(f"file_sd_configs: [{{files: ['{tmp_path}/?.json']}}]")
    assert named(settings, tmp_path / "no such folder") == (["h:1"], 0)
