"""Reading points: by query, by id, page by page, counted."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mocks.vector.call import Outcome
from mocks.vector.collection import Collection, Match, Point, PointId
from mocks.vector.history import Past
from mocks.vector.plan import Hits
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.decode import a_list, an_object, at_least, field, path, point_id, text
from mocks.vector.qdrant.hits import Parts, hit, parts, record, scored
from mocks.vector.qdrant.order import order_by
from mocks.vector.qdrant.paths import Path, items
from mocks.vector.qdrant.queries import Query
from mocks.vector.qdrant.requests import Find, mask_of, parse

Body = Mapping[str, Any]

_GROUPS = 10
_GROUP_SIZE = 3
_FACETS = 10


class Alternatives:
    """What else a query could have answered (`Others`)."""

    def __init__(self, query: Query, wanted: Parts) -> None:
        self._query = query
        self._wanted = wanted

    def nearest(self, k: int, *, filtered: bool = True) -> Hits:
        """As in `Others`."""
        return self._hits(self._query.top(k, filtered=filtered))

    def farthest(self, k: int, *, filtered: bool = True) -> Hits:
        """As in `Others`."""
        return self._hits(self._query.top(k, farthest=True, filtered=filtered))

    def behind(self, k: int) -> Hits:
        """As in `Others`."""
        last = self._query.offset + self._query.limit
        return self._hits(self._query.top(last + k)[last:])

    def before(self, id: PointId, keys: Sequence[str]) -> Past | None:
        """As in `Others`."""
        return self._query.collection.before(id, keys)

    def _hits(self, found: list[Match]) -> Hits:
        return [hit(self._query.collection, one.point, one.score, self._wanted) for one in found]


def query(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/query`."""
    found, wanted = parse(collection, body, find), parts(body, payload_default=False)
    return _ranked([found], [wanted], lambda lists: {"points": lists[0]})


