"""What verdicts are called where people read them, and how a terminal shows each."""

from __future__ import annotations

WORDS = {
    "worth_it": ("worth it", "bold green"),
    "evaluate": ("evaluate", "bold yellow"),
    "no": ("no", "bold"),
    "insufficient_data": ("not enough data", "dim"),
}
