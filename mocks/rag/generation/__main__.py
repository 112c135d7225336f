"""`python -m mocks.rag.generation`."""

from mocks.rag.common.app import run_service
from mocks.rag.generation.service import build

if __name__ == "__main__":
    run_service("generation", build)
