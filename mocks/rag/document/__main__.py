"""`python -m mocks.rag.document`."""

from pathlib import Path

from mocks.rag.common.app import serve
from mocks.rag.common.config import ServiceConfig, required
from mocks.rag.document.service import Backends, build

if __name__ == "__main__":
    config = ServiceConfig.from_env("document")
    backends = Backends(required("DATABASE_URL"), required("REDIS_URL"), Path(required("SPOOL_DIR")))
    serve(build(config, backends), config)
