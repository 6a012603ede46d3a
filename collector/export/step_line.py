"""What a replica's figures rest on, in a line: the phase mix's evidence, and what a step costs by the fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log10
from typing import Any

Plain = Mapping[str, Any]
CHARGES = {
    "step_s": "a step costs {}",
    "sequence_s": "{} per sequence",
    "kv_token_s": "{} per KV token",
    "prefill_token_s": "{} per prompt token",
}
_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


def evidence_line(replica: Plain) -> str:
    """How the replica's phase mix was obtained over the decision span, and its step model or why there is none."""
    return f"phase mix {mix_evidence(replica)}; {model_line(replica['step_time'])}"


def mix_evidence(replica: Plain) -> str:
    """Evidence of the marginal prefill share, over the decision span where that has one."""
    for account in (replica["decision"], replica["phases"]):
        figure = account["prefill_marginal"]
        if "missing" not in figure:
            return f"{figure['evidence']} ({figure['method'].replace('_', ' ')})"
    return f"not known ({replica['decision']['prefill_marginal']['missing']})"


def model_line(model: Plain) -> str:
    """The step model: what a step costs, on how much traffic, how well it foretells, what live data do not decide."""
    if "missing" in model:
        return f"no step model: {model['missing']}"
    known = model["coefficients"]
    costs = " + ".join(text.format(duration(known[name]["estimate"]["value"])) for name, text in CHARGES.items())
    error = model["held_out_error"]
    tested = "too little of it to test the model" if error is None else f"held-out error {error:.1%}"
    unsure = [CHARGES[name].format("").strip() for name in CHARGES if not known[name]["identified"]]
    rests = f"; live data do not decide: {_listed(unsure)}" if unsure else ""
    return f"{costs}; fitted on {span(model['covered_s'])} of traffic, {tested}{rests}"


def _listed(charges: list[str]) -> str:
    return ", ".join("the step itself" if one == "a step costs" else one for one in charges)


def duration(seconds: float) -> str:
    """Seconds with three significant digits, in the unit that suits."""
    for factor, unit in _UNITS:
        if abs(seconds) >= factor:
            return f"{significant(seconds / factor)} {unit}"
    return f"{significant(seconds * 1e9)} ns"


def significant(value: float, digits: int = 3) -> str:
    """A number rounded to so many digits, without an exponent."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - floor(log10(abs(value))))
    return f"{value:,.{places}f}"


def span(seconds: float) -> str:
    """A length of time in the words of a report."""
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"
