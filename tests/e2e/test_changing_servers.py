"""Servers that go, freeze, restart, step back and lie, under a running daemon: nothing is invented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from analyzer.samples import ReplicaKey, ReplicaSample
from analyzer.windows import Refusal, add_up, pairwise_totals
from collector.store import Store
from tests.fakes.browser import chromium, opened
from tests.fakes.daemon_process import DaemonProcess, cli, running
from tests.fakes.played_server import FIRST_STEP, PlayedServer, played

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 2s}}
gpu: {{nvml: "off"}}
web: {{listen_address: "127.0.0.1:0"}}
storage: {{url: "sqlite:///run.db"}}
analysis: {{recent: 1m}}
scrape_configs:
  - job_name: played
    frozen_after: 3s
    static_configs: [{{targets: {targets}}}]
"""
GOES, FREEZES, RESTARTS, STEPS_BACK, SWAPS, CLAIMS, HOSTILE, BREAKS, STAYS = range(9)


@dataclass(frozen=True, slots=True)
class Watched:
    """A daemon that polls the servers."""

    daemon: DaemonProcess
    servers: list[PlayedServer]
    folder: Path
    done: dict[int, float] = field(default_factory=dict)
    """Steps that each server had made when it changed."""
    page: str = ""
    """/metrics while the misery lasted."""
    before: list[ReplicaSample] = field(default_factory=list)
    """Samples of the server that went, while it was gone."""

    def health(self, server: PlayedServer) -> dict[str, Any]:
        (found,) = (one for one in self.daemon.json("/api/v1/health")["targets"] if one["url"] == server.url)
        return dict(found)

    def until_reason(self, server: PlayedServer, reason: str | None) -> None:
        self.daemon.until(lambda: self.health(server)["attempts"] > 0 and self.health(server)["reason"] == reason)

    def polls(self, server: PlayedServer, number: int) -> None:
        """Wait for so many more polls, good or bad."""
        before = self.health(server)["attempts"]
        self.daemon.until(lambda: self.health(server)["attempts"] >= before + number)

    def samples(self, server: PlayedServer) -> list[ReplicaSample]:
        store = Store.open_to_read(str(self.folder / "run.db"))
        try:
            return [one for one in store.reader.samples(0, 4e9) if one.replica.target == server.url]
        finally:
            store.close()

    def until_stored(self, number: int) -> None:
        """Wait until each server has so many more samples in the database than now."""
        before = [len(self.samples(server)) for server in self.servers]
        least = [count + number for count in before]
        self.daemon.until(
            lambda: all(len(self.samples(server)) >= count for server, count in zip(self.servers, least, strict=True))
        )

    def live(self, server: PlayedServer) -> list[dict[str, Any]]:
        """Its replicas in the last report that have live figures."""
        report = self.daemon.report()
        replicas = [] if report is None else report["replicas"]
        return [one for one in replicas if one["fresh"] and one["replica"]["target"] == server.url]


