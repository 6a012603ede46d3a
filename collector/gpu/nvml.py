"""What NVML says about each GPU, as plain JSON-ready values: the only file that imports pynvml. Runs in the child.

Units are those of `analyzer.samples.GpuSample`. NVML's own (percent, mW, mJ, MHz) are in its API reference:
https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pynvml

from collector.gpu.profiling import take_back_zeros

TYPE_CHECKING = False
"""What `typing` says at run time too: the child has half a megabyte less without it."""
if TYPE_CHECKING:
    from typing import Any

RETRY_UNSUPPORTED_S = 3600.0
"""A vGPU guest writes a kernel log line per unsupported query, so such a query is repeated this seldom.

The memory of it lasts as long as the process: a new child asks anew."""

GPM_MIN_WINDOW_S = 0.1
"""GPM refreshes its counters about every 100 ms: two samples closer than this may be the same one."""

_GPM_METRICS = {
    "sm_active_ratio": pynvml.NVML_GPM_METRIC_SM_UTIL,
    "tensor_active_ratio": pynvml.NVML_GPM_METRIC_ANY_TENSOR_UTIL,
    "dram_active_ratio": pynvml.NVML_GPM_METRIC_DRAM_BW_UTIL,
    "sm_occupancy_ratio": pynvml.NVML_GPM_METRIC_SM_OCCUPANCY,
}

# Idle and application clocks are what was asked for; sync boost and display clocks are no limit of this GPU.
_SLOWDOWNS = (
    pynvml.nvmlClocksEventReasonSwPowerCap
    | pynvml.nvmlClocksEventReasonHwSlowdown
    | pynvml.nvmlClocksEventReasonSwThermalSlowdown
    | pynvml.nvmlClocksEventReasonHwThermalSlowdown
    | pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown
)

_GPU_GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_GPU_NOT_FOUND)

_LASTING = (
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_DEPRECATED,
)
"""Answers that stay the same until the driver, the card or the permissions change."""

_SYMBOLS: dict[int, str] = {
    code: name.removeprefix("NVML_ERROR_").lower()
    for name, code in vars(pynvml).items()
    if name.startswith("NVML_ERROR_")
}
_UNSUPPORTED = frozenset(_SYMBOLS[code] for code in _LASTING) | {"mig"}


class NvmlFailedError(Exception):
    """NVML as a whole gave no answer: `code` is NVML's, `name` its symbol (`lib_rm_version_mismatch`)."""

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.code = int(error.value)
        self.name = _symbol(error)


class _NoValueError(Exception):
    """NVML answered, but not with a value of this field; the text says why in one word."""


