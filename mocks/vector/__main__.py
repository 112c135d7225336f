"""`python -m mocks.vector qdrant|chroma`: run one mock vector service; docs/mock-vector.md lists its environment."""

import asyncio
import os
import sys

PRODUCTS = ("qdrant", "chroma")


def main(arguments: list[str]) -> int:
    """Serve until told to stop: 0; or 2 with one line on stderr where it cannot start."""
    if len(arguments) != 1 or arguments[0] not in PRODUCTS:
        sys.stderr.write(f"usage: python -m mocks.vector {'|'.join(PRODUCTS)}\n")
        return 2
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded: one mock, one core
    import uvloop

    from mocks.common.checks import ProfileError
    from mocks.common.settings import Settings
    from mocks.vector.profile import LiveProfile
    from mocks.vector.server import serve

    try:
        profile = LiveProfile.from_env()
        settings = Settings.from_env({**os.environ, "INSTANCE": os.environ.get("INSTANCE") or "vector-1"})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve("qdrant" if arguments[0] == "qdrant" else "chroma", profile, settings))
    except (ProfileError, OSError, ValueError) as error:
        sys.stderr.write(f"mock {arguments[0]}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
