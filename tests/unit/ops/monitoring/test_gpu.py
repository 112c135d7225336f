"""GPUs through NVML: everything that a device tells, nothing that it does not, and a clear none."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from harness.lifecycle import doctor
from harness.ops.monitoring.gpu import Gpus
from tests.unit.ops.monitoring import fake_nvml


@pytest.fixture
def gpus() -> Iterator[Gpus]:
    made = Gpus(fake_nvml)
    yield made
    made.close()
    made.close()
    fake_nvml.lost.clear()
    assert fake_nvml.opened == 0


def test_the_stand_in_has_the_signatures_of_the_library() -> None:
    real = pytest.importorskip("pynvml")
    functions = [name for name in vars(fake_nvml) if name.startswith("nvml")]
    assert len(functions) > 12
    for name in functions:
        ours, theirs = (inspect.signature(getattr(module, name)).parameters for module in (fake_nvml, real))
        assert list(ours) == list(theirs), name
    for name in ("NVML_TEMPERATURE_GPU", "NVML_VOLATILE_ECC", "NVML_MEMORY_ERROR_TYPE_CORRECTED", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED"):
        assert getattr(fake_nvml, name) == getattr(real, name)
    for name in ("NVMLError_NotSupported", "NVMLError_NoPermission", "NVMLError_GpuIsLost"):
        assert issubclass(getattr(real, name), real.NVMLError)


def test_what_two_devices_tell(gpus: Gpus) -> None:
    readings = {r.name: r.value for r in gpus.read()}
    assert readings == {
        "gpu0_used": 0.83, "gpu0_memory": 0.25, "gpu0_temperature": 61.0, "gpu0_power": 412.0, "gpu0_ecc_uncorrected": 0.0,
        "gpu1_memory": 0.25, "gpu1_temperature": 61.0,
    }  # fmt: skip
    first, second = gpus.look()
    assert (first.name, first.processes, first.ecc_corrected, first.power_limit_w) == ("NVIDIA H200", ((42, 20), (43, None)), 3, 700.0)
    assert (second.used, second.power_w, second.processes) == (None, None, ())
    registry = CollectorRegistry()
    registry.register(gpus)  # type: ignore[arg-type]
    text = generate_latest(registry).decode()
    assert 'gpu_power_watts{gpu="0",name="NVIDIA H200",uuid="GPU-0"} 412.0' in text
    assert 'gpu_ecc_corrected_errors_total{gpu="0"' in text and 'gpu_process_memory_bytes{gpu="0",pid="42"} 20.0' in text
    assert 'gpu_power_watts{gpu="1"' not in text


def test_a_device_that_falls_off_the_bus_takes_no_other_with_it(gpus: Gpus) -> None:
    fake_nvml.lost.add(0)
    assert [gpu.index for gpu in gpus.look()] == [1]


def test_none_is_a_clear_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake_nvml, "nvmlInit", _no_driver)
    none = Gpus(fake_nvml)
    assert (none.look(), list(none.read()), none.why_not) == ((), [], "no NVIDIA driver answers: NVML Shared Library Not Found")
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpus().why_not == "nvidia-ml-py is not installed: pip install 'rag-gauntlet[monitoring]'"


def test_the_doctor_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake_nvml)
    assert (doctor._gpu().mark, doctor._gpu().detail) == ("ok", "NVIDIA H200, NVIDIA T4, driver 580.65: gauntlet watch follows it")
    monkeypatch.setattr(fake_nvml, "nvmlInit", _no_driver)
    assert doctor._gpu().mark == "none" and "no NVIDIA driver answers" in doctor._gpu().detail


def _no_driver() -> None:
    raise fake_nvml.NVMLError("NVML Shared Library Not Found")
