"""Other GPUs and tensor parallel sizes that the operator could have, as lines of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analyzer.wording import signed_usd

Plain = Mapping[str, Any]


def option_lines(options: Sequence[Plain]) -> Iterator[str]:
    """Of each place what saves most there, as it is served or under a scheme; or why nothing is known of it."""
    places: dict[tuple[int, str], list[Plain]] = {}
    for one in options:
        places.setdefault((one["gpus_per_replica"], one["gpu"]), []).append(one)
    for (count, gpu), found in places.items():
        known = [one for one in found if "missing" not in one["saving_usd_per_month"]]
        if known:
            best = max(known, key=lambda one: one["saving_usd_per_month"]["value"])
            yield f"on {count} x {gpu} a replica: {_told(best)}"
        else:
            yield f"on {count} x {gpu} a replica: {found[0]['saving_usd_per_month']['missing']}"


def _told(one: Plain) -> str:
    served = "as it is served now" if one["scheme"] is None else one["scheme"]
    saving = one["saving_usd_per_month"]
    low, value, high = (signed_usd(saving[end]) for end in ("low", "value", "high"))
    count = f"{one['replicas']['value']:.0f} replica(s)"
    return f"{served}, {count}, saves {value} a month ({low} to {high}; {saving['evidence']})"
