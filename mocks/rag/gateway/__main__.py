"""`python -m mocks.rag.gateway`."""

from mocks.rag.common.app import ServiceConfig, serve
from mocks.rag.gateway.service import from_env

if __name__ == "__main__":
    config = ServiceConfig.from_env("gateway")
    serve(from_env(config), config)
