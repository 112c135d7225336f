"""`python -m mocks.rag.gateway`."""

from mocks.rag.common.app import run_service
from mocks.rag.gateway.service import from_env

if __name__ == "__main__":
    run_service("gateway", from_env)
