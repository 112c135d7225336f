from typing import Any

from harness.faults.embedding import FAULTS

WITH: dict[str, dict[str, Any]] = {
    "embedding.batch_limit": {"most": 2},
    "embedding.slow_batch": {"per_input": "40ms"},
    "embedding.wrong_dimension": {"dimensions": 8},
}
EVERYWHERE = ("embedding.nan",)
"""The others are played by the same mock everywhere, so that the tiny stack will do."""
USES: dict[str, dict[str, Any]] = {
    kind.spec.name: {"target": "llm", "with": WITH.get(kind.spec.name, {}), "mock": kind.spec.name not in EVERYWHERE} for kind in FAULTS
}
