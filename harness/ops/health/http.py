"""Questions over HTTP: a service's own health, a generation of one token, an embedding, a query of a vector store."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from harness.ops.health.answer import DegradedError, UnaskedError, UnwellError
from harness.ops.stackfile.loading import expanded
from harness.ops.stackfile.model import Health

_WORD = "ping"
_ANTHROPIC_VERSION = "2023-06-01"
_SHOWN = 160


@contextmanager
def client(how: Health) -> Iterator[httpx.Client]:
    """With the headers and the patience of the question; failures of the network are the part's."""
    headers = {name: expanded(value, os.environ) for name, value in how.headers.items()}
    if how.key_env is not None:
        key = os.environ.get(how.key_env)
        if not key:
            raise UnaskedError(f"the variable {how.key_env}, which holds the key, is not set")
        headers |= {"x-api-key": key} if how.api == "anthropic" else {"authorization": f"Bearer {key}", "api-key": key}
    if how.api == "anthropic":
        headers["anthropic-version"] = _ANTHROPIC_VERSION
    try:
        with httpx.Client(timeout=how.timeout, headers=headers, follow_redirects=False, verify=_trusting(how)) as made:
            yield made
    except httpx.TimeoutException as error:
        raise UnwellError(f"no answer within {how.timeout:g} s") from error
    except httpx.ConnectError as error:
        raise UnwellError("refused" if "refused" in str(error).lower() else f"no connection: {error}") from error
    except httpx.HTTPError as error:
        raise UnwellError(f"{type(error).__name__}: {error}") from error


def _trusting(how: Health) -> ssl.SSLContext:
    """This machine's authorities, and those that are trusted beside them."""
    context = ssl.create_default_context()
    if how.trusted is not None:
        try:
            context.load_verify_locations(how.trusted)
        except OSError as error:
            raise UnaskedError(f"{how.trusted}: no certificates: {error.strerror or error}") from error
    return context


def ask_service(url: str, how: Health) -> str:
    """GET its health, or POST what the STACK.yaml says. Returns the detail."""
    target = how.url or f"{url}{how.path or '/health'}"
    with client(how) as made:
        method = how.method or ("GET" if how.body is None else "POST")
        response = made.request(method, target, json=how.body) if how.body is not None else made.request(method, target)
    any_at_all = how.status == "any"
    if not (response.status_code < 500 if any_at_all else response.status_code == how.status):
        wanted = "less than 500" if any_at_all else how.status
        raise UnwellError(f"HTTP {response.status_code} where {wanted} is healthy{_why(response)}")
    if how.contains is not None and how.contains not in response.text:
        raise UnwellError(f"the answer does not contain {how.contains!r}")
    return f"HTTP {response.status_code}"


def models_of(url: str, how: Health) -> list[str]:
    """What a provider is asked for: the models of the STACK.yaml, else the first that it lists and that is of this kind."""
    if how.models:
        return how.models
    with client(how) as made:
        listed = _document(made.get(_api(url, "models")))
    return [str(one["id"]) for one in listed.get("data", ()) if isinstance(one, dict) and "id" in one]


def chat_models(names: list[str]) -> list[str]:
    """The first that does not embed."""
    found = [name for name in names if "embed" not in name.lower()][:1]
    if not found:
        raise UnaskedError("the provider lists no model; name one under health.models")
    return found


def embedding_models(names: list[str]) -> list[str]:
    """The first that embeds."""
    found = [name for name in names if "embed" in name.lower()][:1] or names[:1]
    if not found:
        raise UnaskedError("the provider lists no model; name one under health.models")
    return found


def ask_generation(url: str, model: str, how: Health) -> str:
    """One token of one model."""
    messages = [{"role": "user", "content": _WORD}]
    with client(how) as made:
        if how.api == "anthropic":
            found = _document(made.post(_api(url, "messages"), json={"model": model, "messages": messages, "max_tokens": 1}))
            said = found.get("content")
        else:
            target = _api(url, "chat/completions")
            response = made.post(target, json={"model": model, "messages": messages, "max_tokens": 1})
            if response.status_code == 400 and "max_completion_tokens" in response.text:  # newer models want it by this name
                response = made.post(target, json={"model": model, "messages": messages, "max_completion_tokens": 16})
            found = _document(response)
            said = found.get("choices")
    if not said:
        raise UnwellError("the answer generated nothing")
    return f"{model} generates"


