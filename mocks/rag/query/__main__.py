"""`python -m mocks.rag.query`."""

from mocks.rag.common.app import serve
from mocks.rag.common.config import ServiceConfig
from mocks.rag.query.service import build

if __name__ == "__main__":
    config = ServiceConfig.from_env("query")
    serve(build(config), config)
