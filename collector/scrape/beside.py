"""Where an engine's other endpoints are: beside its metrics page."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def beside(url: str, path: str, page_path: str = "/metrics") -> str:
    """The URL of an endpoint beside the metrics page: `page_path` at the end of the path is replaced.

    A query is dropped. A page at another path is taken to be at the server's root.
    """
    parts = urlsplit(url)
    trimmed = parts.path.rstrip("/")
    base = trimmed.removesuffix(page_path) if trimmed.endswith(page_path) else ""
    return urlunsplit(parts._replace(path=base + path, query="", fragment=""))
