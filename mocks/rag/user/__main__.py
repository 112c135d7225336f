"""`python -m mocks.rag.user`."""

from mocks.rag.common.app import ServiceConfig, serve
from mocks.rag.user.service import from_env

if __name__ == "__main__":
    config = ServiceConfig.from_env("user")
    serve(from_env(config), config)
