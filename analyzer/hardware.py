"""What a replica's step is made of: the GPU's rates and the model's bytes, from identity, config and fact tables."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.assumptions import Deployment
from analyzer.evidence import Missing
from analyzer.facts.gpus import Gpu, find_gpu
from analyzer.facts.models import ModelShape, find_model
from analyzer.facts.schemes import SCHEMES, is_quantized, scheme_of
from analyzer.samples import Identity

_DTYPE_BITS = {"float32": 32.0, "float16": 16.0, "bfloat16": 16.0, "half": 16.0, "float": 32.0}
USUAL_WEIGHT_BITS = 16.0
"""What a model is served in when nothing says that it is quantized: BF16 or FP16."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """The figures a roofline needs, for one replica (all its GPUs together)."""

    engine: str
    gpu: Gpu
    shape: ModelShape
    gpus: int
    weight_bits: float
    weight_bytes: float
    kv_element_bytes: float
    embeddings_quantized: bool
    bandwidth_bytes_per_s: float
    flops_per_s: float
    sources: tuple[str, ...]
    assumed: tuple[str, ...]
    """What nobody told and was assumed: figures that rest on it are `assumed` as well."""

    def step_weight_bytes(self, tokens: float) -> float:
        """Bytes of weights that a step over `tokens` tokens reads: all of a dense model, the experts touched of others.

        Where the server told the true size of its weights, the shape's figure is scaled to it.
        """
        bits, quantized = self.weight_bits, self.embeddings_quantized
        whole = self.shape.weight_bytes(bits, embeddings_quantized=quantized)
        read = self.shape.step_weight_bytes(bits, tokens, embeddings_quantized=quantized)
        return read * self.weight_bytes / whole

    def kv_read_bytes(self, context_tokens: float) -> float:
        """Bytes that one sequence's decode step reads of its KV cache."""
        return self.shape.kv_read_bytes(context_tokens, self.kv_element_bytes)


def resolve(identity: Identity, deployment: Deployment, joined_gpus: int | None = None) -> Hardware | Missing:
    """Everything known about the replica's hardware and model; the operator's word goes before the server's.

    `joined_gpus` is the number of GPUs joined to the replica's target, None when none is.
    """
    gpu_name = deployment.gpu if deployment.gpu is not None else identity.gpu
    if gpu_name is None:
        return Missing("the GPU is not known: set deployments[].gpu")
    gpu = find_gpu(gpu_name)
    if gpu is None:
        return Missing(f"no facts about the GPU {gpu_name!r}: set deployments[].gpu to a name of the fact table")
    if gpu.bandwidth_bytes_per_s is None:
        return Missing(f"the memory bandwidth of {gpu.name} is not known")
    shape = model_shape(identity, deployment)
    if isinstance(shape, Missing):
        return shape
    bits = weight_bits(identity, deployment)
    embeddings_quantized = _embeddings_quantized(identity)
    assumed: tuple[str, ...] = ()
    if bits is None:
        told = identity.quantization
        if told is not None and is_quantized(told) is not False:
            return Missing(f"quantization {told!r} says nothing of bits: set deployments[].weight_bits")
        bits, assumed = USUAL_WEIGHT_BITS, ("16-bit weights: set deployments[].weight_bits",)
    gpus = gpus_of_replica(identity, deployment, joined_gpus)
    if gpus is None:
        gpus, assumed = 1, (*assumed, "one GPU a replica: set deployments[].gpus_per_replica")
    told_bytes = identity.weight_bytes
    whole = shape.weight_bytes(bits, embeddings_quantized=embeddings_quantized)
    held = whole if told_bytes is None else float(told_bytes)
    if gpu.memory_bytes * gpus < held and not deployment.imagined:
        text = f"{held / 1e9:.0f} GB of weights do not fit into {gpus} x {gpu.name}"
        return Missing(f"{text}: correct deployments[].gpus_per_replica, model or weight_bits")
    return Hardware(
        engine=identity.engine,
        gpu=gpu,
        shape=shape,
        gpus=gpus,
        weight_bits=bits,
        weight_bytes=held,
        kv_element_bytes=_kv_element_bytes(identity),
        embeddings_quantized=embeddings_quantized,
        bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s * gpus,
        flops_per_s=gpu.bf16_flops_per_s * gpus,
        sources=(*gpu.sources, *shape.sources),
        assumed=assumed,
    )


def model_shape(identity: Identity, deployment: Deployment) -> ModelShape | Missing:
    """The model's shape by the operator's name for it, else by the path the server was started with."""
    names = [name for name in (deployment.model, identity.model_path) if name is not None]
    for name in names:
        shape = find_model(name)
        if shape is not None:
            return shape
    told = ", ".join(repr(name) for name in names) if names else "nothing"
    return Missing(f"the model's shape is not known ({told} matches no known model): set deployments[].model")


def weight_bits(identity: Identity, deployment: Deployment) -> float | None:
    """Bits per weight being served, as the operator or the server told it; None when neither did."""
    if deployment.weight_bits is not None:
        return deployment.weight_bits
    scheme = scheme_of(identity.quantization) if identity.quantization is not None else None
    if scheme is not None:
        return SCHEMES[scheme].weight_bits
    if identity.quantization is None and identity.dtype is not None:
        return _DTYPE_BITS.get(identity.dtype)
    return None


def gpus_of_replica(identity: Identity, deployment: Deployment, joined_gpus: int | None) -> int | None:
    """GPUs of one replica: stated, else tensor times pipeline parallel size, else those joined; None = nobody told."""
    if deployment.gpus_per_replica is not None:
        return deployment.gpus_per_replica
    if identity.tensor_parallel is not None:
        pipeline = identity.pipeline_parallel
        return identity.tensor_parallel * (1 if pipeline is None else pipeline)
    return joined_gpus


def _embeddings_quantized(identity: Identity) -> bool:
    scheme = None if identity.quantization is None else scheme_of(identity.quantization)
    return scheme is not None and SCHEMES[scheme].quantizes_embeddings


def _kv_element_bytes(identity: Identity) -> float:
    return 1.0 if identity.kv_dtype is not None and ("8" in identity.kv_dtype) else 2.0
