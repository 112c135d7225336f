"""`python -m mocks.llm`: run the mock provider; docs/reference-stack.md lists its environment."""

import asyncio
import gc
import os
import sys


def main() -> int:
    """Serve until told to stop: 0; or 2 with one line on stderr where it cannot start."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy is loaded, which keeps buffers for every thread
    import uvloop

    from mocks.common.checks import ProfileError
    from mocks.common.settings import Settings
    from mocks.llm.profile import profile_from_env
    from mocks.llm.server import serve

    try:
        profile, settings = profile_from_env(), Settings.from_env()
        # What a request leaves behind is freed without the collector, which would only look through the journal over and over.
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(profile, settings))
    except (ProfileError, OSError) as error:
        sys.stderr.write(f"mock llm: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
