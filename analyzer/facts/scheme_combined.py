"""Schemes joined by `+`, weights first: `w4a16+kv-fp8`. What holds of the parts, said of the whole."""

from __future__ import annotations

from dataclasses import replace

from analyzer.facts.gpu_type import Gpu
from analyzer.facts.quality import QualityPrior, quality_prior
from analyzer.facts.scheme_support import Level, Support, support
from analyzer.facts.scheme_table import Scheme, find_scheme

_WORST_LAST = (Level.NATIVE, Level.WEIGHT_ONLY, Level.UNKNOWN, Level.UNSUPPORTED)


def parts_of(name: str) -> tuple[Scheme, ...]:
    """The scheme of that name, or the two that it joins: one for weights, then one for the KV cache.

    Raises ValueError, saying what is wrong, for an unknown scheme and for any other combination.
    """
    found = tuple(find_scheme(part) for part in name.split("+"))
    kinds = [part.kv_bits is not None for part in found]
    if len(found) > 1 and kinds != [False, True]:
        raise ValueError(f"{name!r}: one scheme for weights can be joined with one for the KV cache, in this order")
    return found


def is_scheme(name: str) -> bool:
    """Whether `parts_of` knows it."""
    try:
        parts_of(name)
    except ValueError:
        return False
    return True


def support_of(name: str, gpu: Gpu | None, engine: str | None) -> Support:
    """The weaker part's support. `Level.WEIGHT_ONLY` speaks of the part for weights: a smaller cache never is more."""
    found = [(part, support(part.name, gpu, engine)) for part in parts_of(name)]
    _, weakest = max(found, key=lambda one: _WORST_LAST.index(one[1].level))
    if len(found) > 1 and weakest.level is Level.WEIGHT_ONLY:
        return found[0][1]
    return weakest


def quality_prior_of(name: str, parameters: int | None) -> QualityPrior | None:
    """Published loss; of two parts as if one came on top of the other, since nobody published the pair.

    `1 - (1 - a) (1 - b)`, of the medians and of the P90s. None where a part has nothing published. Raises as
    `quality_prior` does.
    """
    found = [quality_prior(part.name, parameters) for part in parts_of(name)]
    whole = found[0]
    for other in found[1:]:
        if whole is None or other is None:
            return None
        whole = replace(
            whole,
            median=1 - (1 - whole.median) * (1 - other.median),
            p90=1 - (1 - whole.p90) * (1 - other.p90),
            n=min(whole.n, other.n),
            source=f"{whole.source}; with {other.source}: one loss on top of the other",
            bin=whole.bin if whole.bin == other.bin else f"{whole.bin}, {other.bin}",
        )
    return whole
