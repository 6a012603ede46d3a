"""Figures as they stand in a sentence: amounts, factors with their interval, counts."""

from __future__ import annotations

from analyzer.evidence import Estimate


def usd(amount: float) -> str:
    """`$1,234` or `-$1,234`."""
    return f"-${-amount:,.0f}" if amount < 0 else f"${amount:,.0f}"


def signed_usd(amount: float) -> str:
    """As `usd`; nothing at all is `$0`."""
    return usd(0.0 if abs(amount) < 0.5 else amount)


def factor(figure: Estimate) -> str:
    """`1.50x (1.30 to 1.70)`."""
    return f"{figure.value:.2f}x ({figure.low:.2f} to {figure.high:.2f})"


def gpus(count: float) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{count:.0f} GPU{'' if round(count) == 1 else 's'}"
