"""The page's files as they lie in the package: read once, answered from memory, each under its path in `static`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

CONTENT_TYPES: Mapping[str, str] = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
}
PAGES: Mapping[str, str] = {"/": "page.html", "/replica": "replica.html"}
"""Paths that people open, and their files."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: where it is answered, its bytes, and a tag that changes with them."""

    path: str
    content_type: str
    body: bytes
    tag: str


def assets() -> tuple[Asset, ...]:
    """Every file of the page; documents under their own paths, the others under /static/."""
    documents = {name: path for path, name in PAGES.items()}
    return tuple(
        Asset(
            documents.get(name, f"/static/{name}"),
            CONTENT_TYPES[name.rpartition(".")[2]],
            body := file.read_bytes(),
            sha256(body).hexdigest()[:16],
        )
        for name, file in _walk(files("collector.export").joinpath("static"))
    )


def _walk(folder: Traversable, before: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _walk(entry, f"{before}{entry.name}/")
        else:
            yield before + entry.name, entry
