"""What the predictor stands on: kernel efficiencies, constants with their priors, and imports that stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.facts.gpu_supplement import supplemented
from analyzer.facts.gpu_type import Gpu
from analyzer.facts.gpus import COMPILED, GPUS, find_gpu
from analyzer.facts.kernels import TABLE_WEIGHTS, relative_arithmetic
from analyzer.predict.constants import PRIORS, SHIPPED, Constants


@given(tokens=st.floats(1, 1e5), gpu=st.sampled_from(GPUS), compute=st.sampled_from(["bf16", "fp8", "int8", "fp4"]))
def test_kernel_efficiency_stays_within_the_table(tokens: float, gpu: Gpu, compute: str) -> None:
    assert 0.2 < relative_arithmetic(gpu, compute, tokens, TABLE_WEIGHTS) <= 1


def test_kernel_efficiency_interpolates_by_hand() -> None:
    """Between 1,024 (0.57) and 2,048 (0.61) tokens on Hopper, in the logarithm; twice the matrix, half the tokens."""
    h100 = find_gpu("H100")

    assert relative_arithmetic(h100, "fp8", 1024 * 2**0.5, TABLE_WEIGHTS) == pytest.approx(0.59)
    assert relative_arithmetic(h100, "fp8", 1024, 2 * TABLE_WEIGHTS) == pytest.approx(0.61)
    assert relative_arithmetic(None, "fp8", 64, TABLE_WEIGHTS) == 0.68


def test_every_constant_has_a_prior_with_a_source_and_was_moved_by_the_fit_only() -> None:
    """Those that are not fitted stand where their source puts them; the others within two standard deviations."""
    assert set(PRIORS) == set(Constants.__dataclass_fields__)
    for name, prior in PRIORS.items():
        assert prior.source
        moved = getattr(SHIPPED, name) / prior.value
        assert 2.72 ** (-2 * prior.sd) <= moved <= 2.72 ** (2 * prior.sd), name


def test_importing_the_analyzer_needs_no_heavy_library() -> None:
    code = (
        "import sys, analyzer.predict, analyzer.scoring.scored, analyzer.report\n"
        "heavy = {'pandas', 'pyarrow', 'torch'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_a_bandwidth_from_another_source_is_added_with_that_source_only_where_the_table_has_none() -> None:
    """RTX 4090 D: 384 bits at 21 GT/s are 384 / 8 * 21 = 1,008 GB/s."""
    by_name = {gpu.name: gpu for gpu in COMPILED}
    lacking, complete = by_name["RTX 4090 D"], by_name["H100 SXM 80GB"]
    added = find_gpu("RTX 4090 D")
    assert added is not None

    assert lacking.bandwidth_bytes_per_s is None
    assert added.bandwidth_bytes_per_s == 384 / 8 * 21e9
    assert len(added.sources) == len(lacking.sources) + 1
    assert supplemented(complete) is complete
