"""The metrics page of vLLM 0.33 (Python front end, text format 0.0.4) from the state of simulated engines.

Several servers on one page are data-parallel ranks: one `engine` label each, with the samples of a family grouped by
engine, as prometheus_client writes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from collector.simulator.exposition import escape, go_number
from collector.simulator.server import SimulatedServer
from collector.simulator.vllm_series import Family, families


@dataclass(frozen=True, slots=True)
class PageSettings:
    """What a page says besides its counters. `created` adds the `_created` series, as vLLM does by default."""

    model_name: str
    started_unix_s: float
    created: bool = True
    mfu_metrics: bool = False
    gpu_memory_utilization: float = 0.92
    cache_dtype: str = "auto"


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{escape(labels[name])}"' for name in sorted(labels)) + "}"


@dataclass(frozen=True, slots=True)
class _Block:
    """A family's header and, per engine, the start of each of its lines (name, labels) with the sample's name."""

    header: str
    family: Family | None
    lines: tuple[tuple[tuple[str, str], ...], ...]
    fixed: float | None = None


class VllmPage:
    """The page of one server process with one engine per simulated server (all with the same settings)."""

    def __init__(self, servers: Sequence[SimulatedServer], settings: PageSettings) -> None:
        self._servers = tuple(servers)
        self._blocks: list[_Block] = [
            self._plain("python_info", "Python platform information", 1.0, self._python_labels()),
            self._plain("process_start_time_seconds", "Start time since unix epoch.", settings.started_unix_s, None),
        ]
        draft_tokens = servers[0].counters.draft_tokens_per_draft
        for family in families(draft_tokens, settings.mfu_metrics):
            self._blocks += self._family_blocks(family, settings)
        self._blocks += [self._rejections_block(settings), self._config_block(settings)]

    @staticmethod
    def _python_labels() -> Mapping[str, str]:
        return {"implementation": "CPython", "major": "3", "minor": "12", "patchlevel": "11", "version": "3.12.11"}

    @staticmethod
    def _header(name: str, help_: str, kind: str) -> str:
        return f"# HELP {name} {help_}\n# TYPE {name} {kind}\n"

    def _plain(self, name: str, help_: str, value: float, labels: Mapping[str, str] | None) -> _Block:
        start = name if labels is None else name + _labels(labels)
        return _Block(self._header(name, help_, "gauge"), None, (((name, f"{start} "),),), value)

    def _family_blocks(self, family: Family, settings: PageSettings) -> list[_Block]:
        lines, created = [], []
        base = family.name.removesuffix("_total") if family.kind == "counter" else family.name
        for engine, server in enumerate(self._servers):
            labels = {"engine": str(engine), "model_name": settings.model_name}
            choices = [labels if family.label is None else labels | {family.label: c} for c in family.choices or ("",)]
            if family.histogram is None:
                lines.append(tuple((family.name, f"{family.name}{_labels(choice)} ") for choice in choices))
            else:
                bounds = [go_number(bound) for bound in (*family.histogram(server).bounds, float("inf"))]
                bucket, plain = f"{family.name}_bucket", _labels(labels)
                histogram_lines = [(bucket, f"{bucket}{_labels(labels | {'le': bound})} ") for bound in bounds]
                histogram_lines += [
                    (f"{family.name}{end}", f"{family.name}{end}{plain} ") for end in ("_count", "_sum")
                ]
                lines.append(tuple(histogram_lines))
            created.append(tuple((f"{base}_created", f"{base}_created{_labels(choice)} ") for choice in choices))
        blocks = [_Block(self._header(family.name, family.help, family.kind), family, tuple(lines))]
        if settings.created and family.kind != "gauge":
            header = self._header(f"{base}_created", family.help, "gauge")
            blocks.append(_Block(header, None, tuple(created), settings.started_unix_s))
        return blocks

    def _rejections_block(self, settings: PageSettings) -> _Block:
        """The one engine metric without an `engine` label: the queue limits behind it are off."""
        name = "vllm:admission_rejections_total"
        starts = [
            f"{name}{_labels({'model_name': settings.model_name, 'reason': reason})} "
            for reason in ("max_num_queued_reqs", "max_num_queued_tokens")
        ]
        header = self._header(name, "Admissions refused by a queue limit.", "counter")
        return _Block(header, None, (tuple((name, start) for start in starts),), 0.0)

    def _config_block(self, settings: PageSettings) -> _Block:
        name = "vllm:cache_config_info"
        lines = []
        for engine, server in enumerate(self._servers):
            limits = server.settings
            tokens = limits.kv_blocks * limits.block_size
            labels = {
                "block_size": str(limits.block_size),
                "cache_dtype": settings.cache_dtype,
                "enable_prefix_caching": str(limits.prefix_caching),
                "engine": str(engine),
                "gpu_memory_utilization": str(settings.gpu_memory_utilization),
                "kv_cache_max_concurrency": str(tokens / limits.max_model_len),
                "kv_cache_memory_bytes": "None",
                "kv_cache_size_tokens": str(tokens),
                "num_gpu_blocks": str(limits.kv_blocks),
                "num_gpu_blocks_override": "None",
                "prefix_caching_hash_algo": "sha256",
                "sliding_window": "None",
                "user_specified_block_size": "False",
            }
            lines.append(((name, f"{name}{_labels(labels)} "),))
        return _Block(self._header(name, "Information of the LLMEngine CacheConfig", "gauge"), None, tuple(lines), 1.0)

    def render(self, names: Set[str] | None = None) -> str:
        """The page as text; with `names`, only the samples of these names, as prometheus_client's `name[]` does."""
        parts = []
        for block in self._blocks:
            body = []
            for server, lines in zip(self._servers, block.lines, strict=False):
                values = self._values(block, server, len(lines))
                body += [
                    f"{start}{go_number(value)}\n"
                    for (name, start), value in zip(lines, values, strict=True)
                    if names is None or name in names
                ]
            if body:
                parts.append(block.header)
                parts += body
        return "".join(parts)

    @staticmethod
    def _values(block: _Block, server: SimulatedServer, count: int) -> Sequence[float]:
        if block.family is None:
            assert block.fixed is not None
            return (block.fixed,) * count
        if block.family.histogram is not None:
            histogram = block.family.histogram(server)
            cumulative = histogram.cumulative()
            return (*cumulative, cumulative[-1], histogram.sum)
        assert block.family.values is not None
        return block.family.values(server)


def render(server: SimulatedServer, settings: PageSettings) -> str:
    """One server's page. Where a page is rendered often, keep a `VllmPage`."""
    return VllmPage([server], settings).render()
