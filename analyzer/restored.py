"""A plain report back as a `Report`: what `as_plain` leaves out is missing, with the reason given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from analyzer.capacity.demand import Demand
from analyzer.evidence import Missing
from analyzer.report import Report
from analyzer.workload import workload

_WORDS = {"infinite": float("inf"), "-infinite": float("-inf")}


def restored(plain: Mapping[str, Any], left_out: str) -> Report:
    """The report that `as_plain` was given; figures that it leaves out are missing for the reason `left_out`.

    Raises ValueError for what is no report of this release's.
    """
    try:
        report: Report = _made(Report, plain, left_out)
        workloads = {
            one.name: workload([member for member in report.replicas if member.deployment == one.name])
            for one in report.deployments
        }
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
        raise ValueError(f"no report of this release's: {error}") from error
    return replace(report, workloads=workloads)


def _made(kind: Any, plain: Mapping[str, Any], left_out: str) -> Any:
    hints = _hints(kind)
    values = {}
    for one in fields(kind):
        if one.name not in plain and Missing in get_args(hints[one.name]):
            values[one.name] = Missing(left_out)  # a release before this one did not have it
        elif one.metadata.get("plain", True):
            values[one.name] = _value(hints[one.name], plain[one.name], left_out)
        elif one.default is MISSING and one.default_factory is MISSING:
            values[one.name] = _nothing(hints[one.name], left_out)
    return kind(**values)


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, plain: Any, left_out: str) -> Any:
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if plain is None and NoneType in kinds:
        return None
    if Missing in kinds and isinstance(plain, Mapping) and plain.keys() == {"missing"}:
        return Missing(plain["missing"])
    (kind,) = (one for one in kinds if one not in (NoneType, Missing))
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return plain
    if is_dataclass(kind):
        return _made(kind, plain, left_out)
    if origin in (tuple, Sequence):
        each = (inner[0],) * len(plain) if origin is Sequence or inner[-1] is ... else inner
        return tuple(_value(one, item, left_out) for one, item in zip(each, plain, strict=True))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _value(inner[1], item, left_out) for key, item in plain.items()}
    if issubclass(kind, Enum):
        return kind(plain)
    if kind is float:
        return _WORDS[plain] if isinstance(plain, str) else float(plain)
    if not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is no {kind.__name__}")
    return plain


def _nothing(hint: Any, left_out: str) -> Any:
    """What stands for a field that a plain report leaves out."""
    if Missing in get_args(hint):
        return Missing(left_out)
    if hint is Demand:
        return Demand()
    return np.zeros((2, 0)) if get_origin(hint) is np.ndarray else {}
