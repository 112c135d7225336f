"""A certificate authority of one run, and what it issues: TLS in front of a stack that clients can verify, and one that has expired."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from harness.record.clock import utc_now

CERTIFICATE, KEY = "tls.crt", "tls.key"
LASTS = timedelta(days=30)
ISSUED_BEFORE = timedelta(days=90)
"""How long ago an expired one was issued: about as long as those that are renewed by a machine last."""
EXPIRED_SINCE = timedelta(hours=1)


class Certificates:
    """The files of one server below `folder`: `tls.crt` and `tls.key`, and `authority.pem` beside the folder, for its clients.

    The authority's key is kept in memory alone. Names follow RFC 5280: SANs, key usage, key identifiers.
    """

    def __init__(self, folder: Path, names: Sequence[str], hand_over: Callable[[Path], None]) -> None:
        """Nothing is made yet. `names` are host names and IP addresses; `hand_over` makes a private file belong to the server."""
        self._folder = folder
        self._names = names
        self._hand_over = hand_over
        self._valid = b""

    @property
    def folder(self) -> Path:
        """What the server is shown."""
        return self._folder

    @property
    def authority(self) -> Path:
        """The authority's certificate, PEM."""
        return self._folder.with_name("authority.pem")

    def make(self) -> None:
        """Make the authority, the server's key, and a certificate that lasts longer than any run."""
        self._folder.mkdir(mode=0o755)
        now = utc_now()
        self._issuer_key = ec.generate_private_key(ec.SECP256R1())
        self._server_key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = self._self_signed(now)
        self.authority.write_bytes(_pem(self._issuer))
        self._write(KEY, 0o600, _key_pem(self._server_key))
        self._valid = _pem(self._issue(now - timedelta(hours=1), now + LASTS))
        self._write(CERTIFICATE, 0o644, self._valid)

    def serve(self, expired: bool) -> None:
        """Put an expired certificate, of the same key and authority, in the place of the server's; or that one again, byte for byte."""
        now = utc_now()
        served = _pem(self._issue(now - ISSUED_BEFORE, now - EXPIRED_SINCE)) if expired else self._valid
        self._write(CERTIFICATE, 0o644, served)

    def _write(self, name: str, mode: int, content: bytes) -> None:
        """Nobody ever reads half of it."""
        fresh = self._folder / f"{name}.new"
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=mode)
        fresh.chmod(mode)  # whatever the umask
        fresh.write_bytes(content)
        self._hand_over(fresh)
        fresh.replace(self._folder / name)

    def _self_signed(self, now: datetime) -> x509.Certificate:
        name = _name("run authority")
        uses = _usage(key_cert_sign=True, crl_sign=True)
        return (
            _builder(name, name, self._issuer_key.public_key(), now - 2 * ISSUED_BEFORE, now + 2 * LASTS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(uses, critical=True)
            .sign(self._issuer_key, hashes.SHA256())
        )

    def _issue(self, since: datetime, until: datetime) -> x509.Certificate:
        """For the server."""
        known_as = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._issuer_key.public_key())
        return (
            _builder(_name(self._names[0]), self._issuer.subject, self._server_key.public_key(), since, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in self._names]), critical=False)
            .add_extension(known_as, critical=False)
            .sign(self._issuer_key, hashes.SHA256())
        )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(**allowed: bool) -> x509.KeyUsage:
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
        "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**dict.fromkeys(every, False) | allowed)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoded = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*encoded)
