"""Qdrant's refusals."""

from mocks.vector.plan import VectorError


def not_found(what: str) -> VectorError:
    """404."""
    return VectorError(404, f"Not found: {what}")


def no_collection(name: str) -> VectorError:
    """404 for a collection that is not there."""
    return not_found(f"Collection `{name}` doesn't exist!")


def wrong_input(text: str) -> VectorError:
    """400 for a request that is well formed and cannot be done."""
    return VectorError(400, f"Wrong input: {text}")


def already_exists(text: str) -> VectorError:
    """409."""
    return VectorError(409, f"Wrong input: {text}")


def unsupported(what: str) -> VectorError:
    """400 for what the product can do and this mock cannot."""
    return wrong_input(f"{what} is not supported by this mock")


def wrong_dimensions(expected: int, got: int) -> VectorError:
    """400 for a vector of another length."""
    return wrong_input(f"Vector dimension error: expected dim: {expected}, got {got}")


def not_finite() -> VectorError:
    """400 for a vector with numbers beyond float32."""
    return wrong_input("Vector contains NaN or infinite values")
