"""TLS contexts of targets: one for all whose jobs say the same, made anew when a file that it rests on changes."""

from __future__ import annotations

import ssl

from collector.jobs.targets import Target, tls_context
from collector.settings.jobs import TlsConfig
from collector.stamps import Stamp, file_stamp

MOST = 64
"""So many are held: configurations come and go with reloads, and each holds the system's authorities, 1.5 MB."""


class TlsContexts:
    """Used on the event loop."""

    def __init__(self) -> None:
        self._made: dict[TlsConfig, tuple[tuple[Stamp | None, ...], ssl.SSLContext | bool]] = {}

    def of(self, target: Target) -> ssl.SSLContext | bool:
        """How to check a target's certificate, and ours for it, which is a credential too.

        To be asked for at every poll. Raises SourceError for files that cannot be used, until they can.
        """
        config = target.job.tls_config
        if config is None:
            return True
        if target.discovered and not target.job.credentials_to_discovered:
            config = config.model_copy(update={"cert_file": None, "key_file": None})
        files = (config.ca_file, config.cert_file, config.key_file)
        # Stamped before they are read: a change in between is then seen at the next poll.
        stamps = tuple(None if file is None else file_stamp(file) for file in files)
        former = self._made.get(config)
        if former is not None and former[0] == stamps:
            return former[1]
        context = tls_context(config)
        if len(self._made) >= MOST:
            self._made.pop(next(iter(self._made)))
        self._made[config] = stamps, context
        return context
