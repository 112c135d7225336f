"""`python -m mocks.rag.generation`."""

from mocks.rag.common.app import serve
from mocks.rag.common.config import ServiceConfig
from mocks.rag.generation.service import build

if __name__ == "__main__":
    config = ServiceConfig.from_env("generation")
    serve(build(config), config)
