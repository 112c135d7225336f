"""A certificate that was not renewed in time: TLS in front of the entry goes on, and nobody who verifies it comes in."""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, act, capability
from harness.faults.process import NoParameters
from harness.lazy import Lazy
from harness.scenario.catalog import FaultSpec
from harness.stack.base import Certified, Front, Fronted

if TYPE_CHECKING:
    from cryptography import x509
else:
    x509 = Lazy("cryptography.x509")

TIMEOUT_S = 2.0
HTTPS = 443
EXPIRED = 10
"""X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h."""
AGREEING = 5
"""Handshakes in a row. While nginx reloads, workers of before and after accept side by side, for a tenth of a second and more: a single
handshake tells of one of them."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """One, as a client holds it that verifies. `refused`: OpenSSL's number of the reason, and its words; None where it went on."""

    fingerprint: str  # SHA-256 of the certificate that was served
    not_after: str  # ISO 8601, UTC
    refused: tuple[int, str] | None


def shake_hands(front: Front) -> Handshake:
    """Connect as users do; where that is refused, once more to see whose certificate it is. Raises FaultError where nobody answers."""
    verifying = ssl.create_default_context(cadata=front.trusted)
    try:
        return _seen(_served(front.url, verifying), None)
    except ssl.SSLCertVerificationError as error:
        refused = (error.verify_code, error.verify_message)
    except OSError as error:
        raise FaultError(f"{front.url}: {type(error).__name__}: {error}") from error
    looking = ssl.create_default_context()
    looking.check_hostname = False
    looking.verify_mode = ssl.CERT_NONE
    try:
        return _seen(_served(front.url, looking), refused)
    except OSError as error:
        raise FaultError(f"{front.url}: {type(error).__name__}: {error}") from error


def agreed(front: Front) -> Handshake | None:
    """What everybody gets who connects; None while some get one certificate and some another. Raises FaultError as `shake_hands` does."""
    seen = {shake_hands(front) for _ in range(AGREEING)}
    return seen.pop() if len(seen) == 1 else None


def _served(url: str, context: ssl.SSLContext) -> bytes:
    """The certificate (DER) that is served. Raises OSError."""
    parts = urlsplit(url)
    with (
        socket.create_connection((parts.hostname or "", parts.port or HTTPS), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _seen(certificate: bytes, refused: tuple[int, str] | None) -> Handshake:
    not_after = x509.load_der_x509_certificate(certificate).not_valid_after_utc
    return Handshake(hashlib.sha256(certificate).hexdigest(), not_after.isoformat(), refused)


class CertificateExpired(TargetedFault[NoParameters]):
    """What ends TLS serves a certificate that has expired; everything behind it is well."""

    spec = FaultSpec(
        name="credentials.tls_certificate_expired",
        summary="What ends TLS in front of the entry is reloaded with an expired certificate: whoever verifies it gets no further.",
        kind="credentials",
        parameters=NoParameters,
        targets=("service",),
        needs=("Certified",),
        evidence="a handshake fails, as the certificate has expired; gone: one succeeds, with the certificate of before (SHA-256)",
        example="{id: not-renewed, type: credentials.tls_certificate_expired, target: ingress, at: fault, for: 30s}",
        only_roles=("tls",),
    )

    def __init__(self, target: Target, parameters: NoParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._own: str | None = None  # fingerprint of the certificate before
        self._swapped = False

    def inject(self) -> None:
        if not self._swapped:
            before = shake_hands(self._front)
            if before.refused is not None:
                raise FaultError(f"its certificate is refused even now: {before.refused[1]}")
            self._own = before.fingerprint
        self._serve(expired=True)

    def verify(self) -> Evidence | None:
        seen = agreed(self._front)
        if seen is None or seen.refused is None or seen.refused[0] != EXPIRED or seen.fingerprint == self._own:
            return None
        return {"refused": seen.refused[1], "not_after": seen.not_after, "served_sha256": seen.fingerprint, "own_sha256": self._own}

    def heal(self) -> None:
        if self._swapped:
            self._serve(expired=False)

    def gone(self) -> Evidence | None:
        seen = agreed(self._front)
        if seen is None or seen.refused is not None or (self._own is not None and seen.fingerprint != self._own):
            return None
        return {"verified": True, "served_sha256": seen.fingerprint, "not_after": seen.not_after}

    @property
    def _front(self) -> Front:
        front = capability(self.context.stack, Fronted).front
        if front is None:
            raise FaultError("nothing in front of the entry ends TLS")
        return front

    def _serve(self, expired: bool) -> None:
        stack = capability(self.context.stack, Certified)
        self._swapped = True  # whatever comes of it: what was half done has to be taken back
        act("changing the certificate", lambda: stack.set_certificate(self.target.service, expired))
        self._swapped = expired


FAULTS = (CertificateExpired,)
