"""Seconds that one step should take under a format: reads, arithmetic, attention, launches, communication.

The products of a step take the cubic mean of their read and their arithmetic time: the longer one, rounded off where
both are alike, as kernels do not overlap perfectly. Everything else adds up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.facts.cpu_kernels import CpuKernels
from analyzer.facts.gpu_type import Gpu
from analyzer.facts.kernels import relative_arithmetic
from analyzer.facts.model_shape import ModelShape
from analyzer.predict.constants import Constants
from analyzer.predict.formats import Format, Kernel

ROUNDING = 3.0
ACTIVATION_BYTES = 3.0
"""Quantizing an activation reads 16 bits and writes 8."""
PRODUCTS_PER_LAYER = 4
"""Query-key-value, output, gate-up and down projections; llama.cpp runs seven apart."""
PRODUCTS_PER_LAYER_GGUF = 7


@dataclass(frozen=True, slots=True)
class Machine:
    """Model and hardware of one replica. `gpus` share every weight (tensor parallel).

    `gpu` None: not in the table. `cpu`: llama.cpp's kernels where it runs on a CPU, which launches nothing.
    """

    shape: ModelShape
    gpu: Gpu | None
    gpus: int = 1
    llama_cpp: bool = False
    cpu: CpuKernels | None = None

    @property
    def products(self) -> int:
        """Matrix products per step."""
        return self.shape.layers * (PRODUCTS_PER_LAYER_GGUF if self.llama_cpp else PRODUCTS_PER_LAYER)

    @property
    def matrix_weights(self) -> float:
        """Mean weights of a product on one GPU."""
        return (self.shape.active_parameters - self.shape.embedding_parameters) / self.products / self.gpus


@dataclass(frozen=True, slots=True)
class Step:
    """`count` steps alike: `batch` sequences that each read `context_tokens`, and prompt tokens beside them.

    `prompt_tokens` is the length of the prompts that `prefill_tokens` belong to: attention grows with it.
    """

    count: float
    batch: float
    context_tokens: float
    prefill_tokens: float = 0.0
    prompt_tokens: float = 0.0

    @property
    def tokens(self) -> float:
        """Tokens through the products."""
        return self.batch + self.prefill_tokens


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of one step by what they go to."""

    weights: float
    arithmetic: float
    head: float
    kv: float
    attention: float
    activations: float
    launches: float
    communication: float

    @property
    def products(self) -> float:
        """Read and arithmetic of the linear layers together."""
        longer = max(self.weights, self.arithmetic)
        if longer <= 0:
            return 0.0
        total = (self.weights / longer) ** ROUNDING + (self.arithmetic / longer) ** ROUNDING
        return float(longer * total ** (1 / ROUNDING))

    @property
    def total(self) -> float:
        """The step."""
        rest = self.head + self.kv + self.attention + self.activations + self.launches + self.communication
        return self.products + rest


def read_ratio(form: Format, constants: Constants) -> float:
    """Bandwidth that the format's kernel reaches over the 16-bit kernel's."""
    if form.kernel is Kernel.WEIGHT_ONLY:
        return constants.read_8bit if form.weight_bits > 7 else constants.read_4bit
    if form.kernel is Kernel.SCALED:
        if form.weight_bits < 7:
            return constants.read_4bit
        return constants.read_fp8 if form.compute == "fp8" else constants.read_int8
    return {
        Kernel.PLAIN: 1.0,
        Kernel.PLAIN_4BIT: constants.read_plain_4bit,
        Kernel.TORCH_4BIT: constants.read_torch_4bit,
        Kernel.FP4: constants.read_fp4,
        Kernel.GGUF: constants.read_gguf,
        Kernel.UNFUSED: 1.0,
    }[form.kernel]


def launch_s(form: Format, constants: Constants) -> float:
    """Seconds that a product of this format takes beyond a 16-bit one, whatever its size."""
    if form.kernel is Kernel.PLAIN:
        return 0.0
    if form.kernel is Kernel.GGUF:
        return constants.launch_gguf_s
    if form.kernel is Kernel.FP4:
        return constants.launch_scaled_s + constants.launch_fp4_s
    return constants.launch_scaled_s if form.quantizes_activations else constants.launch_weight_only_s


