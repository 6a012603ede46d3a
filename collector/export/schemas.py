"""JSON Schemas of what `as_plain` makes of our types, read off their annotations: the API's documents cannot lag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import getdoc
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from analyzer.evidence import Missing

Schema = dict[str, Any]
_PLAIN: Mapping[Any, Schema] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    # A double that JSON has no number for is said in a word.
    float: {"anyOf": [{"type": "number"}, {"enum": ["infinite", "-infinite"]}]},
    NoneType: {"type": "null"},
    Any: {},
}


class Schemas:
    """Collects the schemas of every type that was asked for; `components` names each dataclass once."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}
        self._types: dict[str, type] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of one annotation. Raises TypeError for a type that no answer can hold."""
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        origin, inner = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            return {"anyOf": [self.of(one) for one in inner]}
        if origin is Literal:
            return {"enum": list(inner)}
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if origin is tuple and (len(inner) != 2 or inner[1] is not Ellipsis):
            return {"type": "array", "prefixItems": [self.of(one) for one in inner], "items": False}
        if isinstance(origin, type) and inner:
            return {"type": "array", "items": self.of(inner[0])}
        if isinstance(kind, type) and issubclass(kind, Enum):
            return {"enum": [one.value for one in kind]}
        if isinstance(kind, type) and is_dataclass(kind):
            return {"$ref": f"#/components/schemas/{self._named(kind)}"}
        raise TypeError(f"no answer holds a {kind}")

    def _named(self, kind: type) -> str:
        name = kind.__name__
        if self._types.setdefault(name, kind) is not kind:
            raise TypeError(f"two types of the answers are called {name}: {kind} and {self._types[name]}")
        if name not in self.components:
            self.components[name] = {}
            self.components[name] = self._object(kind)
        return name

    def _object(self, kind: type) -> Schema:
        if kind is Missing:
            reason = {"type": "string", "description": "Why the figure does not exist."}
            return _closed("Why a figure does not exist.", {"missing": reason})
        hints = get_type_hints(kind)
        shown = [one.name for one in fields(kind) if one.metadata.get("plain", True)]
        return _closed(getdoc(kind) or "", {name: self.of(hints[name]) for name in shown})


def _closed(told: str, properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "description": told,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
