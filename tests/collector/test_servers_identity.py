"""Who a server is: what each engine's endpoints tell, what nothing of it tells, and names that state a quantization."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from collector.cli.facts import never_told, untold
from collector.cli.inspect import check_config, servers
from collector.scrape.bare import BareEngine
from collector.scrape.facts import FACTS, FIGURES
from collector.scrape.identity import told
from collector.servers import all_engines, engine_specs
from collector.settings.deployments import DeploymentConfig
from collector.settings.load import parse_settings

ENGINES = all_engines()
NAMING = {name: spec for name, spec in engine_specs().items() if "quantization" not in spec.not_told}


def models(name: str) -> dict[str, Any]:
    return {"data": [{"id": name, "root": name, "max_model_len": 8192}]}


def answers(engine: str, name: str) -> list[Mapping[str, Any]]:
    """What the engine's endpoints and info series say of a model of this name, each with all it ever tells."""
    spec = ENGINES[engine]
    if isinstance(spec, BareEngine):
        loaded = [{"name": name, "context_length": 8192, "details": {"quantization_level": level}} for level in _TYPES]
        return [spec.read({"models": [one]}) or {} for one in loaded]
    server_info = {
        "model_path": name,
        "dtype": "bfloat16",
        "kv_cache_dtype": "fp8_e5m2",
        "tp_size": 2,
        "pp_size": 1,
        "ep_size": 1,
        "context_length": 8192,
    }
    llama = [
        {"model_path": name, "default_generation_settings": {"n_ctx": 8192}, "model_ftype": ftype} for ftype in _TYPES
    ]
    meta = {"data": [{"id": name, "meta": {"size": 5_000_000_000, "n_params": 8_000_000_000}}]}
    bodies = [server_info, {"model_id": name, "max_total_tokens": 8192, "version": "3.3.0"}, *llama, meta, models(name)]
    labels = {
        "model": name,
        "dtype": "bfloat16",
        "cache_dtype": "fp8",
        "tensor_parallel_size": "2",
        "pipeline_parallel_size": "1",
        "expert_parallel_size": "1",
        "model_name": name,
        "ReplicaId": "r",
    }
    given = [probe.read(body) for probe in spec.identity for body in bodies]
    return [told(one) for one in (*given, *(info.read(labels) for info in spec.info))]


_TYPES = ("Q4_K_M", "F16", None)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_fact_is_either_told_by_the_engine_or_declared_as_never_told(engine: str) -> None:
    tells = {name for one in answers(engine, "org/M-FP8") for name, value in one.items() if value is not None}
    never = ENGINES[engine].not_told
    assert tells & FACTS | never == FACTS
    assert not tells & never


@pytest.mark.parametrize("engine", sorted(NAMING))
@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        *(("org/Llama-3.1-8B-Instruct-FP8", "fp8-w8a8"), ("org/Qwen2.5-7B-Instruct-AWQ", "w4a16")),
        *(("org/Qwen2.5-7B-Instruct-GPTQ-Int4", "w4a16"), ("org/Meta-Llama-3.1-8B-quantized.w8a8", "int8-w8a8")),
        *(("models/Llama-3.2-3B-Instruct-Q4_K_M.gguf", "Q4_K_M"), ("org/Llama-3.1-8B-Instruct", None)),
    ],
)
def test_an_already_quantized_model_is_recognised_by_its_name(engine: str, name: str, scheme: str | None) -> None:
    """llama.cpp's files state their type; of a build that does not tell it, the file's name is all there is."""
    if engine == "llamacpp":
        found = [told(NAMING[engine].identity[0].read({"model_path": name}))]
    else:
        found = [*answers(engine, name)]
    assert {one["quantization"] for one in found if "quantization" in one} == ({scheme} if scheme else set())


DEPLOYMENT = "{name: d, match: {job: 'j*'}, model: meta-llama/Llama-3.1-8B-Instruct, weight_bits: 16"


def config(engine: str, deployment: str = "") -> str:
    job = f"{{job_name: j1, engine: {engine}, static_configs: [{{targets: ['h:1']}}]}}"
    return f"scrape_configs: [{job}]\n" + (f"deployments: [{deployment}]\n" if deployment else "")


def checked(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    done = CliRunner().invoke(check_config, [str(file)])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()[1:]


def test_check_config_says_what_a_stated_engine_never_tells_and_no_deployment_states(tmp_path: Path) -> None:
    precision = "the precision of its weights (16 bits are assumed), unless its name states it"
    gpus = "on how many GPUs a replica runs (those joined to it are taken, else one)"
    assert checked(tmp_path, config("tgi")) == [
        f"note: job j1: text-generation-inference does not tell {precision}; set deployments[].weight_bits",
        f"note: job j1: text-generation-inference does not tell {gpus}; set deployments[].gpus_per_replica",
    ]
    assert checked(tmp_path, config("tgi", DEPLOYMENT + "}")) == [
        f"note: job j1: text-generation-inference does not tell {gpus}; set deployments[].gpus_per_replica"
    ]
    assert checked(tmp_path, config("tgi", DEPLOYMENT + ", gpus_per_replica: 1}")) == []
    assert checked(tmp_path, config("sglang")) == []
    assert checked(tmp_path, config("auto")) == []
    assert len(checked(tmp_path, config("mii"))) == 3


def deployment(text: str) -> DeploymentConfig:
    return parse_settings(f"deployments: [{text}]", "c.yaml").deployments[0]


def test_what_a_live_server_told_or_a_deployment_states_is_not_asked_for() -> None:
    def keys(identity: dict[str, Any], *stated: DeploymentConfig) -> list[str]:
        return [remedy.rpartition(".")[2] for _, remedy in untold(identity, stated)]

    assert keys({}) == ["model", "weight_bits", "gpus_per_replica"]
    assert (
        keys({"model_path": "meta-llama/Llama-3.1-8B-Instruct", "quantization": "fp8-w8a8", "tensor_parallel": 1}) == []
    )
    assert keys({"model_path": "org/our-own", "dtype": "bfloat16", "tensor_parallel": 1}) == ["model"]
    assert keys({}, deployment(DEPLOYMENT + "}")) == ["gpus_per_replica"]


def test_an_engine_that_tells_everything_needed_leaves_nothing_open() -> None:
    assert [name for name, spec in ENGINES.items() if not list(never_told(spec))] == ["sglang", "trtllm"]


@pytest.mark.parametrize("engine", engine_specs())
def test_a_wanted_figure_that_an_engine_cannot_give_has_its_reason_and_is_listed(engine: str) -> None:
    spec = engine_specs()[engine]
    lacking = [name for name in FIGURES if name not in spec.provides]
    assert [name for name in lacking if name not in spec.notes] == []
    shown = CliRunner().invoke(servers, [engine], env={"COLUMNS": "300"}).output
    for name in lacking:
        assert re.search(rf"{name} +not given +{re.escape(spec.notes[name][:40])}", shown)
