from typing import Any

USES: dict[str, dict[str, Any]] = {
    "data.deleted_documents": {"target": "postgres", "with": {"share": 0.3}, "real": True},
    "data.stale_index": {"target": "postgres", "with": {"share": 0.3}, "real": True},
    "data.poisoned_document": {"target": "postgres", "with": {"documents": 3}, "real": True},
    "data.injection_document": {"target": "postgres", "with": {"documents": 3}, "real": True},
    "data.duplicate_ingest": {"target": "postgres", "with": {"documents": 2, "copies": 4}, "real": True},
    "data.corrupt_pdf": {"target": "document", "with": {"rate": "10/s"}, "real": True},
    "data.oversized_document": {"target": "document", "with": {"characters": 300_000, "rate": "5/s"}, "real": True},
    "data.ingest_backlog": {"target": "document", "with": {"documents": 200, "characters": 1_000}, "real": True},
}
