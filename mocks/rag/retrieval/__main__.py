"""`python -m mocks.rag.retrieval`."""

import os

from starlette.applications import Starlette

from mocks.rag.common.app import ServiceConfig, run_service
from mocks.rag.common.config import required
from mocks.rag.retrieval.service import build
from mocks.rag.vectorstore.choice import chosen


def from_env(config: ServiceConfig) -> Starlette:
    """The application with the environment's settings. Raises ConfigError."""
    return build(config, required("DATABASE_URL"), required("REDIS_URL"), chosen(os.environ))


if __name__ == "__main__":
    run_service("retrieval", from_env)
