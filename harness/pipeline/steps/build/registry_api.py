"""A registry's HTTP API, as far as it tells what is there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT_S = 30.0
_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class RegistryError(Exception):
    """The registry does not answer, or not as it should. `conclusive`: it has something else than was pushed."""

    def __init__(self, message: str, *, conclusive: bool = False) -> None:
        super().__init__(message)
        self.conclusive = conclusive


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image's manifest. `digest` is computed from its bytes, whatever the registry says it is."""

    digest: str
    document: Mapping[str, Any]


class Registry:
    """One registry, asked without credentials."""

    def __init__(self, address: str, *, secure: bool) -> None:
        self._base = f"{'https' if secure else 'http'}://{address}/v2"
        self._address = address

    def answers(self) -> None:
        """Raises RegistryError where it does not speak the API."""
        status, _, _ = self._ask("GET", "/")
        if status != 200:
            raise RegistryError(f"{self._address} is no registry that answers everybody (status {status} on /v2/)")

    def manifest(self, name: str, reference: str) -> Manifest:
        """By tag or digest. Raises RegistryError."""
        status, headers, body = self._ask("GET", f"/{name}/manifests/{reference}", {"Accept": _ACCEPTED})
        if status != 200:
            raise RegistryError(f"{self._address} does not have {name}:{reference} (status {status})", conclusive=status == 404)
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        told = headers.get("docker-content-digest", digest)
        if told != digest:
            raise RegistryError(f"{self._address}: {name}:{reference} is told to be {told}, and is {digest}", conclusive=True)
        return Manifest(digest, json.loads(body))

    def has(self, name: str, blobs: Iterable[tuple[str, int]]) -> None:
        """Each blob is there, of its size in bytes. Raises RegistryError."""
        for digest, size in blobs:
            status, headers, _ = self._ask("HEAD", f"/{name}/blobs/{digest}")
            if status != 200 or int(headers.get("content-length", -1)) != size:
                raise RegistryError(f"{self._address} lacks {digest} of {name}, or has another size of it", conclusive=True)

    def _ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Mapping[str, str], bytes]:
        import httpx

        try:
            answer = httpx.request(method, f"{self._base}{path}", headers=headers, timeout=_TIMEOUT_S, follow_redirects=True)
        except httpx.HTTPError as error:
            raise RegistryError(f"no registry answers at {self._address}: {error or type(error).__name__}") from error
        return answer.status_code, answer.headers, answer.content
