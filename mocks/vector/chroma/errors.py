"""Chroma's errors: a status, a name that the client turns into an exception class, and a message.

Of the names sent, `chromadb.errors` knows InvalidArgumentError, NotFoundError and InternalError; the client raises a plain Exception with
the body's text for `ChromaError`.
"""

from mocks.vector.plan import VectorError


def invalid_argument(message: str) -> VectorError:
    """400: the request was understood, and is wrong."""
    return VectorError(400, message, "InvalidArgumentError")


def invalid_field(field: str, message: str) -> VectorError:
    """400 from the checks on a request's fields."""
    return invalid_argument(f"Validation error: {field}: {message}")


def not_found(message: str) -> VectorError:
    """404."""
    return VectorError(404, message, "NotFoundError")


def internal(message: str) -> VectorError:
    """500."""
    return VectorError(500, message, "InternalError")


def other(status: int, message: str, name: str = "ChromaError") -> VectorError:
    """Any other status: conflicts (409), bodies of the wrong type (415, 422), what one node cannot do (501)."""
    return VectorError(status, message, name)


def by_status(status: int, message: str) -> VectorError:
    """An error under the name that goes with its status."""
    names = {400: "InvalidArgumentError", 404: "NotFoundError", 500: "InternalError"}
    return VectorError(status, message, names.get(status, "ChromaError"))
