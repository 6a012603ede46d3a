"""What the fact table knows about one GPU model."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.evidence import Evidence

REFERENCE_PRICE_DATE = "2026-04"
REFERENCE_PRICE_SOURCE = "AccelMark cloud_pricing.json (github FreedomIntelligence/AccelMark, Apache-2.0)"
REFERENCE_PRICE_EVIDENCE = Evidence.ASSUMED


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU model by its data sheet. `None` = no source states it; it is never filled in from a similar GPU.

    Rates are dense (no sparsity) tensor-core peaks per second, with FP32 accumulation; where the card has no BF16 unit
    (Volta, Turing) `bf16_flops_per_s` is its FP16 rate. `memory_bytes` takes the vendor's GB as 10^9 bytes: drivers
    report up to 7 % more (an "80 GB" card 85.5e9), so a measured total goes before it. `compute_capability` is
    NVIDIA's (major, minor). The reference price is dated `REFERENCE_PRICE_DATE`, from `REFERENCE_PRICE_SOURCE`, its
    evidence `REFERENCE_PRICE_EVIDENCE`: what one cloud asked then, not what the operator pays. `names` are other names
    that mean exactly this GPU; a short name that several forms share means the one that lists it here.
    """

    name: str
    architecture: str
    memory_bytes: int
    bandwidth_bytes_per_s: float | None
    bf16_flops_per_s: float
    fp8_flops_per_s: float | None
    int8_ops_per_s: float | None
    fp4_flops_per_s: float | None
    tdp_w: float | None
    compute_capability: tuple[int, int] | None
    reference_price_usd_per_h: float | None
    sources: tuple[str, ...]
    disagreements: str
    names: tuple[str, ...] = ()
