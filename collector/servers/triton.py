"""Triton Inference Server with the TensorRT-LLM or the vLLM backend; its own nv_inference_* say nothing of batches."""

from __future__ import annotations

from collections.abc import Mapping

from collector.scrape.facts import FACTS
from collector.scrape.spec import Context, Derived, EngineSpec, Reading
from collector.scrape.vllm_series import vllm_histograms, vllm_readings

_REQUESTS = "nv_trt_llm_request_metrics"
_BLOCKS = "nv_trt_llm_kv_cache_block_metrics"
_PREFIX = {
    "vllm:": {
        *("prompt_tokens_total", "generation_tokens_total", "e2e_request_latency_seconds_count"),
        *("time_to_first_token_seconds_count", "time_to_first_token_seconds_sum"),
        *("time_per_output_token_seconds_count", "time_per_output_token_seconds_sum"),
        *("request_prompt_tokens_sum", "request_generation_tokens_sum"),
    }
}
_VLLM = vllm_readings(_PREFIX)
_LENGTHS = {
    "prompt_tokens_total": "nv_llm_input_token_len_sum",
    "generation_tokens_total": "nv_llm_output_token_len_sum",
    "finished_prompt_tokens_total": "nv_llm_input_token_len_sum",
    "finished_generation_tokens_total": "nv_llm_output_token_len_sum",
    "requests_finished_total": "nv_llm_output_token_len_count",
}
"""The TensorRT-LLM backend's only token counts: of whole responses."""
_TRT_ONLY = "only the TensorRT-LLM backend reports it"
_VLLM_ONLY = "only the vLLM backend reports it, and only with REPORT_CUSTOM_METRICS in the model's configuration"
_NO_TOKENS = (
    "neither backend's series is on the page: nv_inference_* count a request as one inference for all its life and "
    "say nothing of tokens or batches; for vLLM set REPORT_CUSTOM_METRICS in the model's configuration"
)

_NO_TIMES = "neither backend times its phases; trtllm-serve and vLLM by themselves can"


def _gauge(name: str, **labels: str) -> Reading:
    return Reading(names=(name,), kind="gauge", labels=labels)


def _derive(values: Mapping[str, float | None], context: Context) -> Derived:
    """The KV cache's share in use: used blocks over all blocks."""
    used, blocks = values["used_blocks"], values["max_blocks"]
    if used is None or blocks is None or blocks <= 0:
        return Derived({})
    return Derived({"kv_usage_ratio": used / blocks})


ENGINE = EngineSpec(
    name="triton",
    title="Triton Inference Server",
    tested_with=("25.12",),
    signatures=("nv_inference_request_success", "nv_trt_llm_request_metrics"),
    hosts=frozenset({"vllm"}),
    model_label="model",
    rank_label="version",  # two versions of a model are two instances with a batch each
    readings={
        **_VLLM,
        **{field: Reading(names=(*_VLLM[field].names, name), kind="counter") for field, name in _LENGTHS.items()},
        "steps_total": Reading(
            names=("nv_trt_llm_general_metrics",),
            kind="counter",
            labels={"general_type": "iteration_counter"},
            accept_types=("gauge",),
        ),
        "running_requests": _gauge(_REQUESTS, request_type="scheduled"),
        "waiting_requests": _gauge(_REQUESTS, request_type="waiting"),
    },
    # The TensorRT-LLM backend's lengths have their highest bounds far below a model's context.
    histograms=vllm_histograms(_PREFIX),
    inputs={
        "used_blocks": _gauge(_BLOCKS, kv_cache_block_type="used"),
        "max_blocks": _gauge(_BLOCKS, kv_cache_block_type="max"),
    },
    derives=("kv_usage_ratio",),
    derive=_derive,
    # The vLLM backend's tokens are live, the TensorRT-LLM backend's come when a response is complete.
    at_request_end=frozenset(_LENGTHS),
    usual_ports=(8002,),
    not_told=FACTS,
    evidence=(
        "nothing towards the phase mix: the TensorRT-LLM backend shows its latest iteration, the vLLM backend no steps",
        "nv_inference_* are not read: a request is one inference for all its life, whatever the batch",
    ),
    notes={
        **dict.fromkeys(("prefill_s_total", "decode_s_total"), _NO_TIMES),
        "prefill_tokens_total": "neither backend says which prompt tokens its cache spared",
        "prompt_tokens_total": _NO_TOKENS,
        "generation_tokens_total": _NO_TOKENS,
        "requests_finished_total": _NO_TOKENS,
        "finished_prompt_tokens_total": _NO_TOKENS,
        "finished_generation_tokens_total": _NO_TOKENS,
        "steps_total": _TRT_ONLY,
        "running_requests": _TRT_ONLY,
        "waiting_requests": _TRT_ONLY,
        "kv_usage_ratio": _TRT_ONLY,
        "decode_sequence_steps_total": _VLLM_ONLY,
        "inter_token_s_total": _VLLM_ONLY,
        "prefills_total": _VLLM_ONLY,
        "ttft_s_total": _VLLM_ONLY,
    },
)
