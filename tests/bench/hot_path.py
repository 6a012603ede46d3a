"""The whole hot path beside what others scrape with: the same pages in the same run, paired windows of time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.request import urlopen

from collector.scrape.filter import filtered
from collector.servers import engine_specs
from tests.bench.evolving import write
from tests.bench.measure import Timing, ratio
from tests.bench.peers import Peer, Site, site
from tests.bench.proc import Usage, usage
from tests.bench.table import Row
from tests.fakes.daemon_process import helper

INTERVAL_S = 15
WARM_UP_S, WINDOW_S, WINDOWS = 90.0, 60.0, 7
"""A window holds one recomputation, and each target's poll four times. Of three windows Prometheus' took 0.87 to 1.53
s: as many as come before the first models are fitted.
"""
LATER_S, LATER_WINDOW_S, LATER_WINDOWS = 75 * 60.0, 15 * 60.0, 2
"""Then each replica has a model and a capacity, computed 20 at a time; a window holds one fit of every model."""
MOST_OF_PROMETHEUS, MOST_RESIDENT_MB, MOST_OF_PLAIN = 0.5, 150.0, 0.5
GETS = 100
OURS, NAMED, THEIRS, KEEPING, AGENT = (
    "Breakeven",
    "Breakeven by `name[]`",
    "Prometheus",
    "Prometheus keeping our series",
    "vmagent",
)
Starts = dict[str, Callable[[], AbstractContextManager[Peer]]]
"""How each peer is started, by name."""
_PACKAGES = {THEIRS: ("prometheus", "prometheus"), AGENT: ("vmagent", "victoria-metrics")}


@dataclass(frozen=True, slots=True)
class Window:
    """What a peer used and did from one instant to another."""

    before: Usage
    after: Usage
    scrapes: int

    @property
    def cpu_s(self) -> float:
        """Processor time of a thousand scrapes."""
        return (self.after.cpu_s - self.before.cpu_s) / self.scrapes * 1000

    @property
    def written_bytes(self) -> float:
        """Bytes sent to the disk per scrape."""
        return (self.after.written_bytes - self.before.written_bytes) / self.scrapes


def rows(targets: int, windows: int, folder: Path) -> list[Row]:
    """All peers at once, each with a page server of its own. One that cannot be had is a row that says so."""
    pages = folder / "pages"
    pages.mkdir()
    write(pages)
    place = site(folder, pages, targets, INTERVAL_S)
    present, absent = _had(peers_of(place))
    return [*rows_of(measured(present, max(windows, WINDOWS), WARM_UP_S, WINDOW_S), targets), *absent]


def later_rows(targets: int, folder: Path) -> list[Row]:
    """The daemon and Prometheus once every replica has its model and its capacity; each window with all that is due."""
    pages, snapshots = folder / "pages", round((LATER_S + LATER_WINDOW_S * (LATER_WINDOWS + 1)) / INTERVAL_S)
    pages.mkdir()
    write(pages, snapshots)
    place = site(folder, pages, targets, INTERVAL_S, snapshots)
    starts = peers_of(place)
    present, absent = _had({name: starts[name] for name in (OURS, THEIRS)})
    return [*rows_of(measured(present, LATER_WINDOWS, LATER_S, LATER_WINDOW_S), targets), *absent]


def _had(starts: Starts) -> tuple[Starts, list[Row]]:
    """The peers that can be had here, and a row for each that cannot."""
    lacking = [name for name in starts if name in _PACKAGES and shutil.which(_PACKAGES[name][0]) is None]
    absent = [
        Row(f"{name}: CPU of 1,000 scrapes", f"not measured: there is no Debian package {_PACKAGES[name][1]}", "s")
        for name in lacking
    ]
    return {name: start for name, start in starts.items() if name not in lacking}, absent


def peers_of(place: Site) -> Starts:
    """How each peer is started."""
    names = tuple(sorted(engine_specs()["vllm"].wanted))
    return {
        OURS: lambda: place.ours("ours", name_filter=False),
        NAMED: lambda: place.ours("named", name_filter=True),
        THEIRS: lambda: place.prometheus("prometheus"),
        KEEPING: lambda: place.prometheus("keeping", names),
        AGENT: lambda: place.vmagent("vmagent"),
    }


def measured(starts: Starts, windows: int, warm_up_s: float, window_s: float) -> dict[str, Sequence[Window]]:
    """The windows of each peer, all of them in the same spans of time."""
    with ExitStack() as stack:
        peers = {name: stack.enter_context(start()) for name, start in starts.items()}
        time.sleep(warm_up_s)
        looks = [{name: (one.usage(), one.scrapes()[0]) for name, one in peers.items()}]
        for _ in range(windows):
            time.sleep(window_s)
            looks.append({name: (one.usage(), one.scrapes()[0]) for name, one in peers.items()})
    return {
        name: [
            Window(before[name][0], after[name][0], after[name][1] - before[name][1])
            for before, after in pairwise(looks)
        ]
        for name in starts
    }


def rows_of(found: dict[str, Sequence[Window]], targets: int) -> list[Row]:
    """Processor time, its ratio to Prometheus', memory and disk."""
    cpu = {name: Timing(tuple(one.cpu_s for one in windows)) for name, windows in found.items()}
    made = [Row(f"{name}: CPU of 1,000 scrapes, {targets:,} targets", timing, "s") for name, timing in cpu.items()]
    for name in (OURS, NAMED):
        for other in (THEIRS, KEEPING, AGENT):
            if name in cpu and other in cpu:
                bound = MOST_OF_PROMETHEUS if (name, other) == (OURS, THEIRS) else None
                made.append(Row(f"{name} over {other}, window by window", ratio(cpu[name], cpu[other]), "times", bound))
    for name, windows in found.items():
        memory = Timing(tuple(one.after.resident_bytes / 1e6 for one in windows))
        what = ", with its GPU process and the analysis" if name in (OURS, NAMED) else ""
        made.append(
            Row(f"{name}: resident memory{what}", memory, "MB", MOST_RESIDENT_MB if name in (OURS, NAMED) else None)
        )
    made += [
        Row(f"{name}: written to the disk per scrape", Timing(tuple(one.written_bytes for one in windows)), "bytes")
        for name, windows in found.items()
        if name != AGENT
    ]
    return made


