"""Takes a changed configuration while the daemon runs: all of it, or nothing of it."""

from __future__ import annotations

import logging
from collections.abc import Callable

from collector.clock import Clock
from collector.errors import ConfigError
from collector.health import Health
from collector.logs import event
from collector.settings.model import Settings

AT_START = ("storage", "web", "gpu", "log")
"""Sections that are only read at the start; `storage.retention` is the exception."""
_log = logging.getLogger("breakeven.config")


def reloaded(current: Settings, load: Callable[[], Settings] | None, health: Health, clock: Clock) -> Settings | None:
    """The settings to go on with; None, with the reason in the log and in `health`, where the file cannot be used."""
    if load is None:
        event(_log, logging.WARNING, "there is no configuration file to read again")
        return None
    started_s = clock.monotonic_s()
    try:
        fresh = load()
    except ConfigError as error:
        health.failed(clock.wall_s(), "config", str(error))
        for problem in error.problems:
            event(_log, logging.ERROR, "the configuration was not taken", about=problem)
        return None
    kept = {name: getattr(current, name) for name in AT_START}
    kept["storage"] = current.storage.model_copy(update={"retention": fresh.storage.retention})
    kept["global_"] = fresh.global_.model_copy(
        update={name: getattr(current.global_, name) for name in ("evaluation_interval", "allowed_networks")}
    )
    settings = fresh.model_copy(update=kept)
    waiting = [name.rstrip("_") for name, value in kept.items() if getattr(fresh, name) != value]
    if waiting:
        text = "the configuration was taken, but these sections change at a restart only"
        event(_log, logging.WARNING, text, sections=" ".join(waiting))
    health.succeeded(clock.wall_s(), clock.monotonic_s() - started_s)
    event(_log, logging.INFO, "the configuration was read again")
    return settings
