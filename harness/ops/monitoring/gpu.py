"""NVIDIA GPUs through NVML (nvidia-ml-py): use, memory, temperature, power, ECC errors, and who uses them. None is a clear answer, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from harness.ops.monitoring.readings import HOST, Reading

MODULE = "pynvml"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device at one moment. Shares of 0 to 1; None: the device does not tell. ECC errors since the driver was loaded."""

    index: int
    name: str
    uuid: str
    used: float | None
    memory_bytes: int | None
    memory_total_bytes: int | None
    temperature_c: float | None
    power_w: float | None
    power_limit_w: float | None
    ecc_corrected: int | None
    ecc_uncorrected: int | None
    processes: tuple[tuple[int, int | None], ...] = ()  # pid, bytes


class Gpus:
    """All devices. `why_not` says why there are none; a device that stops answering is left out of that look."""

    def __init__(self, nvml: Any = None) -> None:
        """`nvml` stands for the module of nvidia-ml-py."""
        self._nvml: Any = None
        self._last: tuple[Gpu, ...] = ()
        self.driver = ""
        self.why_not: str | None = None
        try:
            module = nvml if nvml is not None else import_module(MODULE)
        except ModuleNotFoundError:
            self.why_not = "nvidia-ml-py is not installed: pip install 'rag-gauntlet[monitoring]'"
            return
        try:
            module.nvmlInit()
            self.driver = _text(module.nvmlSystemGetDriverVersion())
            count = module.nvmlDeviceGetCount()
        except module.NVMLError as error:
            self.why_not = f"no NVIDIA driver answers: {error}"
            return
        self._nvml = module
        if not count:
            self.why_not = "the NVIDIA driver lists no device"

    def look(self) -> tuple[Gpu, ...]:
        """Every device that answers."""
        if self._nvml is None:
            return ()
        found = []
        with suppress(self._nvml.NVMLError):
            for index in range(self._nvml.nvmlDeviceGetCount()):
                with suppress(self._nvml.NVMLError):
                    found.append(self._device(index))
        self._last = tuple(found)
        return self._last

    def read(self) -> Iterator[Reading]:
        """Of each device `gpu0_used`, `gpu0_memory` (shares), `gpu0_temperature` (°C), `gpu0_power` (W), `gpu0_ecc_uncorrected`."""
        for gpu in self.look():
            share = gpu.memory_bytes / gpu.memory_total_bytes if gpu.memory_bytes is not None and gpu.memory_total_bytes else None
            told = {
                "used": gpu.used,
                "memory": share,
                "temperature": gpu.temperature_c,
                "power": gpu.power_w,
                "ecc_uncorrected": gpu.ecc_uncorrected,
            }
            yield from (Reading(HOST, f"gpu{gpu.index}_{name}", float(value)) for name, value in told.items() if value is not None)

    def collect(self) -> Iterator[Metric]:
        """What the last look found."""
        for name, kind, text, of in _METRICS:
            family = kind(name, text, labels=["gpu", "uuid", "name"])
            for gpu in self._last:
                value = getattr(gpu, of)
                if value is not None:
                    family.add_metric([str(gpu.index), gpu.uuid, gpu.name], value)
            yield family
        users = GaugeMetricFamily("gpu_process_memory_bytes", "Memory of a GPU that a process holds", labels=["gpu", "pid"])
        for gpu in self._last:
            for pid, held in gpu.processes:
                users.add_metric([str(gpu.index), str(pid)], held or 0)
        yield users

    def close(self) -> None:
        """Idempotent."""
        module, self._nvml = self._nvml, None
        if module is not None:
            with suppress(module.NVMLError):
                module.nvmlShutdown()

    def _device(self, index: int) -> Gpu:
        nvml = self._nvml
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        used = self._told(lambda: nvml.nvmlDeviceGetUtilizationRates(handle))
        memory = self._told(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        power_mw = self._told(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        limit_mw = self._told(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
        volatile = nvml.NVML_VOLATILE_ECC
        corrected = nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED
        uncorrected = nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
        users = self._told(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
        return Gpu(
            index=index,
            name=_text(nvml.nvmlDeviceGetName(handle)),
            uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
            used=None if used is None else used.gpu / 100.0,
            memory_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            temperature_c=self._told(lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            power_w=None if power_mw is None else power_mw / 1000.0,
            power_limit_w=None if limit_mw is None else limit_mw / 1000.0,
            ecc_corrected=self._told(lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, corrected, volatile)),
            ecc_uncorrected=self._told(lambda: nvml.nvmlDeviceGetTotalEccErrors(handle, uncorrected, volatile)),
            processes=tuple((int(one.pid), None if one.usedGpuMemory is None else int(one.usedGpuMemory)) for one in users),
        )

    def _told(self, ask: Callable[[], Any]) -> Any:
        """None where this device does not support the question, or we may not ask it."""
        try:
            return ask()
        except (self._nvml.NVMLError_NotSupported, self._nvml.NVMLError_NoPermission):
            return None


def _text(value: str | bytes) -> str:
    """Older drivers' bindings give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


_METRICS: tuple[tuple[str, type[CounterMetricFamily] | type[GaugeMetricFamily], str, str], ...] = (
    ("gpu_used_ratio", GaugeMetricFamily, "Share of the time in which a kernel ran", "used"),
    ("gpu_memory_bytes", GaugeMetricFamily, "Memory in use", "memory_bytes"),
    ("gpu_memory_total_bytes", GaugeMetricFamily, "Memory of the device", "memory_total_bytes"),
    ("gpu_temperature_celsius", GaugeMetricFamily, "Of the die", "temperature_c"),
    ("gpu_power_watts", GaugeMetricFamily, "Drawn now", "power_w"),
    ("gpu_power_limit_watts", GaugeMetricFamily, "Most that it may draw", "power_limit_w"),
    ("gpu_ecc_corrected_errors", CounterMetricFamily, "Of memory, since the driver was loaded", "ecc_corrected"),
    ("gpu_ecc_uncorrected_errors", CounterMetricFamily, "Of memory, since the driver was loaded", "ecc_uncorrected"),
)
