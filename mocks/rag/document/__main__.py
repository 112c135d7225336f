"""`python -m mocks.rag.document`."""

import os
from pathlib import Path

from starlette.applications import Starlette

from mocks.rag.common.app import ServiceConfig, run_service
from mocks.rag.common.config import required
from mocks.rag.document.service import Backends, build
from mocks.rag.vectorstore.choice import chosen


def from_env(config: ServiceConfig) -> Starlette:
    """The application with the environment's settings. Raises ConfigError."""
    return build(config, Backends(required("DATABASE_URL"), required("REDIS_URL"), Path(required("SPOOL_DIR")), chosen(os.environ)))


if __name__ == "__main__":
    run_service("document", from_env)
