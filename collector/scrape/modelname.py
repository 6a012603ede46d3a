"""What a model's name or path says about its quantization, where it says it plainly."""

from __future__ import annotations

import re

_SEPARATOR = r"(?:^|[^a-z0-9])"
_END = r"(?=$|[^a-z0-9])"
_SCHEMES = (
    ("nvfp4", r"nvfp4"),
    ("mxfp4", r"mxfp4"),
    ("w4a8", r"w4a8|w4afp8"),
    ("fp8-w8a8", r"fp8"),
    ("int8-w8a8", r"w8a8"),
    ("w8a16", r"w8a16"),
    ("w4a16", r"w4a16"),
)
_EIGHT_BITS = re.compile(_SEPARATOR + r"(?:int8|8[-_]?bits?|w8a16)" + _END)
_FOUR_BITS = re.compile(_SEPARATOR + r"(?:int4|4[-_]?bits?|w4a16)" + _END)
_WEIGHT_ONLY = re.compile(_SEPARATOR + r"(awq|gptq|autoround)" + _END)
_KV_CACHE = re.compile(_SEPARATOR + r"kv[-_]?(?:cache[-_]?)?(?:fp8|int8|fp4|8)" + _END)
_GGUF = re.compile(
    r"(?:^|[^a-z0-9])((?:ud-)?i?q[1-8]_(?:k_(?:xs|s|m|l|xl)|k|[01]|xxs|xs|s|m|nl)|tq[12]_0)(?=$|[^a-z0-9_])"
)


def quantization(name: str | None) -> str | None:
    """The scheme that a model's name states, in the project's words, or a GGUF type such as `Q4_K_M`.

    The last part of a path is asked first, then all of it. None where the name says nothing, leaves the bits open
    (`GPTQ`, `INT8`, `4bit`) or says two things: a wrong scheme is worse than none.
    """
    if name is None:
        return None
    lower = name.lower()
    for part in (re.split(r"[/\\]", lower.rstrip("/\\"))[-1], lower):
        found = _schemes(part)
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _schemes(name: str) -> set[str]:
    gguf = _GGUF.search(name)
    if gguf is not None:
        return {gguf.group(1).removeprefix("ud-").upper()}
    name = _KV_CACHE.sub("-", name)
    found = {scheme for scheme, pattern in _SCHEMES if re.search(f"{_SEPARATOR}(?:{pattern}){_END}", name)}
    if "fp8-w8a8" in found and re.search(f"{_SEPARATOR}w8a8{_END}", name):
        found.discard("int8-w8a8")
    method = _WEIGHT_ONLY.search(name)
    if method is not None:
        found |= _weight_only(method.group(1), name)
    return found


def _weight_only(method: str, name: str) -> set[str]:
    """AWQ is 4 bits unless it says 8; GPTQ and AutoRound have to say."""
    if _EIGHT_BITS.search(name):
        return {"w8a16"}
    if method == "awq" or _FOUR_BITS.search(name):
        return {"w4a16"}
    return set()
