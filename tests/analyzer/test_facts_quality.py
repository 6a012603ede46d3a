"""The quality prior is a ratio from enough published pairs, by size where there are enough of that size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.evidence import Evidence
from analyzer.facts.quality import ALL_SIZES, MIN_ROWS, QualityPrior, quality_prior
from analyzer.facts.schemes import SCHEMES


def prior(scheme: str, parameters: int | None) -> QualityPrior:
    found = quality_prior(scheme, parameters)
    assert found is not None
    return found


def test_losses_are_ratios_and_assumed() -> None:
    """W4A16 over all sizes: 1.35 % and 6.68 % are 0.0135 and 0.0668, from 260 pairs."""
    found = prior("w4a16", None)

    assert (found.median, found.p90, found.n, found.bin) == (
        pytest.approx(0.0135),
        pytest.approx(0.0668),
        260,
        ALL_SIZES,
    )
    assert found.evidence is Evidence.ASSUMED


@pytest.mark.parametrize(
    ("parameters", "size", "median"),
    [
        (494_032_768, "<=2.5B", 0.0548),
        (2_500_000_000, "<=2.5B", 0.0548),
        (2_614_341_888, "3-5B", 0.0174),
        (8_030_261_248, "6-9B", 0.0136),
        (9_241_705_984, "6-9B", 0.0136),
        (14_770_033_664, "10-20B", 0.0117),
        (23_572_403_200, ALL_SIZES, 0.0135),
        (32_763_876_352, "30-50B", 0.0069),
        (55_000_000_000, ALL_SIZES, 0.0135),
        (70_553_706_496, ">=65B", 0.0085),
        (671_026_419_200, ">=65B", 0.0085),
    ],
)
def test_size_picks_the_bin_and_a_gap_takes_all_sizes(parameters: int, size: str, median: float) -> None:
    """A 24B and a 55B model lie between bins: no bin is stretched over them."""
    found = prior("w4a16", parameters)

    assert (found.bin, found.median) == (size, pytest.approx(median))


def test_small_samples_give_way_to_the_whole_scheme() -> None:
    """INT8 has 5 pairs at 6-9B: the 37 of all sizes are taken; at 30-50B its 10 suffice."""
    assert (prior("int8-w8a8", 8_030_261_248).bin, prior("int8-w8a8", 8_030_261_248).n) == (ALL_SIZES, 37)
    assert (prior("int8-w8a8", 32_000_000_000).bin, prior("int8-w8a8", 32_000_000_000).n) == ("30-50B", 10)
    assert prior("nvfp4", 8_030_261_248).n == 10


def test_thin_and_borrowed_figures_say_so() -> None:
    """One KV-FP8 value, and GGUF types that no pair covers."""
    assert prior("kv-fp8", None).n == 1
    assert "one value" in prior("kv-fp8", None).source
    assert "borrowed from w4a16" in prior("Q4_K_M", 8_030_261_248).source
    assert prior("Q4_K_M", 8_030_261_248).median == prior("w4a16", 8_030_261_248).median


@given(st.sampled_from(list(SCHEMES)), st.one_of(st.none(), st.integers(1, 3 * 10**12)))
def test_every_scheme_and_size_has_a_plausible_prior(scheme: str, parameters: int | None) -> None:
    """P90 is not below the median, both are ratios, and a bin is named only with enough pairs behind it."""
    found = prior(scheme, parameters)

    assert -0.05 <= found.median <= found.p90 <= 0.2
    assert found.bin == ALL_SIZES or found.n >= MIN_ROWS


def test_nonsense_is_refused() -> None:
    """An unknown scheme and a model without parameters."""
    with pytest.raises(ValueError, match="q9"):
        quality_prior("q9", None)
    with pytest.raises(ValueError, match="0 parameters"):
        quality_prior("w4a16", 0)
