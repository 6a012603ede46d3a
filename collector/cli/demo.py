"""`demo`: the daemon on the bundled simulator, after a past day that is simulated into the store."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from collector.cli.configured import DEMO_DATABASE, refuse_shared_names
from collector.cli.opening import opened
from collector.cli.run import (
    format_option,
    level_option,
    listen_option,
    run_daemon,
    set_up_logging,
    web_config_option,
)
from collector.cli.stopping import Stop, to_the_end
from collector.clock import Clock, SystemClock
from collector.daemon import Daemon
from collector.jobs.discover import found_text, loopback_targets
from collector.jobs.heap import one_arena, rare_collections
from collector.jobs.serving import refuse_taken_address, with_web_flags
from collector.jobs.simulate import Past, Simulation, demo_settings
from collector.jobs.worker import Worker
from collector.logs import event
from collector.simulator.dialects import DIALECTS, VLLM
from collector.store import Store

DEMO_NOTICE = "SIMULATED: the bundled simulator is the target; figures are invented"
REAL_SERVER_CHECK_S = 30.0
_log = logging.getLogger("breakeven")


@click.command()
@listen_option
@web_config_option
@level_option
@format_option
@click.option(
    "--dialect", type=click.Choice(list(DIALECTS)), default=VLLM, show_default=True, help="What its servers speak."
)
def demo(
    listen_address: str | None, web_config_file: Path | None, level: str | None, style: str | None, dialect: str
) -> None:
    """Run the daemon on the bundled simulator: every figure is invented, and says so."""
    refuse_shared_names()
    one_arena()
    clock = SystemClock()
    set_up_logging(demo_settings(), clock, level, style)
    rare_collections()
    to_the_end(simulated(listen_address, web_config_file, clock, DEMO_NOTICE, dialect))


class _StoppedError(Exception):
    """The past was to be given up half-way."""


async def simulated(
    listen_address: str | None, web_config_file: Path | None, clock: Clock, notice: str, dialect: str = VLLM
) -> None:
    """Simulate a past day into the store, then go on live. Raises ConfigError."""
    settings = with_web_flags(demo_settings(), listen_address, web_config_file)
    event(_log, logging.WARNING, notice)
    stop = Stop()
    await refuse_taken_address(settings)
    store = await opened(partial(Store.open, DEMO_DATABASE, clock), stop.asked)
    if store is None:
        return
    simulation = Simulation(clock, dialect=dialect)
    try:
        try:
            past = await Worker("simulator").run(_past_with_progress, simulation, stop)
        except _StoppedError:
            return
        await simulation.serve()
        targets = simulation.targets(settings)
        simulation.write_past(store, targets, past)
        daemon = Daemon(
            settings, store, clock, targets=targets, gpus=simulation.gpus(settings.gpu.interval), notices=(notice,)
        )
        watch = asyncio.create_task(_watch_for_real_servers(daemon))
        await run_daemon(daemon, stop)
        watch.cancel()
    finally:
        await simulation.close()
        store.close()


def _past_with_progress(simulation: Simulation, stop: Stop) -> tuple[Past, ...]:
    """Simulate the past: with a bar on a terminal, with one line elsewhere. Raises _StoppedError."""
    console = Console(stderr=True)
    if not console.is_terminal:
        event(_log, logging.INFO, "simulating the past day, so that a verdict has a history; this takes half a minute")
    columns = (TextColumn("Simulating the past day"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("past", total=1.0)

        def advance(done: float) -> None:
            if stop.asked.is_set():
                raise _StoppedError
            progress.update(task, completed=done)

        return simulation.past(advance)


async def _watch_for_real_servers(daemon: Daemon) -> None:
    """While the simulator stands in, say when a real server appears."""
    settings = demo_settings()
    own = {target.url for target in daemon.extra_targets}
    while True:
        await asyncio.sleep(REAL_SERVER_CHECK_S)
        found = [target for target in await loopback_targets(settings) if target.url not in own]
        if found:
            text = f"a real inference server answers at {found_text(found)}: start again to watch it"
            daemon.notice(text)
            event(_log, logging.WARNING, text, about="real server")
