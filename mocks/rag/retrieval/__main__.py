"""`python -m mocks.rag.retrieval`."""

from mocks.rag.common.app import serve
from mocks.rag.common.config import ServiceConfig, required
from mocks.rag.retrieval.service import build

if __name__ == "__main__":
    config = ServiceConfig.from_env("retrieval")
    serve(build(config, required("DATABASE_URL"), required("REDIS_URL")), config)
