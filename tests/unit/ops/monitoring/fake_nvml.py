"""Stands for the module of nvidia-ml-py, with the real one's signatures (a test compares them). Two devices; the second tells little."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

NVML_TEMPERATURE_GPU = 0
NVML_VOLATILE_ECC = 0
NVML_MEMORY_ERROR_TYPE_CORRECTED, NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 0, 1


class NVMLError(Exception):
    pass


class NVMLError_NotSupported(NVMLError):  # noqa: N801, N818  # the library's name
    pass


class NVMLError_NoPermission(NVMLError):  # noqa: N801, N818
    pass


class NVMLError_GpuIsLost(NVMLError):  # noqa: N801, N818
    pass


lost: set[int] = set()
opened = 0


def nvmlInit() -> None:  # noqa: N802
    global opened
    opened += 1


def nvmlShutdown() -> None:  # noqa: N802
    global opened
    opened -= 1


def nvmlSystemGetDriverVersion() -> str:  # noqa: N802
    return "580.65"


def nvmlDeviceGetCount() -> int:  # noqa: N802
    return 2


def nvmlDeviceGetHandleByIndex(index: int) -> int:  # noqa: N802
    if index in lost:
        raise NVMLError_GpuIsLost("GPU is lost")
    return index


def nvmlDeviceGetName(handle: int) -> str | bytes:  # noqa: N802
    return (b"NVIDIA H200", "NVIDIA T4")[handle]


def nvmlDeviceGetUUID(handle: int) -> str:  # noqa: N802
    return f"GPU-{handle}"


def _first_only(handle: int, value: Any) -> Any:
    if handle:
        raise NVMLError_NotSupported("Not Supported")
    return value


def nvmlDeviceGetUtilizationRates(handle: int) -> Any:  # noqa: N802
    return _first_only(handle, SimpleNamespace(gpu=83, memory=40))


def nvmlDeviceGetMemoryInfo(handle: int, version: Any = None) -> Any:  # noqa: N802
    return SimpleNamespace(total=100, used=25, free=75)


def nvmlDeviceGetTemperature(handle: int, sensor: int) -> int:  # noqa: N802
    return 61


def nvmlDeviceGetPowerUsage(handle: int) -> int:  # noqa: N802
    return int(_first_only(handle, 412_000))


def nvmlDeviceGetEnforcedPowerLimit(handle: int) -> int:  # noqa: N802
    return int(_first_only(handle, 700_000))


def nvmlDeviceGetTotalEccErrors(handle: int, errorType: int, counterType: int) -> int:  # noqa: N802, N803
    return int(_first_only(handle, 3 if errorType == NVML_MEMORY_ERROR_TYPE_CORRECTED else 0))


def nvmlDeviceGetComputeRunningProcesses(handle: int) -> list[Any]:  # noqa: N802
    if handle:
        raise NVMLError_NoPermission("Insufficient Permissions")
    return [SimpleNamespace(pid=42, usedGpuMemory=20, gpuInstanceId=0, computeInstanceId=0), SimpleNamespace(pid=43, usedGpuMemory=None)]