def ask_embedding(url: str, model: str, how: Health) -> str:
    """The vector of one word."""
    with client(how) as made:
        found = _document(made.post(_api(url, "embeddings"), json={"model": model, "input": _WORD}))
    data = found.get("data")
    vector = data[0].get("embedding") if isinstance(data, list) and data and isinstance(data[0], dict) else None
    if not vector:
        raise UnwellError("the answer has no embedding")
    return f"{model} embeds, {len(vector)} dimensions" if isinstance(vector, list) else f"{model} embeds"


def ask_vector_store(url: str, how: Health) -> str:
    """A query of one collection, of one result."""
    with client(how) as made:
        product = how.product or ("qdrant" if "qdrant" in made.get(f"{url}/").text.lower() else "chroma")
        return _qdrant(made, url, how) if product == "qdrant" else _chroma(made, url, how)


def _qdrant(made: httpx.Client, url: str, how: Health) -> str:
    listed = _document(made.get(f"{url}/collections"))["result"]["collections"]
    name = how.collection or next((one["name"] for one in listed), None)
    if name is None:
        return "Qdrant answers; there is no collection that could be queried"
    vectors = _document(made.get(f"{url}/collections/{name}"))["result"]["config"]["params"].get("vectors", {})
    using = None if "size" in vectors else next(iter(vectors), None)
    size = (vectors if using is None else vectors[using]).get("size")
    if size is None:
        return f"Qdrant answers; {name} has no dense vectors that could be queried"
    body: dict[str, Any] = {"query": [1.0] * size, "limit": 1} | ({"using": using} if using else {})
    points = _document(made.post(f"{url}/collections/{name}/points/query", json=body))["result"]["points"]
    return f"Qdrant, {name}: a query finds {'a point' if points else 'nothing'}"


def _chroma(made: httpx.Client, url: str, how: Health) -> str:
    base = f"{url}/api/v2/tenants/default_tenant/databases/default_database/collections"
    response = made.get(base)
    _document(response)
    listed = response.json()
    chosen = next((one for one in listed if how.collection in (None, one["name"])), None)
    if chosen is None and how.collection is not None:
        raise UnwellError(f"there is no collection {how.collection!r}")
    if chosen is None or not chosen.get("dimension"):
        return "Chroma answers; there is no collection that could be queried"
    body = {"query_embeddings": [[1.0] * chosen["dimension"]], "n_results": 1}
    found = _document(made.post(f"{base}/{chosen['id']}/query", json=body))["ids"]
    return f"Chroma, {chosen['name']}: a query finds {'a record' if found and found[0] else 'nothing'}"


def _api(url: str, path: str) -> str:
    """Below the version, which the address may have already."""
    base = url.rstrip("/")
    return f"{base}/{path}" if base.rsplit("/", 1)[-1].startswith("v") and base.rsplit("/", 1)[-1][1:].isdigit() else f"{base}/v1/{path}"


def _document(response: httpx.Response) -> Mapping[str, Any]:
    """Its JSON; what the provider says instead, as an error."""
    if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise DegradedError(f"rate limited{_why(response)}")
    if response.status_code in (401, 403):
        raise UnwellError(f"refuses our key: HTTP {response.status_code}")
    if not response.is_success:
        raise UnwellError(f"HTTP {response.status_code}{_why(response)}")
    try:
        document = response.json()
    except ValueError as error:
        raise UnwellError("the answer is no JSON") from error
    return document if isinstance(document, dict) else {}


def _why(response: httpx.Response) -> str:
    text = " ".join(response.text.split())
    return f": {text[:_SHOWN]}{'…' if len(text) > _SHOWN else ''}" if text else ""
