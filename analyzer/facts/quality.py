"""Published relative loss of task accuracy per quantization scheme and model size: a prior, never a verdict.

Compiled from published pairs of baseline and quantized score (630 accuracy pairs; sources in the compilation, the
100-question AccelMark subset left out for its noise). Size matters more than the scheme for 4 bits. Small benchmarks
(HumanEval, AIME) make single differences meaningless, hence median and P90 of at least `MIN_ROWS` pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analyzer.evidence import Evidence
from analyzer.facts.scheme_table import find_scheme

MIN_ROWS = 10
"""A size bin below it gives way to the scheme's figures over all sizes: a P90 of fewer values is one value."""
SOURCE = "median and P90 over published benchmark pairs"


@dataclass(frozen=True, slots=True)
class QualityPrior:
    """Relative loss as ratios (0.0135 = 1.35 % of the baseline's score), over `n` published pairs; below 0 is a gain.

    `bin` is the model size the pairs belong to, "all sizes" where the scheme's are taken together. The evidence is
    `assumed`: nobody measured this model on this task.
    """

    median: float
    p90: float
    n: int
    source: str
    bin: str
    evidence: Evidence = Evidence.ASSUMED


_Row = tuple[float, float, int]
"""Median and P90 of the relative loss in percent, number of pairs."""

ALL_SIZES = "all sizes"
_SPANS = (("3-5B", 3, 5), ("6-9B", 6, 9), ("10-20B", 10, 20), ("30-50B", 30, 50))
"""First and last billion of the bins between the smallest and the largest."""

_PUBLISHED: Mapping[str, Mapping[str, _Row]] = MappingProxyType(
    {
        "fp8-w8a8": {
            ALL_SIZES: (0.17, 2.59, 211),
            "<=2.5B": (1.05, 5.62, 34),
            "3-5B": (0.47, 2.38, 18),
            "6-9B": (0.3, 1.87, 42),
            "10-20B": (0.0, 1.05, 17),
            "30-50B": (0.15, 1.1, 67),
            ">=65B": (0.11, 0.61, 27),
        },
        "int8-w8a8": {
            ALL_SIZES: (0.55, 2.63, 37),
            "<=2.5B": (0.18, 2.29, 8),
            "3-5B": (0.68, 6.11, 4),
            "6-9B": (0.94, 1.47, 5),
            "10-20B": (1.2, 2.11, 4),
            "30-50B": (-0.04, 1.58, 10),
            ">=65B": (1.65, 8.04, 6),
        },
        "w8a16": {
            ALL_SIZES: (0.69, 3.9, 45),
            "<=2.5B": (0.66, 5.65, 16),
            "6-9B": (0.65, 3.58, 13),
            "10-20B": (0.86, 1.67, 4),
            ">=65B": (0.97, 3.53, 12),
        },
        "w4a16": {
            ALL_SIZES: (1.35, 6.68, 260),
            "<=2.5B": (5.48, 12.4, 44),
            "3-5B": (1.74, 5.6, 31),
            "6-9B": (1.36, 4.18, 87),
            "10-20B": (1.17, 3.38, 24),
            "30-50B": (0.69, 3.17, 45),
            ">=65B": (0.85, 2.19, 29),
        },
        "w4a8": {ALL_SIZES: (3.6, 5.52, 2), "6-9B": (6.0, 6.0, 1), ">=65B": (1.2, 1.2, 1)},
        "nvfp4": {
            ALL_SIZES: (-0.05, 1.41, 10),
            "6-9B": (3.32, 3.32, 1),
            "30-50B": (-3.74, 0.21, 3),
            ">=65B": (-0.05, 0.92, 6),
        },
        "kv-fp8": {ALL_SIZES: (5.9, 5.9, 1), "30-50B": (5.9, 5.9, 1)},
        "kv-int8": {ALL_SIZES: (0.03, 0.47, 24), "6-9B": (0.03, 0.47, 24)},
    }
)

_NOTES: Mapping[str, str] = MappingProxyType(
    {
        "nvfp4": "thin: against a 0.05 % gain here stands 15 % more perplexity on Llama-3.1-8B (torchao README)",
        "kv-fp8": "one value, MRCR at 256k tokens on Qwen3-30B-A3B, which its source calls within one deviation",
        "w4a8": "two values",
    }
)

_BORROWED: Mapping[str, str] = MappingProxyType(
    {
        "mxfp4": "w4a16",
        "Q8_0": "w8a16",
        "Q6_K": "w8a16",
        "Q5_K_M": "w4a16",
        "Q4_K_M": "w4a16",
        "Q4_0": "w4a16",
        "Q4_1": "w4a16",
    }
)
"""Schemes without a published pair: the scheme of the same width whose figures stand in, the more lossy one between."""


def quality_prior(scheme: str, parameters: int | None) -> QualityPrior | None:
    """The published loss of `scheme` for a model of that many parameters (None = not known); total, not active, ones.

    A size between two bins, and a bin of fewer than `MIN_ROWS` pairs, give the scheme's figures over all sizes.
    None where nothing is published. Raises ValueError for an unknown scheme or a size that is not positive.
    """
    name = find_scheme(scheme).name
    if parameters is not None and parameters <= 0:
        raise ValueError(f"a model has more than {parameters} parameters")
    lender = _BORROWED.get(name, name)
    published = _PUBLISHED.get(lender)
    if published is None:
        return None
    found = ALL_SIZES if parameters is None else _bin(parameters)
    row = published.get(found)
    if row is None or row[2] < MIN_ROWS:
        found, row = ALL_SIZES, published[ALL_SIZES]
    median, p90, n = row
    notes = [SOURCE, *([_NOTES[name]] if name in _NOTES else [])]
    if lender != name:
        notes.append(f"borrowed from {lender}, no pair of {name} is published")
    return QualityPrior(median=median / 100, p90=p90 / 100, n=n, source="; ".join(notes), bin=found)


def _bin(parameters: int) -> str:
    """The size bin, by the nearest whole billion: published sizes are nominal (a "9B" model has 9.24e9 parameters)."""
    if parameters <= 2.5e9:
        return "<=2.5B"
    billions = round(parameters / 1e9)
    if billions >= 65:
        return ">=65B"
    return next((name for name, first, last in _SPANS if first <= billions <= last), ALL_SIZES)
