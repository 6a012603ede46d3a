"""What each way in which NVML can fail means to an operator, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence

from collector.gpu.readings import GpuState, GpuStatus

_CONTAINER = "in a container, give it the GPUs and NVIDIA_DRIVER_CAPABILITIES=utility (docker run --gpus all)"

# https://github.com/NVIDIA/nvidia-docker/issues/1730 has the cause and these ways out.
_RESTART_CONTAINER = (
    "restart the container; so that it does not happen again, run `nvidia-ctk system create-dev-char-symlinks "
    "--create-all` on the host, or pass the devices by --device or CDI; on a bare host look for Xid in the kernel log"
)

_BY_CODE = {
    4: (
        GpuState.NO_PERMISSION,
        "this user may not open the GPU devices",
        "let the daemon's user read and write /dev/nvidiactl and /dev/nvidia[0-9]*",
    ),
    9: (
        GpuState.ABSENT,
        "the NVIDIA driver is not loaded",
        "if this machine has an NVIDIA GPU, load the driver (modprobe nvidia) and look into the kernel log",
    ),
    12: (
        GpuState.ABSENT,
        "libnvidia-ml.so.1 cannot be found or loaded",
        f"without an NVIDIA GPU there is nothing to do; else install the driver; {_CONTAINER}",
    ),
    17: (
        GpuState.UNKNOWN_ERROR,
        "the operating system blocked the request",
        f"check that the daemon's cgroup may use the GPU devices; {_CONTAINER}",
    ),
    18: (
        GpuState.DRIVER_MISMATCH,
        "the NVIDIA library and the loaded kernel module are of different versions, as after a driver upgrade",
        "reboot; or stop all that uses the GPUs and reload the driver (rmmod nvidia_uvm nvidia; modprobe nvidia)",
    ),
    999: (
        GpuState.UNKNOWN_ERROR,
        "NVML answers Unknown Error, as in a container that lost its GPUs after `systemctl daemon-reload`",
        _RESTART_CONTAINER,
    ),
}

_DRIVER_HANGS = (
    "look for Xid or GSP in the kernel log and run nvidia-smi: if it hangs as well, reset the GPU or reboot; "
    "a driver that is merely slow to start needs nvidia-persistenced"
)


def failed(code: int, name: str, text: str) -> GpuStatus:
    """NVML as a whole answered with error `code`, whose symbol is `name` and whose text is `text`."""
    known = _BY_CODE.get(code)
    if known is None:
        return GpuStatus(
            GpuState.UNKNOWN_ERROR,
            f"NVML failed: {text} ({name}, {code})",
            "look for NVRM and Xid in the kernel log, and run nvidia-smi",
        )
    state, message, remedy = known
    return GpuStatus(state, f"{message} ({name}, {code})", remedy)


def no_answer(deadline_s: float) -> GpuStatus:
    """A request outlasted its deadline."""
    return GpuStatus(GpuState.TIMEOUT, f"NVML did not answer within {deadline_s:g} s", _DRIVER_HANGS)


def still_ending(process_id: int) -> GpuStatus:
    """A child that was told to end has not done so yet."""
    return GpuStatus(GpuState.TIMEOUT, f"the previous NVML process {process_id} has not ended yet", _DRIVER_HANGS)


def stuck(process_id: int) -> GpuStatus:
    """A child outlives SIGKILL: the kernel is in the driver on its behalf."""
    return GpuStatus(
        GpuState.STUCK,
        f"NVML's process {process_id} hangs in the driver and survives SIGKILL; no other is started before it is gone",
        _DRIVER_HANGS,
    )


def crashed(how: str) -> GpuStatus:
    """The child ended, could not start or did not speak its protocol; `how` is the end of the sentence."""
    return GpuStatus(GpuState.CRASHED, f"NVML's process {how}", "if this repeats, update the NVIDIA driver")


def no_gpus(seen_before: int) -> GpuStatus:
    """The driver answers and lists no GPU: a failure, never an idle machine."""
    before = f", but {seen_before} were seen before" if seen_before > 0 else ""
    return GpuStatus(
        GpuState.NO_GPUS, f"the driver shows no GPU{before}", f"check lspci and the kernel log; {_CONTAINER}"
    )


def none_answers(reasons: Sequence[str]) -> GpuStatus:
    """The driver lists GPUs, none of which gives anything; `reasons` are NVML's symbols, one for each."""
    message = f"none of {len(reasons)} listed GPU(s) answers: {', '.join(sorted(set(reasons)))}"
    if "unknown" in reasons:
        return GpuStatus(GpuState.UNKNOWN_ERROR, message, _RESTART_CONTAINER)
    return GpuStatus(GpuState.NO_GPUS, message, "look for Xid in the kernel log; reset the GPUs or reboot")
