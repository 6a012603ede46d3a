"""Inference servers simulated event by event: the truth that estimators are measured against, and what `demo` shows.

Virtual time runs in seconds from the start of the simulated server; nothing here reads a clock but `web`, which is
given one. The way through: `scenarios` (or `costs` + `traffic`) -> `server.SimulatedServer.advance(until_s)` ->
`vllm_page.render(...)`, `gpus.SimulatedGpus.read(...)` and `SimulatedServer.truth()`.
"""
