"""`run`: start the daemon, find servers on loopback, fall back to the simulator and say so."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from collector.cli.configured import DEFAULT_DATABASE, config_option, configured, database_url, refuse_shared_names
from collector.cli.mounts import network_filesystem_of
from collector.cli.opening import opened, opened_in_turn, opened_spool, wants_spool
from collector.cli.stopping import Stop, to_the_end
from collector.cli.systemd import Systemd
from collector.clock import Clock, SystemClock
from collector.daemon import Daemon
from collector.errors import GpusLostError
from collector.gpu.supervisor import Limits, NvmlReader
from collector.jobs.discover import found_text, loopback_targets
from collector.jobs.heap import one_arena, rare_collections
from collector.jobs.own_gpus import OwnGpus
from collector.jobs.serving import WebFlags, with_web_flags
from collector.jobs.targets import Target
from collector.logs import configure, event
from collector.settings import Settings
from collector.settings.load import parse_settings
from collector.store import Store

_log = logging.getLogger("breakeven")
EMBEDDED = "global: {scrape_interval: 5s, scrape_timeout: 4s, evaluation_interval: 15s}\nanalysis: {recent: 2m}\n"
"""What runs without a configuration file: short intervals, SQLite under ./var."""
SIMULATED_NOTICE = (
    "SIMULATED: no inference server was found, so the bundled simulator is the target; figures are invented"
)

listen_option = click.option("--web.listen-address", "listen_address", help="host:port to listen on.")
web_config_option = click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Prometheus' web-config.yml: TLS and basic auth for the daemon's own port.",
)
lifecycle_option = click.option(
    "--web.enable-lifecycle", "lifecycle", is_flag=True, help="Answer POST /-/reload; SIGHUP reloads in any case."
)
level_option = click.option(
    "--log.level", "level", type=click.Choice(["debug", "info", "warning", "error"]), help="Least level logged."
)
format_option = click.option("--log.format", "style", type=click.Choice(["logfmt", "json"]), help="Log format.")


standby_option = click.option(
    "--standby",
    is_flag=True,
    help="Where another daemon writes to the SQLite file, wait for its end. (On Postgres a second one needs no flag.)",
)


@click.command()
@config_option
@standby_option
@listen_option
@web_config_option
@lifecycle_option
@level_option
@format_option
def run(
    config_file: Path | None,
    standby: bool,
    listen_address: str | None,
    web_config_file: Path | None,
    lifecycle: bool,
    level: str | None,
    style: str | None,
) -> None:
    """Run the daemon: poll, store, recompute, export."""
    refuse_shared_names()
    one_arena()
    settings = parse_settings(EMBEDDED, "default") if config_file is None else configured(config_file)
    settings = with_web_flags(settings, listen_address, web_config_file)
    clock = SystemClock()
    set_up_logging(settings, clock, level, style)
    rare_collections()
    if config_file is not None:
        load = partial(configured, config_file)
        url, flags = database_url(settings), WebFlags(lifecycle)
        to_the_end(_serve(settings, url, clock, load=load, flags=flags, standby=standby))
        return
    targets = asyncio.run(loopback_targets(settings))
    if targets:
        event(_log, logging.INFO, "found servers on loopback", targets=found_text(targets))
        to_the_end(_serve(settings, DEFAULT_DATABASE, clock, targets, standby=standby))
        return
    # Only here: a daemon on real servers would keep the simulator in memory for nothing.
    from collector.cli.demo import simulated

    to_the_end(simulated(listen_address, web_config_file, clock, SIMULATED_NOTICE))


def set_up_logging(settings: Settings, clock: Clock, level: str | None, style: str | None) -> None:
    """Log as the command line says, else as the settings do."""
    chosen = settings.log.format if style is None else "json" if style == "json" else "logfmt"
    configure(settings.log.level if level is None else level, chosen, clock)


async def _serve(
    settings: Settings,
    url: str,
    clock: Clock,
    targets: tuple[Target, ...] = (),
    load: Callable[[], Settings] | None = None,
    flags: WebFlags | None = None,
    *,
    standby: bool,
) -> None:
    """Open the store and run the daemon on real targets."""
    stop, systemd = Stop(), Systemd.from_environment(os.environ)
    spooled = wants_spool(settings, url)
    # Whoever ran before reached the database: then it is worth waiting for, with polls going on.
    even_away = spooled and settings.storage.spool.path.exists()
    open_store = partial(Store.open, url, clock, even_away=even_away, lean=True)
    watchdog = asyncio.create_task(systemd.keep_alive())
    try:
        if standby:
            store = await opened_in_turn(open_store, stop.asked, systemd.standing_by)
        else:
            store = await opened(open_store, stop.asked)
    finally:
        watchdog.cancel()
    if store is None:
        return
    if store.upgraded is None:
        event(_log, logging.ERROR, "the database cannot be reached; samples go to the spool", about="store")
    for file in (store.file, settings.storage.spool.path if spooled else None):
        kind = None if file is None else network_filesystem_of(file)
        if kind is not None:
            text = "this file lies on a network file system: keep it on a local disk, or use Postgres"
            event(_log, logging.WARNING, text, about=file, kind=kind)
    if store.set_aside is not None:
        event(_log, logging.ERROR, "the database was unusable; a fresh one is in its place", moved_to=store.set_aside)
    gpus, own = None, OwnGpus(settings.storage.spool.path if spooled else store.file)
    if settings.gpu.nvml == "auto":
        expected = own.expected(clock.wall_s())
        gpus = NvmlReader(clock, Limits(answer_s=settings.gpu.timeout), expected=expected, gpm=settings.gpu.gpm)
    try:
        spool = opened_spool(settings, clock) if spooled else None
        daemon = Daemon(
            settings, store, clock, targets=targets, gpus=gpus, own_gpus=own, load=load, flags=flags, spool=spool
        )
        await run_daemon(daemon, stop)
    finally:
        store.close()


async def run_daemon(daemon: Daemon, stop: Stop) -> None:
    """Run the daemon under systemd's eyes, where it was started by it; SIGHUP reloads."""
    systemd = Systemd.from_environment(os.environ)
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        systemd.reloading()
        await daemon.reload()
        systemd.ready()

    def hang_up() -> None:
        task = asyncio.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    def started(urls: tuple[str, ...]) -> None:
        _show_urls(urls)
        systemd.ready()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hang_up)
    watchdog = asyncio.create_task(systemd.keep_alive())
    try:
        await daemon.run(stop.asked, started)
    except GpusLostError:
        stop.end_within_limit(1)
        raise
    finally:
        watchdog.cancel()
        systemd.stopping()


def _show_urls(urls: tuple[str, ...]) -> None:
    event(_log, logging.INFO, "serving", urls=" ".join(urls))
    click.echo(f"\n  Open {urls[0]}  (metrics: {urls[1]})\n  Stop with Ctrl-C.\n", err=True)
