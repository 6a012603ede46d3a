"""An epoch's identity as text, and the fingerprint by which the same epoch is found again after a restart."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields

from analyzer.samples import Identity

_KNOWN = frozenset(one.name for one in fields(Identity))


def identity_text(identity: Identity) -> str:
    """The identity's known facts as JSON; facts that nothing told are left out."""
    told = {name: value for name, value in asdict(identity).items() if value is not None}
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def identity_of(kept: str) -> Identity:
    """The identity from its text; facts that this release has no field for are left out."""
    return Identity(**{name: value for name, value in json.loads(kept).items() if name in _KNOWN})


def fingerprint(identity: Identity, process_start: str | None) -> str:
    """What two epochs of one replica differ in, as a short text.

    A fact that nothing told adds nothing to it, so a field added to `Identity` later starts no new epoch by itself.
    """
    told = json.dumps([identity_text(identity), process_start])
    return hashlib.sha256(told.encode()).hexdigest()[:32]
