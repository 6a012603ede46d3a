"""Log lines on standard error: logfmt or JSON, UTC stamps, one line per event, repeated failures thinned out."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from collector.clock import Clock

REPEAT_S = 60.0
"""The same event about the same thing is logged once in this time, then with the number it stands for."""


def event(logger: logging.Logger, level: int, message: str, **fields: Any) -> None:
    """Log one event with its fields. A field `about` names the thing, for thinning out repeats."""
    logger.log(level, message, extra={"fields": fields})


class _Formatter(logging.Formatter):
    def __init__(self, style: Literal["logfmt", "json"]) -> None:
        super().__init__()
        self._json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"ts": stamp, "level": record.levelname.lower(), "logger": record.name, "msg": record.getMessage()}
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if self._json:
            return json.dumps(fields, default=str)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in fields.items())


def _logfmt(value: Any) -> str:
    text = str(value)
    plain = text and not any(character in text for character in ' "=\\') and text.isprintable()
    return text if plain else json.dumps(text, ensure_ascii=False)


class RepeatFilter(logging.Filter):
    """Lets a repeated warning through once a minute and says how many it stands for."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[Any, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged; a record that is gets the number of those left out since."""
        fields = getattr(record, "fields", None)
        if record.levelno < logging.WARNING or fields is None:
            return True
        key = (record.name, record.msg, fields.get("about"), fields.get("reason"))
        now_s = self._clock.monotonic_s()
        last_s, left_out = self._seen.get(key, (None, 0))
        if last_s is not None and now_s - last_s < REPEAT_S:
            self._seen[key] = (last_s, left_out + 1)
            return False
        self._seen[key] = (now_s, 0)
        if left_out:
            fields["repeated"] = left_out
        return True


def configure(level: str, style: Literal["logfmt", "json"], clock: Clock, stream: TextIO = sys.stderr) -> None:
    """Send our log lines to a stream; other libraries only when they warn."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(style))
    handler.addFilter(RepeatFilter(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("breakeven").setLevel(level.upper())
