"""Durations (`1h30m`) and sizes (`10MB`) as Prometheus writes them, dates, and networks (`10.0.0.0/8`)."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_DURATION_S = (365 * 86400, 7 * 86400, 86400, 3600, 60, 1, 0.001)
_SIZE = re.compile(r"(\d+)\s*(B|KB|MB|GB|TB|KIB|MIB|GIB|TIB)?", re.IGNORECASE)
_SIZE_POWERS = {"B": 0, "KB": 1, "MB": 2, "GB": 3, "TB": 4, "KIB": 1, "MIB": 2, "GIB": 3, "TIB": 4}


def duration_s(value: Any) -> float:
    """Seconds of a Prometheus duration such as `15s` or `1h30m`. Raises ValueError for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) and value else None
    if match is None or not any(match.groups()):
        raise ValueError("write a duration with its unit, such as 15s, 5m or 1h30m")
    return float(sum(int(part) * unit for part, unit in zip(match.groups(), _DURATION_S, strict=True) if part))


def size_bytes(value: Any) -> int:
    """Bytes of a Prometheus size such as `10MB` (powers of 1024, as Prometheus counts). Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("write a size with its unit, such as 512KB or 10MB")
    unit = (match.group(2) or "B").upper()
    return int(int(match.group(1)) * 1024 ** _SIZE_POWERS[unit])


def _positive_duration_s(value: Any) -> float:
    seconds = duration_s(value)
    if seconds <= 0:
        raise ValueError("a duration must be longer than zero")
    return seconds


def date_s(value: Any) -> float:
    """Unix time of a date such as `2026-11-23`, at its start in UTC. Raises ValueError for anything else."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            value = None
    if isinstance(value, datetime) or not isinstance(value, date):
        raise ValueError("write a date as 2026-11-23")  # noqa: TRY004 - pydantic collects ValueErrors
    return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()


def network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A network such as `10.0.0.0/8` or `fd00::/8`. Raises ValueError for anything else."""
    try:
        return ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError("write a network with its length and no more bits than that, such as 10.0.0.0/8") from None


Duration = Annotated[float, BeforeValidator(_positive_duration_s)]
Size = Annotated[int, BeforeValidator(size_bytes)]
Date = Annotated[float, BeforeValidator(date_s)]
Network = Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, BeforeValidator(network)]
