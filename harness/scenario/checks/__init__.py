"""The checks that need no running system, one file per part of the scenario. Each yields problems; none stops at the first."""
