"""`python -m mocks.rag.user`."""

from mocks.rag.common.app import run_service
from mocks.rag.user.service import from_env

if __name__ == "__main__":
    run_service("user", from_env)