def arithmetic_rate(form: Format, machine: Machine, tokens: float, constants: Constants) -> float:
    """Arithmetic per second over that of 16 bits; below 1 where unpacking takes its part."""
    gpu = machine.gpu
    if form.kernel is Kernel.GGUF:
        return 1 / constants.dequantize_gguf if machine.cpu is None else machine.cpu.rate(form.weight_bits)
    if form.compute == "bf16":
        return 1.0 if form.kernel is Kernel.PLAIN else 1 / constants.dequantize
    factor = constants.arithmetic_fp4
    if form.compute != "fp4":
        factor = constants.arithmetic_fp8 if form.compute == "fp8" else constants.arithmetic_int8
    ratio = 2.0 if gpu is None else _peak(gpu, form.compute) / gpu.bf16_flops_per_s
    return ratio * relative_arithmetic(gpu, form.compute, tokens, machine.matrix_weights) * factor


def _peak(gpu: Gpu, compute: str) -> float:
    rate = {"fp8": gpu.fp8_flops_per_s, "int8": gpu.int8_ops_per_s, "fp4": gpu.fp4_flops_per_s}[compute]
    return gpu.bf16_flops_per_s if rate is None else rate


def weight_bytes(shape: ModelShape, form: Format, tokens: float) -> tuple[float, float]:
    """Bytes a step reads of the linear layers and of `lm_head`; experts touched of a mixture of experts only."""
    head_bits = form.weight_bits if form.embeddings_quantized else max(form.weight_bits, 16.0)
    head = shape.vocabulary * shape.hidden_size * head_bits / 8
    whole = shape.step_weight_bytes(form.weight_bits, tokens, embeddings_quantized=form.embeddings_quantized)
    linear = whole - head
    if form.expanded_bytes:
        linear += linear / (form.weight_bits / 8) * form.expanded_bytes
    return linear, head


def parts(machine: Machine, form: Format, step: Step, constants: Constants) -> Parts:
    """Seconds of one such step. Raises ValueError where the GPU or its bandwidth is not in the table."""
    gpu, shape = machine.gpu, machine.shape
    if gpu is None or gpu.bandwidth_bytes_per_s is None:
        raise ValueError("a step cannot be modelled without the GPU's bandwidth")
    bytes_per_s = gpu.bandwidth_bytes_per_s * machine.gpus * constants.bandwidth
    flops_per_s = gpu.bf16_flops_per_s * machine.gpus
    linear, head = weight_bytes(shape, form, step.tokens)
    flops = 2 * (shape.active_parameters - shape.embedding_parameters) * step.tokens
    rate = flops_per_s * constants.arithmetic * arithmetic_rate(form, machine, step.tokens, constants)
    kv_bytes = step.batch * shape.kv_read_bytes(step.context_tokens, form.kv_element_bytes)
    width = shape.attention_heads * shape.head_dim
    pairs = step.prefill_tokens * step.prompt_tokens * 2 * shape.layers * width
    return Parts(
        weights=linear / (bytes_per_s * read_ratio(form, constants)),
        arithmetic=flops / rate,
        head=head / bytes_per_s,
        kv=kv_bytes / (gpu.bandwidth_bytes_per_s * machine.gpus * constants.kv_bandwidth),
        attention=pairs / (flops_per_s * constants.attention),
        activations=activation_s(machine, form, constants) * step.tokens,
        launches=machine.products * launch_s(form, constants) if machine.cpu is None else 0.0,
        communication=_communication_s(machine, step.tokens, constants),
    )


def activation_s(machine: Machine, form: Format, constants: Constants) -> float:
    """Seconds per token to quantize the inputs of every layer; 0 where arithmetic stays 16-bit."""
    gpu, shape = machine.gpu, machine.shape
    if not form.quantizes_activations or gpu is None or gpu.bandwidth_bytes_per_s is None:
        return 0.0
    inner = max(shape.intermediate_size, 3 * shape.hidden_size)
    elements = shape.layers * (3 * shape.hidden_size + inner)
    return elements * ACTIVATION_BYTES / (gpu.bandwidth_bytes_per_s * constants.bandwidth)


def _communication_s(machine: Machine, tokens: float, constants: Constants) -> float:
    """Two all-reduces of 16-bit activations per layer; no scheme changes them."""
    if machine.gpus <= 1:
        return 0.0
    crossing = 2 * (machine.gpus - 1) / machine.gpus * tokens * machine.shape.hidden_size * 2
    return 2 * machine.shape.layers * (constants.collective_s + crossing / constants.link_bytes_per_s)


def seconds(machine: Machine, form: Format, work: Sequence[Step], constants: Constants) -> float:
    """Modelled seconds of all the steps of `work`, host overhead not included."""
    return sum(step.count * parts(machine, form, step, constants).total for step in work)
