from typing import Any

USES: dict[str, dict[str, Any]] = {
    "resource.cpu_stress": {"target": "retrieval-1", "with": {"workers": 3}},
    "resource.cpu_throttle": {"target": "retrieval-1", "with": {"cpus": 0.2}},
    "resource.memory_pressure": {"target": "retrieval-1"},
    "resource.memory_leak": {"target": "retrieval-1", "with": {"mb_per_s": 40}},
    "resource.descriptors": {"target": "retrieval-1"},
    "resource.disk_full": {"target": "postgres"},
    "resource.disk_slow": {"target": "retrieval-1", "with": {"mb_per_s": 1}},
    "resource.worker_starvation": {"target": "retrieval-1", "with": {"stretch": "300ms"}},
}
