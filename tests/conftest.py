"""Settings of the whole suite."""

from __future__ import annotations

from hypothesis import settings

# An example may take as long as the machine needs: a deadline would make a slow machine's test fail. The suite's timeout still ends a hang.
settings.register_profile("gauntlet", deadline=None, print_blob=True)
settings.load_profile("gauntlet")
