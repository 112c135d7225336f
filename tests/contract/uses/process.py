from typing import Any

USES: dict[str, dict[str, Any]] = {
    "process.kill": {"target": "retrieval"},
    "process.stop": {"target": "retrieval-1"},
    "process.pause": {"target": "retrieval-2"},
    "process.crash_loop": {"target": "retrieval-1", "with": {"back_off": "200ms"}},
    "process.restart_storm": {"target": "user", "with": {"every": "500ms"}},
    "process.oom_kill": {"target": "retrieval-1"},
    "process.slow_start": {"target": "user", "with": {"delay": "2s"}},
    "process.hang_on_shutdown": {"target": "user"},
}
