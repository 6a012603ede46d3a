"""What a replica's step is made of: the GPU's rates and the model's bytes, from identity, config and fact tables."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.assumptions import Deployment
from analyzer.evidence import Missing
from analyzer.facts.gpus import Gpu, find_gpu
from analyzer.facts.models import ModelShape, find_model
from analyzer.facts.schemes import SCHEMES, scheme_of
from analyzer.samples import Identity

_DTYPE_BITS = {"float32": 32.0, "float16": 16.0, "bfloat16": 16.0, "half": 16.0, "float": 32.0}


@dataclass(frozen=True, slots=True)
class Hardware:
    """The figures a roofline needs, for one replica (all its GPUs together)."""

    gpu: Gpu
    shape: ModelShape
    tensor_parallel: int
    weight_bytes: float
    kv_bytes_per_token: float
    bandwidth_bytes_per_s: float
    flops_per_s: float
    sources: tuple[str, ...]


def resolve(identity: Identity, deployment: Deployment) -> Hardware | Missing:
    """Everything known about the replica's hardware and model; the operator's word goes before the server's."""
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
    if isinstance(bits, Missing):
        return bits
    tensor_parallel = gpus_of_replica(identity, deployment)
    weight_bytes = float(identity.weight_bytes) if identity.weight_bytes is not None else shape.weight_bytes(bits)
    return Hardware(
        gpu=gpu,
        shape=shape,
        tensor_parallel=tensor_parallel,
        weight_bytes=weight_bytes,
        kv_bytes_per_token=shape.kv_bytes_per_token(_kv_element_bytes(identity)),
        bandwidth_bytes_per_s=gpu.bandwidth_bytes_per_s * tensor_parallel,
        flops_per_s=gpu.bf16_flops_per_s * tensor_parallel,
        sources=(*gpu.sources, *shape.sources),
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


def weight_bits(identity: Identity, deployment: Deployment) -> float | Missing:
    """Bits per weight being served."""
    if deployment.weight_bits is not None:
        return deployment.weight_bits
    scheme = scheme_of(identity.quantization) if identity.quantization is not None else None
    if scheme is not None:
        return SCHEMES[scheme].weight_bits
    if identity.quantization is not None:
        return Missing(f"quantization {identity.quantization!r} says nothing of bits: set deployments[].weight_bits")
    if identity.dtype is not None and identity.dtype in _DTYPE_BITS:
        return _DTYPE_BITS[identity.dtype]
    return Missing("the precision of the weights is not reported: set deployments[].weight_bits (16 for BF16)")


def gpus_of_replica(identity: Identity, deployment: Deployment) -> int:
    """GPUs of one replica: stated, else tensor parallel size, else one."""
    if deployment.gpus_per_replica is not None:
        return deployment.gpus_per_replica
    return identity.tensor_parallel if identity.tensor_parallel is not None else 1


def _kv_element_bytes(identity: Identity) -> float:
    return 1.0 if identity.kv_dtype is not None and ("8" in identity.kv_dtype) else 2.0
