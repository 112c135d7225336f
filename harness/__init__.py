"""Breaks a RAG stack under load, scores service, alerts, diagnosis and recovery, and says whether the build may ship.

    from harness import judge, load_scenario, run_scenario

    finished = run_scenario(load_scenario("scenarios/llm-brownout.yaml"))
    verdict = judge(finished.directory.path).verdict

Names are imported when they are first used, so that judging needs none of the packages that running does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.gate import Verdict as Verdict
    from harness.judging import judge_run as judge
    from harness.run import Options as Options
    from harness.run import execute as run_scenario
    from harness.scenario.loader import load_scenario as load_scenario
    from harness.testing import FakeClock as FakeClock

__version__ = "0.1.0"

__all__ = ["FakeClock", "Options", "Verdict", "__version__", "judge", "load_scenario", "run_scenario"]

_WHERE = {
    "FakeClock": ("harness.testing", "FakeClock"),
    "Options": ("harness.run", "Options"),
    "Verdict": ("harness.gate", "Verdict"),
    "judge": ("harness.judging", "judge_run"),
    "load_scenario": ("harness.scenario.loader", "load_scenario"),
    "run_scenario": ("harness.run", "execute"),
}


def __getattr__(name: str) -> Any:
    """A public name, on its first use (PEP 562)."""
    if name not in _WHERE:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    module, attribute = _WHERE[name]
    return getattr(import_module(module), attribute)
