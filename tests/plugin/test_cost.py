"""Every session of pytest on the machine loads the plug-in: it must cost next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys

LOADED = """
import json, sys
import pytest
before = set(sys.modules)
import harness.testing.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_loading_the_plugin_imports_nothing_but_itself_and_the_standard_library() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60)
    new = {name for name in json.loads(done.stdout) if name.partition(".")[0] not in sys.stdlib_module_names}
    ours = {name for name in new if name == "harness" or name.startswith("harness.testing")}
    assert new - ours == {"harness.record", "harness.record.clock"}