def query_batch(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/query/batch`."""
    searches = a_list(field(body, "searches"), lambda one: an_object(one, "struct QueryRequest"))
    found = [parse(collection, one, find) for one in searches]
    return _ranked(found, [parts(one, payload_default=False) for one in searches], lambda lists: [{"points": points} for points in lists])


def query_groups(collection: Collection, body: Body, find: Find) -> Outcome:
    """`POST /points/query/groups`: the best points of the best groups; a group is a value at `group_by`."""
    key = path(field(body, "group_by"))
    most, size = at_least(body, "limit", 1, _GROUPS), at_least(body, "group_size", 1, _GROUP_SIZE)
    wanted = parts(body, payload_default=False)
    everything = parse(collection, {**body, "limit": max(1, len(collection.points))}, find)

    def grouped(lists: list[Hits]) -> dict[str, Any]:
        groups = _grouped(lists[0], key, most, size)
        return {"groups": [{"id": id, "hits": [scored(one, wanted) for one in hits]} for id, hits in groups]}

    if body.get("with_lookup") is not None:
        raise errors.unsupported("with_lookup")
    hits = [hit(collection, one.point, one.score, wanted) for one in everything.run()]
    return Outcome(grouped, [hits], [Alternatives(everything, wanted)], searches=True)


def _ranked(queries: list[Query], wanted: list[Parts], body: Callable[[list[list[dict[str, Any]]]], Any]) -> Outcome:
    lists = [
        [hit(one.collection, match.point, match.score, chosen) for match in one.run()] for one, chosen in zip(queries, wanted, strict=True)
    ]
    others = [Alternatives(one, chosen) for one, chosen in zip(queries, wanted, strict=True)]

    def shown(lists: list[Hits]) -> Any:
        return body([[scored(one, chosen) for one in hits] for hits, chosen in zip(lists, wanted, strict=True)])

    return Outcome(shown, lists, others, searches=True)


def _grouped(hits: Hits, key: Path, most: int, size: int) -> list[tuple[Any, Hits]]:
    groups: dict[tuple[type, Any], Hits] = {}
    for one in hits:
        values = (value for value in items(one.payload or {}, key) if isinstance(value, (str, int)) and not isinstance(value, bool))
        for known in dict.fromkeys((type(value), value) for value in values):
            if known not in groups and len(groups) == most:
                continue
            group = groups.setdefault(known, [])
            if len(group) < size:
                group.append(one)
    return [(value, group) for (_, value), group in groups.items()]


def retrieve(collection: Collection, body: Body) -> Outcome:
    """`POST /points`: those of the ids that are there, in the order asked for."""
    ids, wanted = a_list(field(body, "ids"), point_id), parts(body, payload_default=True)
    points = [collection.points[id] for id in dict.fromkeys(ids) if id in collection.points]
    return _read(collection, points, wanted, lambda records: records)


def one_point(collection: Collection, id: str) -> Outcome:
    """`GET /points/{id}`, with everything that the point has."""
    wanted = parts({"with_vector": True}, payload_default=True)
    key = point_id(int(id) if id.isdecimal() and id.isascii() and len(id) <= 20 else id)
    if key not in collection.points:
        raise errors.not_found(f"Point with id {key} does not exists!")
    return _read(collection, [collection.points[key]], wanted, lambda records: records[0] if records else None)


def scroll(collection: Collection, body: Body) -> Outcome:
    """`POST /points/scroll`: by id from `offset` on, or in the order of a payload's value (which has no next page)."""
    limit, wanted = at_least(body, "limit", 1, 10), parts(body, payload_default=True)
    mask = mask_of(collection, body.get("filter"))
    if body.get("order_by") is not None:
        if body.get("offset") is not None:
            raise errors.wrong_input(
                "Cannot use an `offset` when using `order_by`. The alternative for paging is to use `order_by.start_from`"
            )
        pairs = order_by(collection, body["order_by"]).sort(collection.points.values())
        kept = [(point, value) for point, value in pairs if mask is None or mask[point.row]][:limit]
        values = [value for _, value in kept]
        return _read(collection, [point for point, _ in kept], wanted, lambda records: _ordered_page(records, values))
    ids = collection.sorted_ids() if body.get("offset") is None else collection.ids_from(point_id(body["offset"]))
    points: list[Point] = []
    for id in ids:
        point = collection.points[id]
        if mask is None or mask[point.row]:
            points.append(point)
            if len(points) > limit:
                break
    following = points[limit].id if len(points) > limit else None
    return _read(collection, points[:limit], wanted, lambda records: {"points": records, "next_page_offset": following})


def count(collection: Collection, body: Body) -> Outcome:
    """`POST /points/count`: always exact."""
    mask = mask_of(collection, body.get("filter"))
    found = len(collection.points) if mask is None else int(mask.sum())
    return Outcome(lambda _: {"count": found})


def facet(collection: Collection, body: Body) -> Outcome:
    """`POST /facet`: the commonest values at a key, and how many points have each."""
    key, limit = path(field(body, "key")), at_least(body, "limit", 1, _FACETS)
    name = text(body["key"])
    if name not in collection.config["payload_schema"]:
        raise errors.wrong_input(f"No appropriate index for faceting: `{name}`. Please create one to facet on this field.")
    mask = mask_of(collection, body.get("filter"))
    counts: Counter[tuple[type, Any]] = Counter()
    for point in collection.points.values():
        if mask is None or mask[point.row]:
            counts.update({(type(value), value) for value in items(point.payload, key) if isinstance(value, (str, int))})
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], str(entry[0][1])))[:limit]
    return Outcome(lambda _: {"hits": [{"value": value, "count": number} for (_, value), number in ordered]})


def _read(collection: Collection, points: list[Point], wanted: Parts, body: Callable[[list[dict[str, Any]]], Any]) -> Outcome:
    hits: Hits = [hit(collection, point, None, wanted) for point in points]
    everything = Query(collection, limit=max(1, len(points)), offset=0, threshold=None, allowed=None)
    return Outcome(lambda lists: body([record(one, wanted) for one in lists[0]]), [hits], [Alternatives(everything, wanted)])


def _ordered_page(records: list[dict[str, Any]], values: list[int | float]) -> dict[str, Any]:
    shown = [{**one, "order_value": value} for one, value in zip(records, values, strict=False)]
    return {"points": shown, "next_page_offset": None}