HOSTILE_NAME = (
    b'a\\"}\\n<script>alert(1)</script><img src=x onerror=alert(2)>\x00\xed\xa0\x80\xff ${IFS} \xe2\x80\xae'
    + b"x" * 3900
)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A daemon, after all servers changed at once between two polls, and those that gave no data are well again."""
    folder = tmp_path_factory.mktemp("changing")
    with played(9) as servers:
        (folder / "config.yaml").write_text(CONFIG.format(targets=[one.address for one in servers]))
        with running(folder, "run", "--config.file", "config.yaml") as daemon:
            one = Watched(daemon, servers, folder)
            daemon.until(lambda: all(one.live(server) for server in servers))
            one.until_stored(2)
            done = change(one)
            one.until_reason(servers[FREEZES], "frozen")
            one.until_reason(servers[GOES], "refused")
            one.until_reason(servers[BREAKS], "bad_page")
            one.polls(servers[GOES], 4)
            daemon.until(lambda: not any(one.live(servers[number]) for number in (GOES, FREEZES, BREAKS)))
            assert daemon.text("/-/healthy").startswith("Breakeven is healthy")
            assert daemon.text("/-/ready").startswith("Breakeven is ready")
            one = replace(one, done=done, page=daemon.text("/metrics"), before=one.samples(servers[GOES]))
            servers[GOES].come()
            servers[FREEZES].thaw()
            servers[BREAKS].doubled = False
            one.until_stored(4)
            daemon.until(lambda: all(one.live(server) for server in servers))
            yield one
            assert daemon.stop() == 0


def change(watched: Watched) -> dict[int, float]:
    """Change every server but the last; the steps that each had made."""
    servers = watched.servers
    done = {number: server.steps() - FIRST_STEP for number, server in enumerate(servers)}
    servers[GOES].go()
    servers[FREEZES].freeze()
    servers[RESTARTS].restart()
    servers[STEPS_BACK].step_back(300)
    servers[SWAPS].labels = b'engine="0",model_name="another"'
    other = servers[STAYS]
    claims = f',target="{other.url}",instance="{other.address}",job="evil",deployment="evil",replica="evil",rank="7"'
    servers[CLAIMS].labels += claims.encode()
    servers[HOSTILE].labels = b'engine="0",model_name="' + HOSTILE_NAME + b'"'
    servers[BREAKS].doubled = True
    return done


def counted(samples: list[ReplicaSample]) -> float:
    """Steps that the windows between these samples add up to."""
    by_epoch: dict[int, list[ReplicaSample]] = {}
    for sample in samples:
        by_epoch.setdefault(sample.epoch, []).append(sample)
    total = 0.0
    for one in by_epoch.values():
        summed = add_up(pairwise_totals(one))
        steps = None if summed is None else summed.deltas["steps_total"]
        total += 0.0 if steps is None else steps
    return total


@pytest.mark.fault(
    "2", "a target goes down and comes back", promise="down with its reason, its live series gone; the gap stays one"
)
@pytest.mark.fault("5", "health endpoints that lie", promise="they tell of the daemon alone; targets are in metrics")
def test_a_server_that_goes_has_no_live_figures_and_its_absence_is_a_gap(watched: Watched) -> None:
    server = watched.servers[GOES]
    down = rf'breakeven_target_up\{{[^}}]*reason="refused"[^}}]*target="{server.url}"[^}}]*\}} 0\.0'
    assert re.search(down, watched.page)
    assert not re.search(rf'breakeven_(busy_ratio|running_requests)\{{[^}}]*target="{server.url}"', watched.page)

    after = watched.samples(server)
    edge_s = watched.before[-1].at_s
    (over,) = (part for part in pairwise_totals(after) if part.start_s <= edge_s < part.end_s)
    assert over.refusals == {Refusal.GAP: 1}
    assert counted(after) < server.steps() - FIRST_STEP


@pytest.mark.fault(
    "2", "a frozen exporter", promise="in the daemon: it goes down as `frozen`, and comes back by itself"
)
def test_a_frozen_page_is_no_data(watched: Watched) -> None:
    server = watched.servers[FREEZES]
    assert re.search(rf'breakeven_target_up\{{[^}}]*reason="frozen"[^}}]*target="{server.url}"', watched.page)
    assert not re.search(rf'breakeven_(busy_ratio|running_requests)\{{[^}}]*target="{server.url}"', watched.page)
    assert watched.health(server)["up"] is True


@pytest.mark.fault(
    "2",
    "duplicate series or broken text",
    promise="in the daemon: no figure of the last whole page is kept; they are back with the next one",
)
def test_a_page_that_breaks_has_no_live_figures_until_it_is_whole_again(watched: Watched) -> None:
    server = watched.servers[BREAKS]
    figures = rf'breakeven_(busy_ratio|running_requests|decode_batch_size)\{{[^}}]*target="{server.url}"'
    assert re.search(rf'breakeven_target_up\{{[^}}]*reason="bad_page"[^}}]*target="{server.url}"', watched.page)
    assert not re.search(figures, watched.page)
    assert watched.health(server)["up"] is True
    assert {found[1] for found in re.finditer(figures, watched.daemon.text("/metrics"))} >= {"decode_batch_size"}


@pytest.mark.fault(
    "3", "a server restarts between polls", promise="a new epoch; what it did before is not counted twice"
)
def test_a_restart_between_polls_is_a_new_epoch(watched: Watched) -> None:
    server = watched.servers[RESTARTS]
    after = watched.samples(server)
    assert len({one.epoch for one in after}) == 2
    assert 0 < counted(after) <= watched.done[RESTARTS] + server.steps()


@pytest.mark.fault(
    "3", "a counter steps back without a restart", promise="in the daemon: counted as an anomaly, and never as work"
)
def test_counters_that_step_back_are_an_anomaly_and_no_work(watched: Watched) -> None:
    """The server fell by 300 steps and goes on: what it did in all is what its counter says plus those 300."""
    server = watched.servers[STEPS_BACK]
    after = watched.samples(server)
    anomalies = rf'(?m)^breakeven_target_anomalies_total\{{[^}}]*target="{server.url}"[^}}]*\}} (\S+)$'
    assert re.findall(anomalies, watched.daemon.text("/metrics")) == ["1.0"]
    assert sum(part.refusals.get(Refusal.ANOMALY, 0) for part in pairwise_totals(after)) >= 1
    assert 0 < counted(after) <= server.steps() - FIRST_STEP + 300


@pytest.mark.fault("3", "the model is swapped on the same port", promise="the former model's live series are gone")
def test_a_swapped_model_is_another_replica_and_the_former_is_gone(watched: Watched) -> None:
    server = watched.servers[SWAPS]
    assert [one["replica"]["model"] for one in watched.live(server)] == ["another"]
    ours = [line for line in watched.page.splitlines() if f'target="{server.url}"' in line]
    assert any('model_name="another"' in line for line in ours)
    assert not any('model_name="played"' in line for line in ours)
    epochs = {(one.replica.model, one.epoch) for one in watched.samples(server)}
    assert [model for model, _ in sorted(epochs)] == ["another", "played"]


@pytest.mark.fault("2", "a target claims another's labels", promise="our own labels are ours; its are not passed on")
def test_a_target_that_claims_anothers_labels_is_shown_under_its_own(watched: Watched) -> None:
    server, other = watched.servers[CLAIMS], watched.servers[STAYS]
    for page in (watched.page, watched.daemon.text("/api/v1/report"), watched.daemon.text("/api/v1/health")):
        assert server.url in page
        assert "evil" not in page
        assert 'rank="7"' not in page
    for one in (server, other):
        assert {sample.replica for sample in watched.samples(one)} == {ReplicaKey(one.url, "played", "0")}
    assert 0 < counted(watched.samples(other)) <= other.steps() - FIRST_STEP


@pytest.mark.fault("2", "hostile label text", promise="in the daemon: every output stays whole, the name is kept")
def test_hostile_names_leave_every_output_whole(watched: Watched) -> None:
    (replica,) = watched.live(watched.servers[HOSTILE])
    shown = replica["replica"]["model"]
    assert shown.startswith('a"}\n<script>alert(1)</script>')
    assert shown.endswith("x" * 1000)
    families = list(text_string_to_metric_families(watched.daemon.text("/metrics")))
    models = {sample.labels.get("model_name") for family in families for sample in family.samples}
    assert shown in models
    assert "<script>alert" not in watched.daemon.text("/")
    result = cli(watched.folder, "report", "--config.file", "config.yaml")
    assert result.returncode == 0, result.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", result.stdout)


@pytest.mark.fault(
    "5", "a script in a label", promise="in a real browser: shown as text, nothing runs, nothing is fetched"
)
def test_a_browser_shows_a_hostile_name_as_text(watched: Watched) -> None:
    """What ran or was refused by the content policy would be a complaint of the console."""
    with chromium() as browser, opened(browser, watched.daemon.url + "/") as seen:
        shown = seen.page.locator("body").text_content() or ""
        assert "<script>alert(1)</script><img src=x onerror=alert(2)>" in shown
        assert seen.page.locator("img[src=x]").count() == 0
        assert seen.complaints == []
        assert all(url.startswith((watched.daemon.url, "data:")) for url in seen.asked)
