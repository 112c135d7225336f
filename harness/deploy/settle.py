"""What is done about a deploy whose carrier is dead: by its lease (`python -m harness.deploy.settle NAME`), and by `gauntlet clean`."""

from __future__ import annotations

import sys

from harness.deploy.routing import RoutingError
from harness.deploy.side_api import SideError
from harness.deploy.site import Site, SiteError, sites


def settle_abandoned() -> tuple[list[str], list[str]]:
    """Every site of this user on which a deploy died: what was done, and what could not be."""
    done: list[str] = []
    left: list[str] = []
    for site in sites():
        try:
            if site.stands and site.abandoned:
                done.append(site.settle())
        except (SiteError, SideError, RoutingError) as error:
            left.append(f"{site.name}: {error}")
    return done, left


def main(argv: list[str]) -> int:
    """0 when exactly one version serves, or the site is gone; 1 when not, with the reason."""
    site = Site(argv[1])
    if not site.folder.is_dir():
        sys.stdout.write(f"{site.name} is gone\n")
        return 0
    try:
        sys.stdout.write(site.settle() + "\n")
    except (SiteError, SideError, RoutingError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
