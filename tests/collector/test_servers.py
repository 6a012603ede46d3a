"""The engines are found by listing their folder, told from a page's names, and their arithmetic is honest."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from collector import servers
from collector.errors import Kind, SourceError
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.reading import read
from collector.scrape.spec import Context, Derived
from collector.scrape.steps import READABLE, STEP_INPUTS
from collector.servers import all_engines, bare_engines, detect, engine_specs
from collector.servers.llamacpp import ENGINE as LLAMACPP
from collector.servers.vllm import ENGINE as VLLM

START = "process_start_time_seconds"
NEW_BUILD = "llamacpp:prompt_tokens_cached_total"


def test_the_folder_is_the_list_of_engines() -> None:
    files = {path.stem for path in Path(servers.__file__).parent.glob("*.py")} - {"__init__"}
    assert list(all_engines()) == sorted(files)
    assert set(engine_specs()) | set(bare_engines()) == files
    assert not set(engine_specs()) & set(bare_engines())


@pytest.mark.parametrize(
    "source", ["", "ENGINE = None", "from collector.servers.vllm import ENGINE", "raise ImportError('torn')"]
)
def test_a_broken_engine_file_is_an_error_and_no_absence(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text(source)
    monkeypatch.setattr(servers, "__path__", [*servers.__path__, str(tmp_path)])
    with pytest.raises(ImportError, match=r"torn|broken\.py must define"):
        engine_specs()
    sys.modules.pop("collector.servers.broken", None)
    if hasattr(servers, "broken"):
        del servers.broken


def failure(names: set[str], engine: str | None = None) -> tuple[Kind, str]:
    with pytest.raises(SourceError) as raised:
        detect(names, engine)
    return raised.value.kind, str(raised.value)


def test_an_engine_is_told_by_its_signature() -> None:
    assert detect({"vllm:num_requests_running", "x"}) is VLLM
    assert detect({"llamacpp:prompt_tokens_total"}) is LLAMACPP
    assert detect({"llamacpp:prompt_tokens_total"}, "llamacpp") is LLAMACPP


def test_a_page_of_no_known_engine_names_the_known_ones_and_what_it_holds() -> None:
    kind, text = failure({"go_goroutines", "up"})
    assert kind is Kind.UNKNOWN_ENGINE
    assert text == (
        f"no known engine's page (it has 2 names such as go_goroutines, up); known engines: {', '.join(engine_specs())}"
    )
    assert "it has no series" in failure(set())[1]


def test_a_page_of_two_engines_is_not_guessed() -> None:
    kind, text = failure({"vllm:num_requests_running", "llamacpp:prompt_tokens_total"})
    assert (kind, text) == (Kind.UNKNOWN_ENGINE, "the page looks like llama.cpp and vLLM: state the engine")


def test_a_stated_engine_that_does_not_exist_names_the_known_ones() -> None:
    kind, text = failure({"vllm:num_requests_running"}, "vlm")
    assert kind is Kind.UNKNOWN_ENGINE
    assert text.startswith("there is no engine 'vlm'; known engines: ")


def test_a_stated_engine_whose_signature_is_absent_says_what_the_page_looks_like() -> None:
    assert failure({"vllm:num_requests_running"}, "llamacpp") == (
        Kind.WRONG_ENGINE,
        "not a page of llama.cpp, as stated: it looks like vLLM (engine: vllm)",
    )
    assert failure({"up"}, "vllm") == (
        Kind.WRONG_ENGINE,
        "not a page of vLLM, as stated: it has 1 names such as up",
    )


def vllm(values: dict[str, float], names: frozenset[str] = frozenset({START}), openmetrics: bool = False) -> Derived:
    """What is derived where no step is told one by one; what only such steps tell is then absent, and left out here."""
    assert VLLM.derive is not None
    given = dict.fromkeys((*VLLM.provides, *VLLM.inputs, *STEP_INPUTS, READABLE))
    derived = VLLM.derive({**given, **values}, Context(names, openmetrics, {}))
    told = {"prefill_s_total", "prefill_marginal_s_total", "decode_s_total"}
    assert {derived.fields[name] for name in told} == {None}
    return replace(derived, fields={name: value for name, value in derived.fields.items() if name not in told})


def test_vllm_counts_computed_prompt_tokens_as_prompts_less_cache_hits_where_it_does_not_say() -> None:
    got = vllm({"prompt_tokens_total": 100, "prefix_cache_hits": 30, "external_prefix_cache_hits": 5})
    assert got.fields == {"cached_tokens_total": 35, "prefill_tokens_total": 65}  # 100 - (30 + 5)
    assert vllm({"prompt_tokens_total": 100, "prefix_cache_hits": 130}).fields["prefill_tokens_total"] == 0


def test_vllm_is_believed_where_it_says() -> None:
    told = {"prefill_tokens_total": 60.0, "cached_tokens_total": 40.0}
    assert vllm({**told, "prompt_tokens_total": 100, "prefix_cache_hits": 1}).fields == {}


@pytest.mark.parametrize(("hit_rate", "computed"), [(None, 100), (-1, 100), (0, 100), (0.2, None)])
def test_vllm_v0_computes_every_prompt_token_unless_its_cache_hits(
    hit_rate: float | None, computed: float | None
) -> None:
    values: dict[str, float] = {"prompt_tokens_total": 100}
    if hit_rate is not None:
        values["prefix_cache_hit_rate"] = hit_rate
    got = vllm(values)
    assert got.fields.get("prefill_tokens_total") == computed
    assert ("prefill_tokens_total" in got.notes) == (computed is None)


def test_vllm_with_several_api_servers_has_no_trustworthy_steps() -> None:
    several = vllm({"steps_total": 400}, frozenset())
    assert several.fields["steps_total"] is None
    assert several.fields["step_tokens_total"] is None
    assert "--api-server-count 1" in several.notes["steps_total"]
    assert "steps_total" not in vllm({"steps_total": 400}).fields
    assert "steps_total" not in vllm({"steps_total": 400}, frozenset(), openmetrics=True).fields  # the Rust front end


def models(*entries: dict[str, object]) -> dict[str, object]:
    return VLLM.identity[0].read({"object": "list", "data": list(entries)})  # type: ignore[return-value]


def test_vllm_tells_model_path_context_and_what_the_name_says_of_quantization() -> None:
    entry = {"id": "llama", "root": "RedHatAI/Llama-3.1-8B-Instruct-FP8", "parent": None, "max_model_len": 8192}
    told = {
        "model_path": "RedHatAI/Llama-3.1-8B-Instruct-FP8",
        "max_context_tokens": 8192,
        "quantization": "fp8-w8a8",
    }
    assert models(entry) == told
    adapter = {"id": "sql", "root": "/loras/sql", "parent": "llama"}
    assert models(entry, {**entry, "id": "alias"}, adapter) == told
    assert models({**entry, "root": "/models/base", "id": "my-model-AWQ"})["quantization"] == "w4a16"


def test_vllm_behind_a_router_of_several_models_tells_none() -> None:
    assert models({"id": "a", "root": "a"}, {"id": "b", "root": "b"}) == {}
    assert models() == {}


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"cache_dtype": "auto", "num_gpu_blocks": "10", "block_size": "16"}, {"kv_capacity_tokens": 160}),
        ({"cache_dtype": "fp8", "num_gpu_blocks": "None"}, {"kv_dtype": "fp8"}),
        ({"kv_cache_size_tokens": "500", "num_gpu_blocks": "10", "block_size": "16"}, {"kv_capacity_tokens": 500}),
        ({"num_gpu_blocks": "0", "block_size": "16"}, {}),
        ({}, {}),
    ],
)
def test_vllm_tells_the_kv_cache_from_its_info_series(labels: dict[str, str], told: dict[str, object]) -> None:
    assert VLLM.info[0].read(labels) == told


def llama(values: dict[str, float], slots: int | None, new: bool = True) -> Derived:
    assert LLAMACPP.derive is not None
    given = dict.fromkeys((*LLAMACPP.provides, *LLAMACPP.inputs, "tokens_under_way"))
    identity = {} if slots is None else {"slots": slots}
    return LLAMACPP.derive({**given, **values}, Context(frozenset({NEW_BUILD} if new else ()), False, identity))


@pytest.mark.parametrize(
    ("slots", "new", "prefill_s", "decode_s"),
    [
        (1, True, 3.0, 5.0),
        (1, False, 3.0, 5.0),
        (8, True, 3.0, None),
        (8, False, None, None),
        (None, True, None, None),
        (None, False, None, None),
    ],
)
def test_llamacpp_times_are_given_only_where_they_are_wall_time(
    slots: int | None, new: bool, prefill_s: float | None, decode_s: float | None
) -> None:
    got = llama({"prompt_s": 3.0, "predicted_s": 5.0}, slots, new)
    assert got.fields.get("prefill_s_total") == prefill_s
    assert got.fields.get("decode_s_total") == decode_s
    assert ("prefill_s_total" in got.notes) == (prefill_s is None)
    assert ("decode_s_total" in got.notes) == (decode_s is None)


@pytest.mark.parametrize(
    ("decodes", "mean", "slot_steps"),
    [
        (0, 0, 0.0),
        (835, 4.21677, 3521.0),
        (9_999_990, 1.0, 9_999_990.0),
        (10_000_000, 1.0, None),
    ],  # 835 x 4.21677 = 3521.003
)
def test_llamacpp_slot_steps_are_given_while_its_digits_last(
    decodes: float, mean: float, slot_steps: float | None
) -> None:
    got = llama({"steps_total": decodes, "mean_busy_slots": mean}, 8)
    assert got.fields.get("decode_sequence_steps_total") == slot_steps
    assert ("decode_sequence_steps_total" in got.notes) == (slot_steps is None)


def test_llamacpp_counts_all_prompt_tokens_only_where_it_counts_cached_ones() -> None:
    assert llama({"prefill_tokens_total": 10, "cached_tokens_total": 4}, 1).fields["prompt_tokens_total"] == 14
    assert "prompt_tokens_total" not in llama({"prefill_tokens_total": 10}, 1, new=False).fields


def test_llamacpp_never_reads_its_two_throughput_gauges() -> None:
    """They are averages since the last scrape by anybody."""
    assert not {"llamacpp:prompt_tokens_seconds", "llamacpp:predicted_tokens_seconds"} & LLAMACPP.wanted


@pytest.mark.parametrize(
    ("ftype", "told"),
    [
        ("Q4_1", {"quantization": "Q4_1"}),
        ("Q4_K - Medium", {"quantization": "Q4_K_M"}),
        ("Q3_K - Large", {"quantization": "Q3_K_L"}),
        ("Q6_K", {"quantization": "Q6_K"}),
        ("IQ2_XXS - 2.0625 bpw", {"quantization": "IQ2_XXS"}),
        ("(guessed) Q8_0", {"quantization": "Q8_0"}),
        ("mostly Q4_0", {"quantization": "Q4_0"}),
        ("MXFP4 MoE", {"quantization": "MXFP4"}),
        ("all F32", {"dtype": "float32"}),
        ("F16", {"dtype": "float16"}),
        ("BF16", {"dtype": "bfloat16"}),
        ("unknown, may not work", {}),
    ],
)
def test_llamacpp_file_types_are_told_in_gguf_words(ftype: str, told: dict[str, str]) -> None:
    got = LLAMACPP.identity[0].read({"model_ftype": ftype})
    assert {name: value for name, value in got.items() if value is not None} == told


def test_a_type_of_any_length_makes_no_long_error() -> None:
    page = f"# TYPE vllm:generation_tokens_total {'counte' + 'r' * 5000}\nvllm:generation_tokens_total 1\n"
    spec = engine_specs()["vllm"]
    with pytest.raises(SourceError, match=r"is declared a counterr") as raised:
        read(spec, PageParser(spec.wanted, Limits()).parse(page.encode()), {})
    assert len(str(raised.value)) < 200
