"""What is wanted of every server: facts about what it serves, and figures for phase mix, batch and load."""

from __future__ import annotations

PARALLEL = frozenset({"tensor_parallel", "pipeline_parallel", "expert_parallel"})
FACTS = PARALLEL | {"model_path", "dtype", "quantization", "kv_dtype", "weight_bytes", "max_context_tokens"}
"""Fields of `analyzer.samples.Identity`."""
FIGURES = (
    *("generation_tokens_total", "prefill_tokens_total", "steps_total", "decode_sequence_steps_total"),
    *("prefill_s_total", "decode_s_total", "running_requests", "kv_usage_ratio"),
)
"""Fields of `analyzer.samples.ReplicaSample`: an engine that cannot give one says so in its notes."""
