"""Names from the outside world in a form that every database keeps, however odd: one page must not stop the others.

Postgres takes neither NUL nor lone surrogates, and indexes no more than 2,700 bytes of a row's key.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from analyzer.samples import ReplicaKey

LONGEST_BYTES = 512
"""Three such names make a replica's key, with room to spare."""
_DIGEST_CHARACTERS = 16


def storable(name: str) -> str:
    """The name as it is kept: what no database takes is marked, an overlong end gives way to its digest."""
    kept = name.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    if len(kept) <= LONGEST_BYTES:
        return kept.decode()
    digest = hashlib.sha256(kept).hexdigest()[:_DIGEST_CHARACTERS]
    begin = kept[: LONGEST_BYTES - _DIGEST_CHARACTERS - 1].decode(errors="ignore")
    return f"{begin}~{digest}"


def storable_key(key: ReplicaKey) -> ReplicaKey:
    """The replica's key as it is kept."""
    return replace(key, target=storable(key.target), model=storable(key.model), rank=storable(key.rank))