def scraped_rows(runs: int) -> list[Row]:
    """What a server with vLLM's metrics pays for one answer: the plain page, and what we ask for by `name[]`."""
    with helper("-m", "tests.bench.scraped_server") as (process, port):
        plain = f"http://127.0.0.1:{port}/metrics"
        urls = (plain, "?".join(filtered(plain, engine_specs()["vllm"].wanted)))
        sizes = [_asked(url, 1) for url in urls]
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(runs):
            for url, seconds in zip(urls, taken, strict=True):
                begun_s = usage(process.pid).cpu_s
                _asked(url, GETS)
                seconds.append((usage(process.pid).cpu_s - begun_s) / GETS * 1000)
    whole, named = (Timing(tuple(seconds)) for seconds in taken)
    return [
        Row(f"the server's CPU for 1,000 plain answers of {sizes[0] / 1000:.0f} kB", whole, "s"),
        Row(f"the same by `name[]`, of {sizes[1] / 1000:.0f} kB", named, "s"),
        Row("`name[]` over plain, run by run", ratio(named, whole), "times", MOST_OF_PLAIN),
    ]


def _asked(url: str, times: int) -> int:
    size = 0
    for _ in range(times):
        with urlopen(url, timeout=30) as answer:
            size = len(answer.read())
    return size


def start_rows(runs: int, folder: Path) -> list[Row]:
    """From the start of the process to its first answer of /metrics, by the wall and by the processor."""
    pages = folder / "pages"
    pages.mkdir()
    write(pages)
    place = site(folder, pages, 1, INTERVAL_S)
    wall_s, cpu_s = [], []
    for run in range(runs):
        begun_s = time.monotonic()
        with place.ours(f"start-{run}", name_filter=False) as peer:
            wall_s.append(time.monotonic() - begun_s)
            cpu_s.append(peer.usage().cpu_s)
    return [
        Row("from the start to the first answer of /metrics, by the wall", Timing(tuple(wall_s)), "s"),
        Row("the same, processor time", Timing(tuple(cpu_s)), "s"),
    ]
