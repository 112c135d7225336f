"""What a client may ask of a server, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes and seconds for one connection."""

    head_bytes: int = 64 * 1024
    """Request target and headers; more is answered with 431."""
    body_bytes: int = 32 * 1024 * 1024
    """More is answered with 413."""
    waiting_bytes: int = 1024 * 1024
    """What a client may send ahead while its request is being answered; more is not read, and until the answer is complete it is not
    noticed when such a client leaves."""
    request_s: float = 60.0
    """From the first byte of a request to its last; then 408."""
    idle_s: float = 75.0
    """Without a request, before the connection is closed."""
    linger_s: float = 2.0
    """How long a client that has been sent FIN may take to close as well, and what it sends meanwhile is read and dropped.

    Closing at once would turn into RST where bytes of the client are on their way, and RST can destroy an answer that it has not read yet.
    """
