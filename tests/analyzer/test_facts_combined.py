"""A scheme for weights joined with one for the KV cache: allowed, supported and priced in quality as its parts say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.facts.gpus import GPUS, find_gpu
from analyzer.facts.quality import quality_prior
from analyzer.facts.schemes import SCHEMES, Level, is_scheme, parts_of, quality_prior_of, support, support_of

WEIGHTS = [name for name, scheme in SCHEMES.items() if scheme.kv_bits is None]
CACHES = [name for name, scheme in SCHEMES.items() if scheme.kv_bits is not None]


@given(st.sampled_from(WEIGHTS), st.sampled_from(CACHES), st.sampled_from(GPUS), st.sampled_from(["vllm", None]))
def test_the_whole_runs_no_better_than_the_weaker_part(weights: str, cache: str, gpu, engine: str | None) -> None:  # type: ignore[no-untyped-def]
    """Except that a cache which only shrinks does not make the arithmetic of the weights 16-bit."""
    whole = support_of(f"{weights}+{cache}", gpu, engine).level
    each = {support(part, gpu, engine).level for part in (weights, cache)}

    for worst in (Level.UNSUPPORTED, Level.UNKNOWN):
        if worst in each:
            assert whole is worst
            return
    assert whole is support(weights, gpu, engine).level


def test_a_smaller_cache_on_ampere_leaves_int8_arithmetic_native() -> None:
    """A100: FP8 caches only shrink there, INT8 tensor cores run all the same."""
    a100 = find_gpu("A100 80GB")

    assert support_of("kv-fp8", a100, "vllm").level is Level.WEIGHT_ONLY
    assert support_of("int8-w8a8+kv-fp8", a100, "vllm").level is Level.NATIVE
    assert support_of("fp8-w8a8+kv-fp8", a100, "vllm").level is Level.WEIGHT_ONLY


@pytest.mark.parametrize(
    "name", ["kv-fp8+w4a16", "w4a16+w8a16", "kv-fp8+kv-int8", "w4a16+kv-fp8+kv-int8", "w4a16+", "+"]
)
def test_other_combinations_are_refused(name: str) -> None:
    assert not is_scheme(name)
    with pytest.raises(ValueError, match="scheme"):
        parts_of(name)


def test_losses_come_one_on_top_of_the_other() -> None:
    """W4A16 loses 1.35 % and KV-INT8 0.03 %: 1 - 0.9865 * 0.9997 = 1.380 %."""
    found = quality_prior_of("w4a16+kv-int8", None)
    alone = quality_prior("w4a16", None)
    assert found is not None
    assert alone is not None

    assert found.median == pytest.approx(1 - 0.9865 * 0.9997)
    assert (found.p90 > alone.p90, found.n) == (True, 24)
    assert quality_prior_of("w4a16", None) == alone
