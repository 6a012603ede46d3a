"""The shape of a receiver of verdict changes: a webhook or Slack, for those without Alertmanager."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from collector.settings.jobs import Authorization, BasicAuth, TlsConfig, require_one_authentication
from collector.settings.section import NAME, Section
from collector.settings.units import Duration

VerdictName = Literal["worth_it", "evaluate", "no", "insufficient_data"]


class NotificationConfig(Section):
    """One receiver. It is sent one message per deployment whose settled verdicts changed, and never one twice."""

    name: str = Field(description="Name of the receiver, in metrics and logs.", pattern=NAME, max_length=64)
    kind: Literal["slack", "webhook"] = Field(
        description="`slack` posts a text as Slack's incoming webhooks take it, `webhook` that and the figures as JSON."
    )
    url: SecretStr | None = Field(None, description="Where it is posted to; whoever has Slack's address may post.")
    url_file: Path | None = Field(None, description="File that holds the address; read at every message.")
    basic_auth: BasicAuth | None = Field(None, description="Basic authentication towards the receiver.")
    authorization: Authorization | None = Field(None, description="Authorization header towards the receiver.")
    tls_config: TlsConfig | None = Field(None, description="TLS towards the receiver.")
    proxy_url: str | None = Field(
        None,
        description="HTTP proxy to go through; those of the environment are not used.",
        pattern=r"^https?://[^/@\s]+/?$",
    )
    timeout: Duration = Field(10.0, description="Deadline of one attempt; failed ones are repeated ever more rarely.")
    verdicts: tuple[VerdictName, ...] = Field(
        ("worth_it", "evaluate", "no"), description="New verdicts that are told.", min_length=1
    )

    @field_validator("url")
    @classmethod
    def _usable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_usable(value.get_secret_value()):
            raise ValueError("no address to post to: write http:// or https://, a host, and no credentials before it")
        return value

    @model_validator(mode="after")
    def _one_address(self) -> NotificationConfig:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("state exactly one of url and url_file")
        require_one_authentication(self.basic_auth, self.authorization)
        return self


def is_usable(url: str) -> bool:
    """Whether something can be posted to this address."""
    try:
        parts = urlsplit(url)
        port_is_right = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and "@" not in parts.netloc
    return plain and port_is_right and parts.scheme in ("http", "https") and bool(parts.hostname)