class NvmlSession:
    """One initialised NVML library; keeps what is unsupported and the last GPM sample of each GPU."""

    def __init__(self, *, gpm: bool = False, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`gpm` turns on Hopper's profiling-class counters. Raises NvmlFailedError when NVML cannot be initialised."""
        self._gpm = gpm
        self._monotonic_s = monotonic_s
        self._unsupported: dict[tuple[str, str], tuple[float, str]] = {}
        self._gpm_samples: dict[str, tuple[float, Any]] = {}
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NvmlFailedError(error) from error

    def close(self) -> None:
        """Ends NVML; a library that is already gone is no error."""
        for _, sample in self._gpm_samples.values():
            with suppress(pynvml.NVMLError):
                pynvml.nvmlGpmSampleFree(sample)
        self._gpm_samples.clear()
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def read(self) -> dict[str, Any]:
        """All GPUs at this moment, each in the form that `readings.gpu_reading` reads, and the driver's versions.

        Raises NvmlFailedError when the GPUs cannot even be counted.
        """
        try:
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as error:
            raise NvmlFailedError(error) from error
        cuda = self._ask("", "cuda_version", {}, pynvml.nvmlSystemGetCudaDriverVersion)
        return {
            "driver_version": self._ask("", "driver_version", {}, pynvml.nvmlSystemGetDriverVersion),
            "cuda_version": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
            "gpus": [self._read_gpu(index) for index in range(count)],
        }

    def _read_gpu(self, index: int) -> dict[str, Any]:
        """One GPU, or the reason why it gave nothing. The index is good for this call only: the key is the UUID."""
        uuid: str | None = None
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            uuid = pynvml.nvmlDeviceGetUUID(handle)
            return self._facts(uuid, handle)
        except pynvml.NVMLError as error:
            return {"uuid": uuid, "reason": _symbol(error)}

    def _facts(self, uuid: str, handle: Any) -> dict[str, Any]:
        """Everything about one GPU. Raises NVMLError when the GPU is gone."""
        absent: dict[str, str] = {}
        mig = self._ask(uuid, "mig_enabled", absent, _mig_enabled, handle)
        facts = {
            "uuid": uuid,
            "name": self._ask(uuid, "name", absent, pynvml.nvmlDeviceGetName, handle),
            "compute_capability": self._ask(
                uuid, "compute_capability", absent, pynvml.nvmlDeviceGetCudaComputeCapability, handle
            ),
            "mig_enabled": mig,
            "process_ids": self._ask(uuid, "process_ids", absent, _process_ids, handle),
        }
        fields: dict[str, float | None] = {}
        for name, call in _FIELDS.items():
            if mig and name == "utilization_ratio":
                # Some drivers answer 0 instead of an error; 0 would read as an idle GPU.
                fields[name], absent[name] = None, "mig"
            else:
                fields[name] = self._ask(uuid, name, absent, call, handle)
        if self._gpm:
            fields.update(self._gpm_ratios(uuid, handle, mig, absent))
            take_back_zeros(fields, absent, fields["utilization_ratio"])
        failures = [absent[name] for name in fields if absent.get(name, "mig") not in _UNSUPPORTED]
        if failures and all(value is None for value in fields.values()):
            return {"uuid": uuid, "reason": failures[0]}
        return {**facts, "fields": fields, "absent": absent}

    def _ask(self, uuid: str, name: str, absent: dict[str, str], call: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of `call`, or None with the reason in `absent`. Raises NVMLError when the GPU itself is gone."""
        asked_s, reason = self._unsupported.get((uuid, name), (None, ""))
        if asked_s is not None and self._monotonic_s() - asked_s < RETRY_UNSUPPORTED_S:
            absent[name] = reason
            return None
        try:
            return call(*arguments)
        except _NoValueError as error:
            absent[name] = str(error)
        except pynvml.NVMLError as error:
            if error.value in _GPU_GONE:
                raise
            absent[name] = _symbol(error)
            if error.value in _LASTING:
                self._unsupported[uuid, name] = (self._monotonic_s(), absent[name])
        return None

    def _gpm_ratios(self, uuid: str, handle: Any, mig: bool | None, absent: dict[str, str]) -> dict[str, float | None]:
        """The means since the previous poll; None on the first one, which has no window yet."""
        if mig:
            absent["gpm"] = "mig"
            return dict.fromkeys(_GPM_METRICS)
        metrics = self._ask(uuid, "gpm", absent, self._gpm_metrics, uuid, handle)
        if metrics is None:
            return dict.fromkeys(_GPM_METRICS)
        return {
            name: self._ask(uuid, name, absent, _gpm_ratio, metrics.metrics[position])
            for position, name in enumerate(_GPM_METRICS)
        }

    def _gpm_metrics(self, uuid: str, handle: Any) -> Any:
        older_s, older = self._gpm_samples.get(uuid, (None, None))
        now_s = self._monotonic_s()
        if older_s is not None and now_s - older_s < GPM_MIN_WINDOW_S:
            raise _NoValueError("window_too_short")
        if older_s is None and not pynvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        newer = pynvml.nvmlGpmSampleAlloc()
        try:
            pynvml.nvmlGpmSampleGet(handle, newer)
        except pynvml.NVMLError:
            pynvml.nvmlGpmSampleFree(newer)
            raise
        self._gpm_samples[uuid] = (now_s, newer)
        if older is None:
            raise _NoValueError("first_sample")
        try:
            return _gpm_between(older, newer)
        finally:
            pynvml.nvmlGpmSampleFree(older)


def _gpm_between(older: Any, newer: Any) -> Any:
    metrics = pynvml.c_nvmlGpmMetricsGet_t()
    metrics.version = pynvml.NVML_GPM_METRICS_GET_VERSION
    metrics.numMetrics = len(_GPM_METRICS)
    metrics.sample1, metrics.sample2 = older, newer
    for position, metric_id in enumerate(_GPM_METRICS.values()):
        metrics.metrics[position].metricId = metric_id
    return pynvml.nvmlGpmMetricsGet(metrics)


def _gpm_ratio(metric: Any) -> float:
    if metric.nvmlReturn != pynvml.NVML_SUCCESS:
        raise pynvml.NVMLError(metric.nvmlReturn)
    return _ratio(metric.value)


def _ratio(percent: float) -> float:
    if not 0 <= percent <= 100:  # NaN fails this as well
        raise _NoValueError("out_of_range")
    return percent / 100


def _memory(handle: Any) -> Any:
    # Version 2 keeps what the driver reserves out of `used`.
    return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)


def _mig_enabled(handle: Any) -> bool:
    current, _pending = pynvml.nvmlDeviceGetMigMode(handle)
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)


def _process_ids(handle: Any) -> list[int]:
    return sorted({process.pid for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle)})


def _temperature(handle: Any) -> float:
    try:
        return float(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    except pynvml.NVMLError_FunctionNotFound:
        return float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _throttled_ratio(handle: Any) -> float:
    try:
        reasons = pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except pynvml.NVMLError_FunctionNotFound:
        reasons = pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    return 1.0 if reasons & _SLOWDOWNS else 0.0


def _ecc_errors(handle: Any) -> float:
    kind, since = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
    return float(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, since))


def _symbol(error: Any) -> str:
    """NVML's symbol for an error, as one lower-case word: `gpu_is_lost`, `not_supported`."""
    code = int(error.value)
    return _SYMBOLS.get(code, f"nvml_error_{code}")


_FIELDS: dict[str, Callable[[Any], float]] = {
    "utilization_ratio": lambda handle: _ratio(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
    "memory_used_bytes": lambda handle: _memory(handle).used,
    "memory_total_bytes": lambda handle: _memory(handle).total,
    "power_w": lambda handle: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
    "energy_j_total": lambda handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,
    "ecc_errors_total": _ecc_errors,
    "sm_clock_hz": lambda handle: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM) * 1e6,
    "memory_clock_hz": lambda handle: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM) * 1e6,
    "temperature_celsius": _temperature,
    "throttled_ratio": _throttled_ratio,
}
