"""Values of payloads as Qdrant understands them: moments and places on Earth."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, NamedTuple

_EARTH_RADIUS_M = 6_371_008.8  # the mean of the International Union of Geodesy and Geophysics
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENT = re.compile(
    r"\s*(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?(?: ?(?P<zone>[Zz]|UTC|[+-]\d{2}(?::?\d{2})?))?"
)


def moment(text: object) -> datetime | None:
    """A moment from RFC 3339 or a shorter form (no zone: UTC; no time: midnight), to the microsecond; None where it is none."""
    match = _MOMENT.fullmatch(text) if isinstance(text, str) and text.isascii() else None
    if match is None or (match["zone"] and match[6] is None):
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    micros = int((match[7] or "0").ljust(6, "0")[:6])
    try:
        return datetime(year, month, day, hour, minute, second, micros, tzinfo=_zone(match["zone"]))
    except ValueError:
        return None


def microseconds(when: datetime) -> int:
    """Microseconds since 1970."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def _zone(text: str | None) -> tzinfo:
    if text is None or text[0] not in "+-":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[3:].lstrip(":") or 0)
    return timezone(timedelta(minutes=minutes if text[0] == "+" else -minutes))


class Place(NamedTuple):
    """Degrees."""

    lon: float
    lat: float


def place(value: Any) -> Place | None:
    """The place that an object with `lon` and `lat` is; None for anything else."""
    if not isinstance(value, dict):
        return None
    lon, lat = value.get("lon"), value.get("lat")
    for one in (lon, lat):
        if isinstance(one, bool) or not isinstance(one, (int, float)):
            return None
    return Place(float(lon), float(lat))  # type: ignore[arg-type]  # checked in the loop


def distance_m(a: Place, b: Place) -> float:
    """The great-circle distance of two places, by the haversine formula."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.lon - a.lon) / 2) ** 2
    return 2 * _EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half)))


def in_ring(spot: Place, ring: Sequence[Place], *, edge: bool) -> bool:
    """Whether a place lies in a closed line (even-odd rule); `edge` is the answer for one that lies on it."""
    inside = False
    for a, b in zip(ring, [*ring[1:], ring[0]], strict=True):
        if _on_segment(spot, a, b):
            return edge
        if (a.lon > spot.lon) != (b.lon > spot.lon):
            crossing = (b.lat - a.lat) * (spot.lon - a.lon) / (b.lon - a.lon) + a.lat
            inside ^= spot.lat < crossing
    return inside


def _on_segment(spot: Place, a: Place, b: Place) -> bool:
    level = spot.lon * (a.lat - b.lat) + a.lon * (b.lat - spot.lat) + b.lon * (spot.lat - a.lat)
    return level == 0 and (a.lat - spot.lat) * (b.lat - spot.lat) <= 0 and (a.lon - spot.lon) * (b.lon - spot.lon) <= 0
