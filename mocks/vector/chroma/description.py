"""What a collection says of itself: its configuration, its schema, its metadata."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mocks.vector.chroma.decode import MismatchError, choice, mapping, optional
from mocks.vector.chroma.errors import invalid_argument, invalid_field
from mocks.vector.collection import Space
from mocks.vector.index import Metric

SPACES: Mapping[str, Metric] = {"l2": "squared_euclid", "cosine": "cosine", "ip": "dot"}
"""Chroma's names, and the index's."""

_HNSW: Mapping[str, Any] = {
    "space": "l2",
    "ef_construction": 100,
    "ef_search": 100,
    "max_neighbors": 16,
    "resize_factor": 1.2,
    "sync_threshold": 1000,
}
_HIDDEN: Mapping[str, Any] = {"num_threads": 2, "batch_size": 100}
"""Known to the schema alone; the first is the machine's number of processors on a real server."""
_CREATABLE = ("space", "ef_construction", "ef_search", "max_neighbors", "num_threads", "resize_factor", "sync_threshold", "batch_size")
_CHANGEABLE = ("ef_search", "max_neighbors", "num_threads", "resize_factor", "sync_threshold", "batch_size")
_FROM_METADATA = {
    "hnsw:space": "space",
    "hnsw:construction_ef": "ef_construction",
    "hnsw:search_ef": "ef_search",
    "hnsw:M": "max_neighbors",
    "hnsw:resize_factor": "resize_factor",
    "hnsw:sync_threshold": "sync_threshold",
}


def new_config(configuration: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    """The configuration to keep with a new collection: `{"hnsw", "embedding_function", "metadata"}`.

    `hnsw:…` of the metadata wins over the configuration, as on the real server. Raises MismatchError, VectorError.
    """
    given = configuration or {}
    hnsw = _hnsw(given, _CREATABLE, "configuration")
    spann = optional(given, "spann", lambda value, _: mapping(value, "configuration.spann"))
    spann_space = optional(spann or {}, "space", lambda value, _: choice(tuple(SPACES))(value, "configuration.spann.space"))
    if hnsw and spann:
        raise invalid_argument("Multiple vector index configurations provided")
    chosen = {**_HNSW, **hnsw, **({} if spann_space is None else {"space": spann_space})}
    for key, parameter in _FROM_METADATA.items():
        if metadata is not None and key in metadata:
            chosen[parameter] = metadata[key]
    if chosen["space"] not in SPACES:
        raise invalid_argument("Failed to parse hnsw parameters from segment metadata")
    function = optional(given, "embedding_function", lambda value, _: mapping(value, "configuration.embedding_function"))
    return {"hnsw": chosen, "embedding_function": function, "metadata": dict(metadata) if metadata is not None else None}


def changed_config(
    config: Mapping[str, Any], configuration: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None
) -> dict[str, Any]:
    """`config` after a change of the collection. Raises MismatchError."""
    hnsw = _hnsw(configuration or {}, _CHANGEABLE, "new_configuration")
    function = (configuration or {}).get("embedding_function") or config["embedding_function"]
    kept = dict(metadata) if metadata is not None else config["metadata"]
    return {"hnsw": {**config["hnsw"], **hnsw}, "embedding_function": function, "metadata": kept}


def check_metadata(field: str, metadata: Mapping[str, Any] | None) -> None:
    """Raises VectorError for metadata that a collection cannot have."""
    if metadata is None:
        return
    if not metadata:
        raise invalid_field(field, "Metadata cannot be empty")
    for key in metadata:
        problem = key_problem(key)
        if problem is not None:
            raise invalid_field(field, problem)


def key_problem(key: str) -> str | None:
    """Why a metadata key cannot be."""
    if not key:
        return "Metadata key cannot be empty"
    return f"Metadata key cannot start with '#' or '$': {key}" if key[0] in "#$" else None


def space(config: Mapping[str, Any]) -> Space:
    """The index's space of a collection; its first vector decides on the dimensions."""
    return Space(SPACES[config["hnsw"]["space"]])


def described(config: Mapping[str, Any], *, legacy: bool) -> dict[str, Any]:
    """`configuration_json` and `schema` of an answer; `legacy` for clients before 1.0, which know no schema."""
    hnsw, function = config["hnsw"], config["embedding_function"]
    if legacy:
        return {"configuration_json": _legacy(hnsw)}
    shown = {name: hnsw[name] for name in _HNSW}
    return {"configuration_json": {"hnsw": shown, "spann": None, "embedding_function": function}, "schema": _schema(hnsw, function)}


def _hnsw(configuration: Mapping[str, Any], known: tuple[str, ...], path: str) -> dict[str, Any]:
    given = optional(configuration, "hnsw", lambda value, _: mapping(value, f"{path}.hnsw")) or {}
    for name, value in given.items():
        if name not in known:
            names = ", ".join(f"`{one}`" for one in known)
            raise MismatchError(f"{path}.hnsw.{name}", f"unknown field `{name}`, expected one of {names}")
        if name == "space":
            choice(tuple(SPACES))(value, f"{path}.hnsw.space")
    return {name: value for name, value in given.items() if value is not None}


def _schema(hnsw: Mapping[str, Any], function: Mapping[str, Any] | None) -> dict[str, Any]:
    parameters = {name: value for name, value in {**_HIDDEN, **hnsw}.items() if name != "space"}
    vector: dict[str, Any] = {"space": hnsw["space"], "hnsw": parameters}
    if function is not None:
        vector["embedding_function"] = function
    schema = deepcopy(_SCHEMA)
    schema["defaults"]["float_list"] = {"vector_index": {"enabled": False, "config": vector}}
    schema["keys"]["#embedding"] = {"float_list": {"vector_index": {"enabled": True, "config": {**vector, "source_key": "#document"}}}}
    return schema


def _index(name: str, *, enabled: bool, **config: Any) -> dict[str, Any]:
    return {name: {"enabled": enabled, "config": config}}


_SCHEMA: dict[str, Any] = {
    "defaults": {
        "string": {**_index("fts_index", enabled=False), **_index("string_inverted_index", enabled=True)},
        "sparse_vector": _index("sparse_vector_index", enabled=False, embedding_function={"type": "unknown"}, bm25=False),
        "int": _index("int_inverted_index", enabled=True),
        "float": _index("float_inverted_index", enabled=True),
        "bool": _index("bool_inverted_index", enabled=True),
    },
    "keys": {"#document": {"string": {**_index("fts_index", enabled=True), **_index("string_inverted_index", enabled=False)}}},
}


def _legacy(hnsw: Mapping[str, Any]) -> dict[str, Any]:
    """As a server of 0.6 put it."""
    parameters = {
        "space": hnsw["space"],
        "ef_construction": hnsw["ef_construction"],
        "ef_search": hnsw["ef_search"],
        "num_threads": _HIDDEN["num_threads"],
        "M": hnsw["max_neighbors"],
        "resize_factor": hnsw["resize_factor"],
        "batch_size": _HIDDEN["batch_size"],
        "sync_threshold": hnsw["sync_threshold"],
        "_type": "HNSWConfigurationInternal",
    }
    return {"hnsw_configuration": parameters, "_type": "CollectionConfigurationInternal"}
