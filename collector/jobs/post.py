"""Posts one JSON message to a receiver of notifications: one deadline, no redirects, no secret in any error."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from collector.errors import BreakevenError, SourceError
from collector.jobs.targets import auth_headers, tls_context
from collector.settings.notifications import NotificationConfig, is_usable

_SENT = {"User-Agent": "breakeven"}
LONGEST_PAUSE_S = 3600.0
_LATER: frozenset[int] = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_REMEDIES: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the receiver wants credentials, or other ones",
    HTTPStatus.FORBIDDEN: "the receiver refuses our credentials, or the address was withdrawn",
    HTTPStatus.NOT_FOUND: "nothing at this address: correct it, or make a new one in Slack",
    HTTPStatus.GONE: "the address was withdrawn: make a new one",
}


class NotSentError(BreakevenError):
    """A message was not taken. `reason` is counted; `pause_s` is what the receiver asks for, None where it does not.

    `final`: no repetition can help. `arrived`: it may have been taken all the same, only the answer is missing.
    """

    def __init__(
        self, reason: str, text: str, *, final: bool = False, arrived: bool = False, pause_s: float | None = None
    ) -> None:
        super().__init__(text)
        self.reason = reason
        self.final = final
        self.arrived = arrived
        self.pause_s = pause_s


def address_of(config: NotificationConfig) -> str:
    """Where to post. Raises BreakevenError when the file with it cannot be read, or holds no address."""
    if config.url is not None:
        return config.url.get_secret_value()
    assert config.url_file is not None
    try:
        url = config.url_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise BreakevenError(f"the address in {config.url_file} cannot be read") from None
    if not is_usable(url):
        raise BreakevenError(f"{config.url_file} holds no address to post to")
    return url


async def post(config: NotificationConfig, body: Mapping[str, Any]) -> None:
    """Post one message. Raises NotSentError, whose text names the host and nothing else of the address."""
    try:
        url, headers, context = address_of(config), {**_SENT, **auth_headers(config)}, tls_context(config.tls_config)
    except SourceError as error:
        raise NotSentError(error.kind.value, str(error)) from None
    except BreakevenError as error:
        raise NotSentError("address", str(error)) from None
    name = None if config.tls_config is None else config.tls_config.server_name
    where = urlsplit(url).hostname or ""
    timeout = aiohttp.ClientTimeout(total=config.timeout)
    sent: list[object] = []

    async def note(*told: object) -> None:
        sent.append(told)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(note)
    try:
        async with (
            aiohttp.ClientSession(
                timeout=timeout, trust_env=False, auto_decompress=False, trace_configs=[tracing]
            ) as session,
            session.post(
                url,
                json=body,
                headers=headers,
                ssl=context,
                server_hostname=name,
                proxy=config.proxy_url,
                allow_redirects=False,
            ) as answer,
        ):
            status, pause = answer.status, answer.headers.get("Retry-After", "")
    except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError):
        raise NotSentError("proxy", f"{config.proxy_url} does not let us through to {where}") from None
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError):
        raise NotSentError("tls", f"TLS with {where} failed: look at its certificate and at tls_config") from None
    except aiohttp.ClientConnectorDNSError:
        raise NotSentError("dns", f"the host name {where} cannot be resolved") from None
    except aiohttp.ClientConnectorError:
        raise NotSentError("refused", f"cannot connect to {where}") from None
    except TimeoutError:
        text = f"{where} did not answer within {config.timeout:g} s"
        raise NotSentError("timeout", text, arrived=bool(sent)) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        text = f"the message to {where} failed: {type(error).__name__}"
        raise NotSentError("disconnected", text, arrived=bool(sent)) from None
    if not 200 <= status < 300:
        raise _refused(where, status, pause)


def _refused(where: str, status: int, pause: str) -> NotSentError:
    final = 300 <= status < 500 and status not in _LATER
    advice = "redirects are never followed" if 300 <= status < 400 else _REMEDIES.get(status, "")
    text = f"{where} answers HTTP {status}" + (f": {advice}" if advice else "")
    pause_s = min(float(pause), LONGEST_PAUSE_S) if pause.isdecimal() else None
    return NotSentError("http_status", text, final=final, pause_s=pause_s)
