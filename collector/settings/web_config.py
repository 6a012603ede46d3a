"""The shape of `web-config.yml`, Prometheus' file for TLS and basic auth on the own HTTP side, and its reading.

The format is that of https://prometheus.io/docs/prometheus/latest/configuration/https/; what is not known is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator

from collector.errors import ConfigError, Problem
from collector.settings.places import read_document
from collector.settings.section import Section

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|1[0-9])\$[./A-Za-z0-9]{53}")
"""Costs up to 19: one of 20 takes a minute and more for a single password."""
_FOREIGN = {
    "http_server_config": "HTTP/1.1 with fixed security headers is spoken; remove the key",
    "rate_limit": "rates are not limited, connections are (web.max_connections); remove the key",
    "cipher_suites": "the TLS library's own choice is used; remove the key",
    "prefer_server_cipher_suites": "the TLS library's own choice is used; remove the key",
    "curve_preferences": "the TLS library's own choice is used; remove the key",
    "client_allowed_sans": "any certificate of client_ca_file is let in; remove the key",
    "cert": "name the file instead, in cert_file",
    "key": "name the file instead, in key_file",
    "client_ca": "name the file instead, in client_ca_file",
}


def _bcrypt_hash(value: SecretStr) -> SecretStr:
    if not _BCRYPT.fullmatch(value.get_secret_value()):
        raise ValueError("no bcrypt hash of a cost up to 19: make one with `htpasswd -nBC 10 USER`")
    return value


class TlsServerConfig(Section):
    """TLS on our own port."""

    cert_file: Path = Field(description="Certificate, with the chain below it.")
    key_file: Path = Field(description="Key of the certificate, not encrypted.")
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = Field(
        "NoClientCert", description="Whether clients show a certificate."
    )
    client_ca_file: Path | None = Field(None, description="Authority that clients' certificates must be from.")
    min_version: Literal["TLS12", "TLS13"] = Field("TLS12", description="Oldest version that is spoken.")
    max_version: Literal["TLS12", "TLS13"] = Field("TLS13", description="Newest version that is spoken.")

    @model_validator(mode="after")
    def _fits(self) -> TlsServerConfig:
        if (self.client_auth_type == "NoClientCert") != (self.client_ca_file is None):
            raise ValueError("client_auth_type and client_ca_file belong together: state both or neither")
        if self.max_version < self.min_version:
            raise ValueError("max_version is older than min_version: raise it")
        return self


class WebConfig(Section):
    """Who may ask, and how. Relative file names count from the file's own folder."""

    tls_server_config: TlsServerConfig | None = Field(None, description="TLS; without it, HTTP in the clear.")
    basic_auth_users: dict[str, Annotated[SecretStr, AfterValidator(_bcrypt_hash)]] = Field(
        {}, description="User name to the bcrypt hash of the password; without any, everyone may ask."
    )


def load_web_config(file: Path) -> WebConfig:
    """The file's content. Raises ConfigError with every problem found, none of which repeats a value."""
    try:
        document = read_document(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError([Problem(str(file), f"cannot be read: {why}", "name a readable file")]) from None
    value = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise ConfigError([Problem(f"{file}:1", "the file is no mapping of keys", "start with `basic_auth_users:`")])
    problems = [
        Problem(document.place(path), f"the key {path[-1]!r} stands twice", "keep one") for path in document.duplicates
    ]
    try:
        config = WebConfig.model_validate(value)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_input=False):
            what = one["msg"].removeprefix("Value error, ")
            remedy = "see CONFIG.md"
            if one["type"] == "extra_forbidden":
                key = str(one["loc"][-1])
                what, remedy = f"unknown key {key!r}", _FOREIGN.get(key, "the keys known are in CONFIG.md")
            elif ": " in what:
                what, _, remedy = what.partition(": ")
            problems.append(Problem(document.place(one["loc"]), what, remedy))
    if problems:
        raise ConfigError(problems)
    tls = config.tls_server_config
    if tls is None:
        return config
    beside = {name: _beside(file, getattr(tls, name)) for name in ("cert_file", "key_file", "client_ca_file")}
    return config.model_copy(update={"tls_server_config": tls.model_copy(update=beside)})


def _beside(file: Path, name: Path | None) -> Path | None:
    return None if name is None else file.parent / name
