"""The line that vLLM logs per step with `--enable-logging-iteration-details` (0.14 on).

`(EngineCore_DP1 pid=7) INFO 07-09 03:15:05 [core.py:359] Iteration(15): 2 context requests, 7986 context tokens,
14 generation requests, 14 generation tokens, iteration elapsed time: 1115.64 ms` (on one line). In 0.32 the API server
writes it, as `[loggers.py:199] Engine 001: Iteration(15): ...`, and goes on with `(dummy)` and the KV cache usage.
The elapsed time is what the engine's loop waited for the step's result.
"""

from __future__ import annotations

import re

from collector.scrape.steps import Step

_SIGN = b"Iteration("
# No quote before it: a prompt that is logged is quoted, and may hold any text.
_LINE = re.compile(
    rb"(?P<head>[^'\"]*)Iteration\((?P<index>\d{1,15})\): \d{1,9} context requests, (?P<prompt>\d{1,12}) context "
    rb"tokens, (?P<sequences>\d{1,9}) generation requests, \d{1,12} generation tokens, "
    rb"iteration elapsed time: (?P<ms>\d{1,12}(?:\.\d{1,9})?) ms(?![\w.])"
)
_RANK = re.compile(rb"Engine (\d{1,4}): $|\(EngineCore(?:_DP|_)(\d{1,4})\b")
_QUOTES = re.compile(rb"['\"]")


def vllm_step(line: bytes) -> Step | None:
    """The step that a line tells; None for a line of another kind. Raises ValueError for one that is cut or changed."""
    at = line.find(_SIGN)
    if at < 0 or _QUOTES.search(line, 0, at):
        return None
    found = _LINE.match(line)
    if found is None:
        raise ValueError("a line of vLLM's step log in another form")
    rank = _RANK.search(found["head"])
    return Step(
        rank="0" if rank is None else str(int(rank[1] or rank[2])),
        index=int(found["index"]),
        prompt_tokens=int(found["prompt"]),
        sequences=int(found["sequences"]),
        took_s=float(found["ms"]) / 1000,
    )
