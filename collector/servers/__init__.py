"""The engines: one file each in this folder, found by listing it; and telling an engine from a page's names."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from importlib import import_module

from collector.errors import Kind, SourceError
from collector.scrape.bare import BareEngine
from collector.scrape.spec import EngineSpec

_SHOWN_NAMES = 3


def engine_specs() -> Mapping[str, EngineSpec]:
    """The specification of every engine with a metrics page by name, in alphabetical order.

    A file that cannot be imported or holds no `ENGINE` of its own name raises: an engine never vanishes silently.
    """
    return {name: spec for name, spec in all_engines().items() if isinstance(spec, EngineSpec)}


def bare_engines() -> Mapping[str, BareEngine]:
    """Every engine that exposes no metrics by name, in alphabetical order. Raises as `engine_specs` does."""
    return {name: spec for name, spec in all_engines().items() if isinstance(spec, BareEngine)}


def all_engines() -> Mapping[str, EngineSpec | BareEngine]:
    """Every engine by name, with metrics or without, in alphabetical order. Raises as `engine_specs` does."""
    return _engines_in(tuple(__path__))


@cache
def _engines_in(folders: tuple[str, ...]) -> Mapping[str, EngineSpec | BareEngine]:
    """Looked for once: a thousand targets ask twice each."""
    specs: dict[str, EngineSpec | BareEngine] = {}
    for module in sorted(pkgutil.iter_modules(folders), key=lambda found: found.name):
        spec = getattr(import_module(f"{__name__}.{module.name}"), "ENGINE", None)
        if not isinstance(spec, (EngineSpec, BareEngine)) or spec.name != module.name:
            raise ImportError(
                f"collector/servers/{module.name}.py must define ENGINE = EngineSpec(name={module.name!r})"
            )
        specs[spec.name] = spec
    return specs


def detect(
    page_names: AbstractSet[str], engine: str | None = None, specs: Mapping[str, EngineSpec] | None = None
) -> EngineSpec:
    """The engine whose signature is among a page's names; `engine` is what the operator stated, None to tell it.

    Raises SourceError: UNKNOWN_ENGINE when no known engine, or more than one, fits or the stated one is not known,
    WRONG_ENGINE when the page is not the stated engine's.
    """
    known = engine_specs() if specs is None else specs
    fitting = _fitting(known, page_names)
    if engine is not None:
        return _stated(engine, known, fitting, page_names)
    telling = [spec for spec in fitting if not spec.explicit_only]
    if len(telling) == 1:
        return telling[0]
    if telling:
        titles = " and ".join(spec.title for spec in telling)
        raise SourceError(Kind.UNKNOWN_ENGINE, f"the page looks like {titles}: state the engine")
    text = f"no known engine's page ({_seen(page_names)}); known engines: {', '.join(known)}"
    if fitting:
        named = " or ".join(f"{spec.title} (engine: {spec.name})" for spec in fitting)
        text = f"the page may be that of {named}, which must be stated: its names could be anybody's"
    raise SourceError(Kind.UNKNOWN_ENGINE, text)


def _fitting(known: Mapping[str, EngineSpec], page_names: AbstractSet[str]) -> list[EngineSpec]:
    """The engines with a signature on the page, less those whose series another of them passes on."""
    found = [spec for spec in known.values() if not page_names.isdisjoint(spec.signatures)]
    hosted = frozenset[str]().union(*(spec.hosts for spec in found))
    return [spec for spec in found if spec.name not in hosted]


def _stated(
    engine: str, known: Mapping[str, EngineSpec], fitting: list[EngineSpec], page_names: AbstractSet[str]
) -> EngineSpec:
    if engine not in known:
        text = f"there is no engine {engine!r}; known engines: {', '.join(known)}"
        raise SourceError(Kind.UNKNOWN_ENGINE, text)
    spec = known[engine]
    if spec in fitting:
        return spec
    like = " and ".join(f"{other.title} (engine: {other.name})" for other in fitting)
    looks = f"it looks like {like}" if fitting else _seen(page_names)
    raise SourceError(Kind.WRONG_ENGINE, f"not a page of {spec.title}, as stated: {looks}")


def _seen(page_names: AbstractSet[str]) -> str:
    """A few names of the page, for the operator to recognise what it is."""
    shown = ", ".join(name[:60] for name in sorted(page_names)[:_SHOWN_NAMES])
    return f"it has {len(page_names)} names such as {shown}" if shown else "it has no series"
