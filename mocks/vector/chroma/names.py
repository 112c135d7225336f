"""Names of collections and databases."""

import ipaddress
import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,510}[A-Za-z0-9]")


def name_problem(name: str) -> str | None:
    """Why a collection or database cannot be called that; None where it can."""
    if not _NAME.fullmatch(name):
        return (
            "Expected a name containing 3-512 characters from [a-zA-Z0-9._-], starting and ending with a character in [a-zA-Z0-9]. "
            f"Got: {name}"
        )
    if ".." in name:
        return f"Expected a name that does not contains two consecutive periods (..). Got {name}"
    return f"Expected a name that is not a valid ip address. Got {name}" if _is_address(name) else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True
