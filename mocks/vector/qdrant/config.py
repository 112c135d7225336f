"""The configuration of a collection: what may be asked for, and how it is shown."""

import copy
import re
from collections.abc import Mapping
from typing import Any

from mocks.vector.collection import Collection, Space
from mocks.vector.index import Metric
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.decode import FormatError, RangeError, an_object, field, text, whole

METRICS: dict[str, Metric] = {"Cosine": "dot", "Dot": "dot", "Euclid": "euclid", "Manhattan": "manhattan"}
"""Vectors of a `Cosine` space are normalised when they come, as Qdrant does; their product is then the cosine."""
DATA_TYPES = ("keyword", "integer", "float", "geo", "text", "bool", "datetime", "uuid")

_MOST_DIMENSIONS = 65_536
_HNSW: dict[str, Any] = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10_000, "max_indexing_threads": 0, "on_disk": False}
_OPTIMIZERS: dict[str, Any] = {
    "deleted_threshold": 0.2,
    "vacuum_min_vector_number": 1_000,
    "default_segment_number": 0,
    "max_segment_size": None,
    "memmap_threshold": None,
    "indexing_threshold": 10_000,
    "flush_interval_sec": 5,
    "max_optimization_threads": None,
}
_WAL: dict[str, Any] = {"wal_capacity_mb": 32, "wal_segments_ahead": 0, "wal_retain_closed": 1}
_PARAMS: dict[str, Any] = {"shard_number": 1, "replication_factor": 1, "write_consistency_factor": 1, "on_disk_payload": True}
_SHARED_PARAMS = ("shard_number", "sharding_method", "replication_factor", "write_consistency_factor", "on_disk_payload")
_SECTIONS = {
    "hnsw_config": ("hnsw_config", _HNSW),
    "optimizers_config": ("optimizer_config", _OPTIMIZERS),
    "wal_config": ("wal_config", _WAL),
}
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_BAD_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]')


def check_name(name: str) -> None:
    """Whether a collection may be called that. Raises RangeError."""
    bad = _BAD_NAME.search(name)
    if bad is not None:
        raise RangeError(f'name: value "{name}" invalid, collection name cannot contain "{bad[0]}" char')
    if len(name) > 255:
        raise RangeError(f"name: value {name[:16]}… invalid, must be at most 255 characters")


def new_config(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Space]]:
    """Configuration, as it is shown, and vector spaces that a creation asks for. Raises VectorError, FormatError, RangeError."""
    if document.get("sparse_vectors"):
        raise errors.unsupported("a sparse vector")
    spaces, shown = _vectors(document.get("vectors"))
    params = {"vectors": shown, **_PARAMS, **{key: document[key] for key in _SHARED_PARAMS if document.get(key) is not None}}
    config: dict[str, Any] = {"params": params}
    for key, (section, defaults) in _SECTIONS.items():
        config[section] = {**defaults, **_section(document, key)}
    config["quantization_config"] = document.get("quantization_config")
    config["strict_mode_config"] = document.get("strict_mode_config")
    if document.get("metadata") is not None:
        config["metadata"] = an_object(document["metadata"], "a map")
    return {**config, "payload_schema": {}}, spaces


def changed_config(config: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration after an update. Raises VectorError, FormatError."""
    changed = copy.deepcopy(dict(config))
    for key, (section, _) in _SECTIONS.items():
        changed[section].update(_section(document, key))
    changed["params"].update(_section(document, "params"))
    for key in ("quantization_config", "strict_mode_config"):
        if document.get(key) is not None:
            changed[key] = an_object(document[key], "a map")
    for name, diff in _section(document, "vectors").items():
        shown = changed["params"]["vectors"]
        held = shown if name == "" and "size" in shown else shown.get(name)
        if not isinstance(held, dict):
            raise errors.wrong_input(f"Not existing vector name error: {name}")
        held.update(an_object(diff, "struct VectorParamsDiff"))
    if document.get("metadata") is not None:
        merged = {**changed.get("metadata", {}), **an_object(document["metadata"], "a map")}
        changed["metadata"] = {key: value for key, value in merged.items() if value is not None}
    return changed


def info(collection: Collection, version: str) -> dict[str, Any]:
    """What `GET /collections/{name}` says; before 1.13, vectors were counted as well and the number of threads was never null."""
    config = {key: value for key, value in collection.config.items() if key != "payload_schema"}
    schema = {
        name: {**entry, "points": sum(name.split(".", 1)[0].split("[", 1)[0] in point.payload for point in collection.points.values())}
        for name, entry in collection.config["payload_schema"].items()
    }
    shown: dict[str, Any] = {}
    found = _VERSION.match(version)
    if found is not None and (int(found[1]), int(found[2])) < (1, 13):
        shown["vectors_count"] = sum(map(collection.vectors_count, collection.spaces))
        config["optimizer_config"] = {**config["optimizer_config"], "max_optimization_threads": 1}
    return {
        **shown,
        "status": "green",
        "optimizer_status": "ok",
        "indexed_vectors_count": 0,
        "points_count": len(collection.points),
        "segments_count": 1,
        "config": config,
        "payload_schema": schema,
    }


def index_entry(schema: Any) -> dict[str, Any]:
    """The entry of a payload index for what its creation asks for: a type, or parameters with a type. Raises FormatError."""
    kind = schema.get("type") if isinstance(schema, dict) else schema
    if not isinstance(kind, str) or kind not in DATA_TYPES:
        raise FormatError("data did not match any variant of untagged enum PayloadFieldSchema")
    return {"data_type": kind, **({"params": schema} if isinstance(schema, dict) else {})}


def is_cosine(collection: Collection, name: str) -> bool:
    """Whether vectors of that name are to be normalised."""
    shown = collection.config["params"]["vectors"]
    params = shown if "size" in shown and isinstance(shown["size"], int) else shown[name]
    return bool(params["distance"] == "Cosine")


def _section(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    given = an_object(document[key], "a map") if document.get(key) is not None else {}
    return {name: value for name, value in given.items() if value is not None}


def _vectors(document: Any) -> tuple[dict[str, Space], dict[str, Any]]:
    if document is None:
        return {}, {}
    if not isinstance(document, dict):
        raise FormatError("data did not match any variant of untagged enum VectorsConfig")
    if isinstance(document.get("size"), int):
        space, shown = _vector(document, "vectors")
        return {"": space}, shown
    pairs = {name: _vector(params, f"vectors.{name}") for name, params in document.items()}
    return {name: space for name, (space, _) in pairs.items()}, {name: shown for name, (_, shown) in pairs.items()}


def _vector(document: Any, where: str) -> tuple[Space, dict[str, Any]]:
    if not isinstance(document, dict):
        raise FormatError("data did not match any variant of untagged enum VectorsConfig")
    if document.get("multivector_config") is not None:
        raise errors.unsupported("a multivector")
    distance = text(field(document, "distance"))
    if distance not in METRICS:
        raise FormatError(f"unknown variant `{distance}`, expected one of `Cosine`, `Euclid`, `Dot`, `Manhattan`")
    size = whole(field(document, "size"))
    if not 1 <= size <= _MOST_DIMENSIONS:
        raise RangeError(f"{where}.size: value {size} invalid, must be from 1 to {_MOST_DIMENSIONS}")
    kept = {key: value for key, value in document.items() if key not in ("size", "distance") and value is not None}
    return Space(METRICS[distance], size), {"size": size, "distance": distance, **kept}
