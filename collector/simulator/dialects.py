"""The engines as which a simulated server can answer, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collector.simulator import llamacpp_page, sglang_page, tgi_page, trtllm_page, vllm_site
from collector.simulator.server import SimulatedServer
from collector.simulator.site import Facts, Site


@dataclass(frozen=True, slots=True)
class Dialect:
    """One engine's way of answering. `site` must be made before the server is advanced: its counters start there.

    `engine` is the name of the file in collector/servers that reads it. `mixed_steps`: prompt chunks and decoding
    sequences share steps, as its scheduler does; a server with other settings is not this engine.
    """

    engine: str
    site: Callable[[SimulatedServer, Facts], Site]
    mixed_steps: bool = True


VLLM = "vllm"
DIALECTS: Mapping[str, Dialect] = {
    VLLM: Dialect("vllm", vllm_site.site),
    "sglang": Dialect("sglang", sglang_page.site, mixed_steps=False),
    "sglang-no-timer": Dialect("sglang", sglang_page.site_without_timer, mixed_steps=False),
    "tgi": Dialect("tgi", tgi_page.site),
    "trtllm": Dialect("trtllm", trtllm_page.site),
    "llamacpp": Dialect("llamacpp", llamacpp_page.site),
}
