"""`python -m mocks.rag.query`."""

from mocks.rag.common.app import run_service
from mocks.rag.query.service import build

if __name__ == "__main__":
    run_service("query", build)
