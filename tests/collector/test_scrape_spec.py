"""A specification that cannot be right is refused when it is made; a page is read exactly as the right one says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.samples import ReplicaKey, ReplicaSample
from collector.errors import Kind, SourceError
from collector.scrape.floors import Floors
from collector.scrape.limits import Limits
from collector.scrape.page import PageParser
from collector.scrape.places import declared_type
from collector.scrape.reading import PageReading, ReplicaReading, fell, read
from collector.scrape.spec import Context, Derived, EngineSpec, IdentityProbe, InfoSeries, Reading

SPEC = EngineSpec(
    name="toy",
    title="Toy",
    tested_with=("1",),
    signatures=("toy_running",),
    evidence=("modelled: nothing",),
    model_label="model",
    rank_label="rank",
    readings={
        "prompt_tokens_total": Reading(("toy_prompt_total", "old_prompt_total"), "counter"),
        "generation_tokens_total": Reading(("toy_tokens_total",), "counter", {"phase": "decode"}),
        "ttft_s_total": Reading(("toy_ttft_ms_sum",), "counter", scale=0.001),
        "running_requests": Reading(("toy_running",), "gauge"),
        "kv_usage_ratio": Reading(("toy_kv",), "gauge", aggregate="single", scale=0.01),
    },
    process_start_series="toy_start",
    notes={"kv_usage_ratio": "switch on --kv"},
)


def reading_of(text: str, spec: EngineSpec = SPEC, headers: Mapping[str, str] | None = None) -> PageReading:
    page = PageParser(spec.wanted, Limits()).parse(text.encode())
    return read(spec, page, headers or {})


def only(text: str, spec: EngineSpec = SPEC) -> dict[str, float | None]:
    """The fields of the one replica on a page that are not None."""
    (replica,) = reading_of(text, spec).replicas
    return {name: value for name, value in replica.fields.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": "Toy"}, "lower-case"),
        ({"name": ""}, "lower-case"),
        ({"signatures": ()}, "signatures"),
        ({"tested_with": ()}, "tested_with"),
        ({"evidence": ()}, "evidence"),
        ({"readings": {"prompt_tokens": Reading(("x",), "counter")}}, "reading: prompt_tokens"),
        ({"readings": {"at_s": Reading(("x",), "counter")}}, "reading: at_s"),
        ({"readings": {"running_requests": Reading(("x",), "counter")}}, "wrong kind: running_requests"),
        ({"readings": {"steps_total": Reading(("x",), "gauge")}}, "wrong kind: steps_total"),
        ({"derives": ("steps",), "derive": lambda *_: Derived({})}, "derived field: steps"),
        ({"derives": ("steps_total",)}, "belong together"),
        ({"derive": lambda *_: Derived({})}, "belong together"),
        ({"monotone": frozenset({"steps_total"})}, "monotone field: steps_total"),
        ({"notes": {"kv_usage": "x"}}, "note: kv_usage"),
        ({"inputs": {"steps_total": Reading(("x",), "counter")}}, "input named like a field: steps_total"),
    ],
)
def test_an_impossible_specification_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(SPEC, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "arguments",
    [
        {"names": ()},
        {"names": ("a b",)},
        {"names": ("",)},
        {"kind": "histogram"},
        {"aggregate": "mean"},
        {"scale": 0.0},
        {"scale": float("nan")},
    ],
)
def test_an_impossible_reading_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Reading(**{"names": ("a",), "kind": "counter", **arguments})  # type: ignore[arg-type]


def test_an_identity_endpoint_without_a_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="slash"):
        IdentityProbe("v1/models", dict)


def test_wanted_names_and_provided_fields_follow_from_the_specification() -> None:
    assert SPEC.wanted == {
        *("toy_prompt_total", "old_prompt_total", "toy_tokens_total", "toy_ttft_ms_sum"),
        *("toy_running", "toy_kv", "toy_start"),
    }
    assert SPEC.provides == (
        *("prompt_tokens_total", "generation_tokens_total", "ttft_s_total", "running_requests", "kv_usage_ratio"),
    )


def test_a_figure_is_scaled_selected_and_summed_over_other_labels() -> None:
    text = (
        'toy_tokens_total{model="m",phase="decode",reason="a"} 3\n'
        'toy_tokens_total{model="m",phase="decode",reason="b"} 4\n'
        'toy_tokens_total{model="m",phase="prefill"} 100\n'
        'toy_ttft_ms_sum{model="m"} 1500\n'
        'toy_kv{model="m"} 25\n'
    )
    assert only(text) == {"generation_tokens_total": 7.0, "ttft_s_total": 1.5, "kv_usage_ratio": 0.25}


def test_the_newest_name_is_read_and_the_older_one_not_added() -> None:
    assert only("toy_prompt_total 5\nold_prompt_total 7\n") == {"prompt_tokens_total": 5.0}
    assert only("old_prompt_total 7\n") == {"prompt_tokens_total": 7.0}


def test_models_and_ranks_are_kept_apart() -> None:
    text = "".join(
        f'toy_running{{model="{model}",rank="{rank}"}} {number}\n'
        for number, (model, rank) in enumerate([("b", "0"), ("a", "1"), ("a", "0")])
    )
    replicas = [(one.model, one.rank, one.fields["running_requests"]) for one in reading_of(text).replicas]
    assert replicas == [("a", "0", 2.0), ("a", "1", 1.0), ("b", "0", 0.0)]


def test_absent_is_none_and_zero_is_zero() -> None:
    reading = reading_of("toy_running 0\n")
    assert reading.replicas[0].fields["running_requests"] == 0.0
    assert reading.replicas[0].fields["kv_usage_ratio"] is None
    assert reading.missing == ("prompt_tokens_total", "generation_tokens_total", "ttft_s_total", "kv_usage_ratio")
    assert reading.notes == {"kv_usage_ratio": "switch on --kv"}


def test_a_field_is_missing_only_when_no_replica_has_it() -> None:
    text = 'toy_running{model="a"} 1\ntoy_kv{model="a"} 1\ntoy_running{model="b"} 1\n'
    assert "kv_usage_ratio" not in reading_of(text).missing


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-Inf"])
def test_what_is_no_finite_number_is_absent(value: str) -> None:
    assert only(f"toy_running 1\ntoy_prompt_total {value}\n") == {"running_requests": 1.0}


def test_two_series_where_one_is_expected_fail_the_page() -> None:
    with pytest.raises(SourceError, match="more than one series toy_kv") as raised:
        reading_of('toy_kv{gpu="0"} 1\ntoy_kv{gpu="1"} 2\n')
    assert raised.value.kind is Kind.BAD_PAGE


@pytest.mark.parametrize(
    ("declared", "name", "fits"),
    [
        ("# TYPE toy_prompt_total counter", "toy_prompt_total 1", True),
        ("# TYPE toy_prompt counter", "toy_prompt_total 1", True),  # as OpenMetrics declares it
        ("# TYPE toy_prompt_total untyped", "toy_prompt_total 1", True),
        ("# TYPE toy_prompt unknown", "toy_prompt_total 1", True),
        ("", "toy_prompt_total 1", True),
        ("# TYPE toy_prompt_total gauge", "toy_prompt_total 1", False),
        ("# TYPE toy_prompt gauge", "toy_prompt_total 1", False),
        ("# TYPE toy_prompt_total histogram", "toy_prompt_total 1", False),
        ("# TYPE toy_ttft_ms histogram", "toy_ttft_ms_sum 1", True),
        ("# TYPE toy_ttft_ms summary", "toy_ttft_ms_sum 1", True),
        ("# TYPE toy_ttft_ms_sum gauge", "toy_ttft_ms_sum 1", False),
        ("# TYPE toy_running counter", "toy_running 1", False),
    ],
)
def test_a_series_of_another_kind_fails_the_page(declared: str, name: str, fits: bool) -> None:
    text = f"{declared}\n{name}\n"
    if fits:
        assert len(only(text)) == 1
    else:
        with pytest.raises(SourceError, match=name.split()[0]) as raised:
            reading_of(text)
        assert raised.value.kind is Kind.BAD_PAGE


def test_a_type_an_engine_is_known_to_mislabel_is_accepted_when_stated() -> None:
    lenient = Reading(("toy_running",), "gauge", accept_types=("counter",))
    spec = replace(SPEC, readings={"running_requests": lenient})
    assert only("# TYPE toy_running counter\ntoy_running 2\n", spec) == {"running_requests": 2.0}


def test_a_buckets_declared_type_is_its_histograms() -> None:
    assert declared_type({"a": "histogram"}, "a_bucket") == "counter"
    assert declared_type({"a": "summary"}, "a_bucket") is None
    assert declared_type({"a": "gauge"}, "a_count") is None


def test_what_is_derived_replaces_adds_and_takes_back() -> None:
    def derive(values: Mapping[str, float | None], context: Context) -> Derived:
        hidden, prompt = values["hidden"], values["prompt_tokens_total"]
        assert hidden is not None
        assert prompt is not None
        assert context.identity == {}
        return Derived({"steps_total": hidden + prompt, "running_requests": None}, {"running_requests": "a lie"})

    spec = replace(
        SPEC,
        inputs={"hidden": Reading(("toy_hidden",), "gauge")},
        derives=("steps_total", "running_requests"),
        derive=derive,
    )
    text = "toy_running 9\ntoy_prompt_total 1\ntoy_hidden 2\n"
    assert only(text, spec) == {"prompt_tokens_total": 1.0, "steps_total": 3.0}
    reading = reading_of(text, spec)
    assert reading.notes["running_requests"] == "a lie"
    assert "hidden" not in reading.replicas[0].fields


def test_info_series_tell_the_identity_of_their_rank_or_of_all() -> None:
    info = InfoSeries("toy_info", lambda labels: {"dtype": labels.get("dtype")})
    spec = replace(SPEC, info=(info,))
    text = 'toy_running{rank="0"} 1\ntoy_running{rank="1"} 1\ntoy_info{rank="1",dtype="fp8"} 1\n'
    assert [one.identity for one in reading_of(text, spec).replicas] == [{}, {"dtype": "fp8"}]


def test_the_process_is_told_by_its_series_or_by_a_header() -> None:
    assert reading_of("toy_running 1\ntoy_start 1.5e9\n").process_start == "1500000000.0"
    assert reading_of("toy_running 1\n").process_start is None
    spec = replace(SPEC, process_start_series=None, process_start_header="X-Start")
    assert reading_of("toy_running 1\n", spec, {"x-start": "77"}).process_start == "77"
    assert reading_of("toy_running 1\n", spec).process_start is None


def test_a_reading_makes_a_sample() -> None:
    (replica,) = reading_of("toy_running 1\n").replicas
    sample = ReplicaSample(ReplicaKey("http://x", replica.model, replica.rank), 1, 0.0, 15.0, **replica.fields)
    assert sample.running_requests == 1.0


def readings(values: list[float | None], start: str | None = "1", base: float = 0.0) -> list[PageReading]:
    return [
        PageReading(
            (ReplicaReading("m", "0", {"prefill_tokens_total": value, "steps_total": base + number}, {}),),
            start,
            (),
            {},
        )
        for number, value in enumerate(values)
    ]


def held(floors: Floors, given: list[PageReading]) -> list[float | None]:
    return [floors.apply(one).replicas[0].fields["prefill_tokens_total"] for one in given]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1e6)), max_size=20), st.sampled_from([None, "1"]))
def test_a_held_counter_never_falls_between_two_polls_and_is_never_below_what_was_read(
    values: list[float | None], start: str | None
) -> None:
    out = held(Floors(frozenset({"prefill_tokens_total"})), readings(values, start))
    for before, after, read_value in zip(out, out[1:], values[1:], strict=False):
        if before is not None and after is not None:
            assert after >= before
        assert (after is None) == (read_value is None)
        assert read_value is None or (after is not None and after >= read_value)


def test_a_restart_drops_what_was_held_with_a_token_or_without() -> None:
    floors = Floors(frozenset({"prefill_tokens_total"}))
    assert held(floors, readings([10.0, 8.0])) == [10.0, 10.0]
    assert held(floors, readings([2.0], start="2")) == [2.0]
    floors = Floors(frozenset({"prefill_tokens_total"}))
    assert held(floors, readings([10.0, 8.0], None, base=100.0)) == [10.0, 10.0]
    assert held(floors, readings([2.0], None)) == [2.0]  # steps fell from 101 to 0


def test_nothing_is_held_for_an_engine_that_needs_it_not() -> None:
    one = readings([1.0])[0]
    assert Floors(frozenset()).apply(one) is one


def test_a_fall_is_told_from_counters_only() -> None:
    assert fell({"steps_total": 2.0}, {"steps_total": 1.0})
    assert not fell({"steps_total": 2.0}, {"steps_total": 1.0}, {"steps_total"})
    assert not fell({"running_requests": 2.0}, {"running_requests": 1.0})
    assert not fell({"steps_total": None}, {"steps_total": 1.0})
    assert not fell({"steps_total": 2.0}, {"steps_total": None})
