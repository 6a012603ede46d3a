SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.epochs (
    id integer NOT NULL,
    replica_id integer NOT NULL,
    fingerprint text NOT NULL,
    identity text NOT NULL,
    process_start text,
    started_at_us bigint NOT NULL,
    last_hour_ms bigint
);
CREATE SEQUENCE public.epochs_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.epochs_id_seq OWNED BY public.epochs.id;
CREATE TABLE public.gpu_samples (
    tick_ms bigint NOT NULL,
    gpu_id integer NOT NULL,
    offset_us bigint NOT NULL,
    interval_ms bigint NOT NULL,
    energy_mj_total bigint,
    ecc_errors_total double precision,
    utilization_ppm bigint,
    memory_used_bytes bigint,
    memory_total_bytes bigint,
    power_mw bigint,
    sm_clock_hz bigint,
    memory_clock_hz bigint,
    temperature_millicelsius bigint,
    throttled_ppm bigint,
    sm_active_ppm bigint,
    tensor_active_ppm bigint,
    dram_active_ppm bigint,
    sm_occupancy_ppm bigint
)
PARTITION BY RANGE (tick_ms);
CREATE TABLE public.gpu_samples_20261123 (
    tick_ms bigint CONSTRAINT gpu_samples_tick_ms_not_null NOT NULL,
    gpu_id integer CONSTRAINT gpu_samples_gpu_id_not_null NOT NULL,
    offset_us bigint CONSTRAINT gpu_samples_offset_us_not_null NOT NULL,
    interval_ms bigint CONSTRAINT gpu_samples_interval_ms_not_null NOT NULL,
    energy_mj_total bigint,
    ecc_errors_total double precision,
    utilization_ppm bigint,
    memory_used_bytes bigint,
    memory_total_bytes bigint,
    power_mw bigint,
    sm_clock_hz bigint,
    memory_clock_hz bigint,
    temperature_millicelsius bigint,
    throttled_ppm bigint,
    sm_active_ppm bigint,
    tensor_active_ppm bigint,
    dram_active_ppm bigint,
    sm_occupancy_ppm bigint
);
CREATE TABLE public.gpu_samples_20261124 (
    tick_ms bigint CONSTRAINT gpu_samples_tick_ms_not_null NOT NULL,
    gpu_id integer CONSTRAINT gpu_samples_gpu_id_not_null NOT NULL,
    offset_us bigint CONSTRAINT gpu_samples_offset_us_not_null NOT NULL,
    interval_ms bigint CONSTRAINT gpu_samples_interval_ms_not_null NOT NULL,
    energy_mj_total bigint,
    ecc_errors_total double precision,
    utilization_ppm bigint,
    memory_used_bytes bigint,
    memory_total_bytes bigint,
    power_mw bigint,
    sm_clock_hz bigint,
    memory_clock_hz bigint,
    temperature_millicelsius bigint,
    throttled_ppm bigint,
    sm_active_ppm bigint,
    tensor_active_ppm bigint,
    dram_active_ppm bigint,
    sm_occupancy_ppm bigint
);
CREATE TABLE public.gpus (
    id integer NOT NULL,
    uuid text NOT NULL,
    name text
);
CREATE SEQUENCE public.gpus_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.gpus_id_seq OWNED BY public.gpus.id;
CREATE TABLE public.replica_hours (
    bucket_ms bigint NOT NULL,
    epoch_id integer NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint NOT NULL,
    covered_us bigint NOT NULL,
    active_us bigint,
    windows integer NOT NULL,
    refused_gap integer NOT NULL,
    refused_epoch integer NOT NULL,
    refused_anomaly integer NOT NULL,
    refused_clock integer NOT NULL,
    prompt_tokens double precision,
    prefill_tokens double precision,
    cached_tokens double precision,
    generation_tokens double precision,
    steps double precision,
    step_tokens double precision,
    decode_sequence_steps double precision,
    prefills double precision,
    requests_finished double precision,
    preemptions double precision,
    prefill_us bigint,
    prefill_marginal_us bigint,
    decode_us bigint,
    busy_us bigint,
    ttft_ms bigint,
    inter_token_ms bigint,
    request_queue_ms bigint,
    request_prefill_ms bigint,
    request_decode_ms bigint,
    finished_prompt_tokens double precision,
    finished_generation_tokens double precision,
    draft_steps double precision,
    draft_tokens double precision,
    accepted_tokens double precision,
    running_requests_s double precision,
    waiting_requests_s double precision,
    kv_usage_ppm_s bigint,
    step_tokens_histogram bytea,
    prompt_lengths_histogram bytea,
    generation_lengths_histogram bytea,
    pairs integer NOT NULL
);
CREATE TABLE public.replica_samples (
    tick_ms bigint NOT NULL,
    epoch_id integer NOT NULL,
    offset_us bigint NOT NULL,
    interval_ms bigint NOT NULL,
    prompt_tokens_total double precision,
    prefill_tokens_total double precision,
    cached_tokens_total double precision,
    generation_tokens_total double precision,
    steps_total double precision,
    step_tokens_total double precision,
    decode_sequence_steps_total double precision,
    prefills_total double precision,
    requests_finished_total double precision,
    preemptions_total double precision,
    prefill_us_total bigint,
    prefill_marginal_us_total bigint,
    decode_us_total bigint,
    busy_us_total bigint,
    ttft_ms_total bigint,
    inter_token_ms_total bigint,
    request_queue_ms_total bigint,
    request_prefill_ms_total bigint,
    request_decode_ms_total bigint,
    finished_prompt_tokens_total double precision,
    finished_generation_tokens_total double precision,
    draft_steps_total double precision,
    draft_tokens_total double precision,
    accepted_tokens_total double precision,
    running_requests double precision,
    waiting_requests double precision,
    kv_usage_ppm bigint,
    step_tokens_histogram bytea,
    prompt_lengths_histogram bytea,
    generation_lengths_histogram bytea
)
PARTITION BY RANGE (tick_ms);
CREATE TABLE public.replica_samples_20261123 (
    tick_ms bigint CONSTRAINT replica_samples_tick_ms_not_null NOT NULL,
    epoch_id integer CONSTRAINT replica_samples_epoch_id_not_null NOT NULL,
    offset_us bigint CONSTRAINT replica_samples_offset_us_not_null NOT NULL,
    interval_ms bigint CONSTRAINT replica_samples_interval_ms_not_null NOT NULL,
    prompt_tokens_total double precision,
    prefill_tokens_total double precision,
    cached_tokens_total double precision,
    generation_tokens_total double precision,
    steps_total double precision,
    step_tokens_total double precision,
    decode_sequence_steps_total double precision,
    prefills_total double precision,
    requests_finished_total double precision,
    preemptions_total double precision,
    prefill_us_total bigint,
    prefill_marginal_us_total bigint,
    decode_us_total bigint,
    busy_us_total bigint,
    ttft_ms_total bigint,
    inter_token_ms_total bigint,
    request_queue_ms_total bigint,
    request_prefill_ms_total bigint,
    request_decode_ms_total bigint,
    finished_prompt_tokens_total double precision,
    finished_generation_tokens_total double precision,
    draft_steps_total double precision,
    draft_tokens_total double precision,
    accepted_tokens_total double precision,
    running_requests double precision,
    waiting_requests double precision,
    kv_usage_ppm bigint,
    step_tokens_histogram bytea,
    prompt_lengths_histogram bytea,
    generation_lengths_histogram bytea
);
CREATE TABLE public.replica_samples_20261124 (
    tick_ms bigint CONSTRAINT replica_samples_tick_ms_not_null NOT NULL,
    epoch_id integer CONSTRAINT replica_samples_epoch_id_not_null NOT NULL,
    offset_us bigint CONSTRAINT replica_samples_offset_us_not_null NOT NULL,
    interval_ms bigint CONSTRAINT replica_samples_interval_ms_not_null NOT NULL,
    prompt_tokens_total double precision,
    prefill_tokens_total double precision,
    cached_tokens_total double precision,
    generation_tokens_total double precision,
    steps_total double precision,
    step_tokens_total double precision,
    decode_sequence_steps_total double precision,
    prefills_total double precision,
    requests_finished_total double precision,
    preemptions_total double precision,
    prefill_us_total bigint,
    prefill_marginal_us_total bigint,
    decode_us_total bigint,
    busy_us_total bigint,
    ttft_ms_total bigint,
    inter_token_ms_total bigint,
    request_queue_ms_total bigint,
    request_prefill_ms_total bigint,
    request_decode_ms_total bigint,
    finished_prompt_tokens_total double precision,
    finished_generation_tokens_total double precision,
    draft_steps_total double precision,
    draft_tokens_total double precision,
    accepted_tokens_total double precision,
    running_requests double precision,
    waiting_requests double precision,
    kv_usage_ppm bigint,
    step_tokens_histogram bytea,
    prompt_lengths_histogram bytea,
    generation_lengths_histogram bytea
);
CREATE TABLE public.replica_totals (
    bucket_ms bigint NOT NULL,
    epoch_id integer NOT NULL,
    start_us bigint NOT NULL,
    end_us bigint NOT NULL,
    covered_us bigint NOT NULL,
    active_us bigint,
    windows integer NOT NULL,
    refused_gap integer NOT NULL,
    refused_epoch integer NOT NULL,
    refused_anomaly integer NOT NULL,
    refused_clock integer NOT NULL,
    prompt_tokens double precision,
    prefill_tokens double precision,
    cached_tokens double precision,
    generation_tokens double precision,
    steps double precision,
    step_tokens double precision,
    decode_sequence_steps double precision,
    prefills double precision,
    requests_finished double precision,
    preemptions double precision,
    prefill_us bigint,
    prefill_marginal_us bigint,
    decode_us bigint,
    busy_us bigint,
    ttft_ms bigint,
    inter_token_ms bigint,
    request_queue_ms bigint,
    request_prefill_ms bigint,
    request_decode_ms bigint,
    finished_prompt_tokens double precision,
    finished_generation_tokens double precision,
    draft_steps double precision,
    draft_tokens double precision,
    accepted_tokens double precision,
    running_requests_s double precision,
    waiting_requests_s double precision,
    kv_usage_ppm_s bigint,
    step_tokens_histogram bytea,
    prompt_lengths_histogram bytea,
    generation_lengths_histogram bytea
);
CREATE TABLE public.replicas (
    id integer NOT NULL,
    target text NOT NULL,
    model text NOT NULL,
    rank text NOT NULL,
    job text
);
CREATE SEQUENCE public.replicas_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.replicas_id_seq OWNED BY public.replicas.id;
CREATE TABLE public.reports (
    made_at_us bigint NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE public.stale_buckets (
    bucket_ms bigint NOT NULL
);
CREATE TABLE public.stale_hours (
    bucket_ms bigint NOT NULL
);
CREATE TABLE public.verdicts (
    deployment text NOT NULL,
    scheme text NOT NULL,
    verdict text NOT NULL,
    since_us bigint NOT NULL,
    last_data_us bigint,
    candidate text,
    candidate_since_us bigint,
    saved_at_us bigint NOT NULL
);
ALTER TABLE ONLY public.gpu_samples ATTACH PARTITION public.gpu_samples_20261123 FOR VALUES FROM ('1795392000000') TO ('1795478400000');
ALTER TABLE ONLY public.gpu_samples ATTACH PARTITION public.gpu_samples_20261124 FOR VALUES FROM ('1795478400000') TO ('1795564800000');
ALTER TABLE ONLY public.replica_samples ATTACH PARTITION public.replica_samples_20261123 FOR VALUES FROM ('1795392000000') TO ('1795478400000');
ALTER TABLE ONLY public.replica_samples ATTACH PARTITION public.replica_samples_20261124 FOR VALUES FROM ('1795478400000') TO ('1795564800000');
ALTER TABLE ONLY public.epochs ALTER COLUMN id SET DEFAULT nextval('public.epochs_id_seq'::regclass);
ALTER TABLE ONLY public.gpus ALTER COLUMN id SET DEFAULT nextval('public.gpus_id_seq'::regclass);
ALTER TABLE ONLY public.replicas ALTER COLUMN id SET DEFAULT nextval('public.replicas_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0001');
INSERT INTO public.epochs VALUES (1, 1, 'e1fae1e4f15dfa88b09006447a58cbf1', '{"dtype":"bfloat16","engine":"vllm","engine_version":"0.33.0","gpu":"NVIDIA L4","tensor_parallel":2}', '1795427000.5', 1795428000000000, 1795428000000);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428000000, 1, 250000, 60000, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428060000, 1, 250000, 60000, 500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428120000, 1, 250000, 60000, 1000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428180000, 1, 250000, 60000, 1500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428240000, 1, 250000, 60000, 2000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428300000, 1, 250000, 60000, 2500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428360000, 1, 250000, 60000, 3000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428420000, 1, 250000, 60000, 3500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428480000, 1, 250000, 60000, 4000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428540000, 1, 250000, 60000, 4500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428600000, 1, 250000, 60000, 5000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428660000, 1, 250000, 60000, 5500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428720000, 1, 250000, 60000, 6000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428780000, 1, 250000, 60000, 6500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428840000, 1, 250000, 60000, 7000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428900000, 1, 250000, 60000, 7500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795428960000, 1, 250000, 60000, 8000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429020000, 1, 250000, 60000, 8500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429080000, 1, 250000, 60000, 9000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429140000, 1, 250000, 60000, 9500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429200000, 1, 250000, 60000, 10000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429260000, 1, 250000, 60000, 10500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429320000, 1, 250000, 60000, 11000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429380000, 1, 250000, 60000, 11500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429440000, 1, 250000, 60000, 12000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429500000, 1, 250000, 60000, 12500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429560000, 1, 250000, 60000, 13000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429620000, 1, 250000, 60000, 13500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429680000, 1, 250000, 60000, 14000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429740000, 1, 250000, 60000, 14500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429800000, 1, 250000, 60000, 15000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429860000, 1, 250000, 60000, 15500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429920000, 1, 250000, 60000, 16000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795429980000, 1, 250000, 60000, 16500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430040000, 1, 250000, 60000, 17000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430100000, 1, 250000, 60000, 17500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430160000, 1, 250000, 60000, 18000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430220000, 1, 250000, 60000, 18500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430280000, 1, 250000, 60000, 19000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430340000, 1, 250000, 60000, 19500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430400000, 1, 250000, 60000, 20000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430460000, 1, 250000, 60000, 20500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430520000, 1, 250000, 60000, 21000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430580000, 1, 250000, 60000, 21500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430640000, 1, 250000, 60000, 22000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430700000, 1, 250000, 60000, 22500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430760000, 1, 250000, 60000, 23000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430820000, 1, 250000, 60000, 23500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430880000, 1, 250000, 60000, 24000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795430940000, 1, 250000, 60000, 24500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431000000, 1, 250000, 60000, 25000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431060000, 1, 250000, 60000, 25500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431120000, 1, 250000, 60000, 26000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431180000, 1, 250000, 60000, 26500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431240000, 1, 250000, 60000, 27000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431300000, 1, 250000, 60000, 27500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431360000, 1, 250000, 60000, 28000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431420000, 1, 250000, 60000, 28500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431480000, 1, 250000, 60000, 29000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431540000, 1, 250000, 60000, 29500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431600000, 1, 250000, 60000, 30000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431660000, 1, 250000, 60000, 30500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431720000, 1, 250000, 60000, 31000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431780000, 1, 250000, 60000, 31500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431840000, 1, 250000, 60000, 32000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431900000, 1, 250000, 60000, 32500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795431960000, 1, 250000, 60000, 33000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432020000, 1, 250000, 60000, 33500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432080000, 1, 250000, 60000, 34000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432140000, 1, 250000, 60000, 34500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432200000, 1, 250000, 60000, 35000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432260000, 1, 250000, 60000, 35500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432320000, 1, 250000, 60000, 36000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432380000, 1, 250000, 60000, 36500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432440000, 1, 250000, 60000, 37000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432500000, 1, 250000, 60000, 37500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432560000, 1, 250000, 60000, 38000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432620000, 1, 250000, 60000, 38500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432680000, 1, 250000, 60000, 39000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432740000, 1, 250000, 60000, 39500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432800000, 1, 250000, 60000, 40000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432860000, 1, 250000, 60000, 40500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432920000, 1, 250000, 60000, 41000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795432980000, 1, 250000, 60000, 41500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795433040000, 1, 250000, 60000, 42000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795433100000, 1, 250000, 60000, 42500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795433160000, 1, 250000, 60000, 43000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795433220000, 1, 250000, 60000, 43500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795433280000, 1, 250000, 60000, 44000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpu_samples_20261123 VALUES (1795433340000, 1, 250000, 60000, 44500, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO public.gpus VALUES (1, 'GPU-1', 'NVIDIA L4');
INSERT INTO public.replica_hours VALUES (1795428000000, 1, 1795428000250000, 1795431540250000, 3540000000, NULL, 59, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 2360, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 442500000, NULL, NULL, NULL, 59);
INSERT INTO public.replica_samples_20261123 VALUES (1795428000000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428060000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 40, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428120000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 80, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428180000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 120, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428240000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 160, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428300000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428360000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 240, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428420000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 280, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428480000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 320, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428540000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 360, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428600000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 400, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428660000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 440, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428720000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 480, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428780000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 520, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428840000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 560, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428900000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 600, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795428960000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 640, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429020000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 680, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429080000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 720, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429140000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 760, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429200000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 800, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429260000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 840, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429320000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 880, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429380000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 920, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429440000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 960, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429500000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429560000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1040, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429620000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1080, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429680000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1120, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429740000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1160, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429800000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429860000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1240, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429920000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1280, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795429980000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1320, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430040000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1360, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430100000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1400, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430160000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1440, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430220000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1480, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430280000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1520, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430340000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1560, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430400000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1600, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430460000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1640, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430520000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1680, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430580000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1720, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430640000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1760, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430700000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1800, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430760000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1840, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430820000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1880, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430880000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1920, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795430940000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 1960, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431000000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431060000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2040, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431120000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2080, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431180000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2120, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431240000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2160, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431300000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431360000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2240, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431420000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2280, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431480000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2320, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431540000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2360, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431600000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2400, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431660000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2440, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431720000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2480, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431780000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2520, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431840000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2560, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431900000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2600, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795431960000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2640, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432020000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2680, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432080000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2720, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432140000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2760, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432200000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2800, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432260000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2840, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432320000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2880, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432380000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2920, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432440000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 2960, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432500000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3000, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432560000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3040, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432620000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3080, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432680000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3120, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432740000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3160, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432800000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432860000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3240, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432920000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3280, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795432980000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3320, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795433040000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3360, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795433100000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3400, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795433160000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3440, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795433220000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3480, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795433280000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3520, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_samples_20261123 VALUES (1795433340000, 1, 250000, 60000, NULL, NULL, NULL, NULL, 3560, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 125000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795428000000, 1, 1795428000250000, 1795428240250000, 240000000, NULL, 4, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 160, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 30000000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795428300000, 1, 1795428240250000, 1795428540250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795428600000, 1, 1795428540250000, 1795428840250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795428900000, 1, 1795428840250000, 1795429140250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795429200000, 1, 1795429140250000, 1795429440250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795429500000, 1, 1795429440250000, 1795429740250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795429800000, 1, 1795429740250000, 1795430040250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795430100000, 1, 1795430040250000, 1795430340250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795430400000, 1, 1795430340250000, 1795430640250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795430700000, 1, 1795430640250000, 1795430940250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795431000000, 1, 1795430940250000, 1795431240250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795431300000, 1, 1795431240250000, 1795431540250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795431600000, 1, 1795431540250000, 1795431840250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795431900000, 1, 1795431840250000, 1795432140250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795432200000, 1, 1795432140250000, 1795432440250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795432500000, 1, 1795432440250000, 1795432740250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795432800000, 1, 1795432740250000, 1795433040250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replica_totals VALUES (1795433100000, 1, 1795433040250000, 1795433340250000, 300000000, NULL, 5, 0, 0, 0, 0, NULL, NULL, NULL, NULL, 200, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 37500000, NULL, NULL, NULL);
INSERT INTO public.replicas VALUES (1, 'http://replica-0:8000/metrics', 'a "model"', '0', 'vllm');
INSERT INTO public.reports VALUES (1795428000000000, '\x789cab56ca4d4c498d4f2c892f56b23234b7343531b2303030d033d0514acb4c2f2d4a050a471bea99eae495e6e4e82865e6a565e66596a42ac5d602000356120e');
INSERT INTO public.stale_buckets VALUES (1795433400000);
INSERT INTO public.stale_hours VALUES (1795431600000);
INSERT INTO public.verdicts VALUES ('chat', 'w4a16', 'evaluate', 1795428000000000, 1795428060000000, 'no', 1795428120000000, 1795428000000000);
SELECT pg_catalog.setval('public.epochs_id_seq', 1, true);
SELECT pg_catalog.setval('public.gpus_id_seq', 1, true);
SELECT pg_catalog.setval('public.replicas_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.gpu_samples
    ADD CONSTRAINT pk_gpu_samples PRIMARY KEY (tick_ms, gpu_id);
ALTER TABLE ONLY public.gpu_samples_20261123
    ADD CONSTRAINT gpu_samples_20261123_pkey PRIMARY KEY (tick_ms, gpu_id);
ALTER TABLE ONLY public.gpu_samples_20261124
    ADD CONSTRAINT gpu_samples_20261124_pkey PRIMARY KEY (tick_ms, gpu_id);
ALTER TABLE ONLY public.epochs
    ADD CONSTRAINT pk_epochs PRIMARY KEY (id);
ALTER TABLE ONLY public.gpus
    ADD CONSTRAINT pk_gpus PRIMARY KEY (id);
ALTER TABLE ONLY public.replica_hours
    ADD CONSTRAINT pk_replica_hours PRIMARY KEY (bucket_ms, epoch_id);
ALTER TABLE ONLY public.replica_samples
    ADD CONSTRAINT pk_replica_samples PRIMARY KEY (tick_ms, epoch_id);
ALTER TABLE ONLY public.replica_totals
    ADD CONSTRAINT pk_replica_totals PRIMARY KEY (bucket_ms, epoch_id);
ALTER TABLE ONLY public.replicas
    ADD CONSTRAINT pk_replicas PRIMARY KEY (id);
ALTER TABLE ONLY public.reports
    ADD CONSTRAINT pk_reports PRIMARY KEY (made_at_us);
ALTER TABLE ONLY public.stale_buckets
    ADD CONSTRAINT pk_stale_buckets PRIMARY KEY (bucket_ms);
ALTER TABLE ONLY public.stale_hours
    ADD CONSTRAINT pk_stale_hours PRIMARY KEY (bucket_ms);
ALTER TABLE ONLY public.verdicts
    ADD CONSTRAINT pk_verdicts PRIMARY KEY (deployment, scheme);
ALTER TABLE ONLY public.replica_samples_20261123
    ADD CONSTRAINT replica_samples_20261123_pkey PRIMARY KEY (tick_ms, epoch_id);
ALTER TABLE ONLY public.replica_samples_20261124
    ADD CONSTRAINT replica_samples_20261124_pkey PRIMARY KEY (tick_ms, epoch_id);
ALTER TABLE ONLY public.epochs
    ADD CONSTRAINT uq_epochs_replica_id UNIQUE (replica_id, fingerprint);
ALTER TABLE ONLY public.gpus
    ADD CONSTRAINT uq_gpus_uuid UNIQUE (uuid);
ALTER TABLE ONLY public.replicas
    ADD CONSTRAINT uq_replicas_target UNIQUE (target, model, rank);
ALTER INDEX public.pk_gpu_samples ATTACH PARTITION public.gpu_samples_20261123_pkey;
ALTER INDEX public.pk_gpu_samples ATTACH PARTITION public.gpu_samples_20261124_pkey;
ALTER INDEX public.pk_replica_samples ATTACH PARTITION public.replica_samples_20261123_pkey;
ALTER INDEX public.pk_replica_samples ATTACH PARTITION public.replica_samples_20261124_pkey;
ALTER TABLE ONLY public.epochs
    ADD CONSTRAINT fk_epochs_replica_id FOREIGN KEY (replica_id) REFERENCES public.replicas(id);
