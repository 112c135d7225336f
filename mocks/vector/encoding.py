"""JSON on its way out."""

import json
from collections.abc import Callable
from typing import Any

import orjson

Encode = Callable[[Any], bytes]


def strict(value: Any) -> bytes:
    """JSON by the standard; arrays of float32 with the fewest digits that tell them apart."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def lenient(value: Any) -> bytes:
    """The same, but what is no number stays so (`NaN`, `Infinity`): what a broken service sends."""
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def _plain(value: Any) -> Any:
    """Numpy's arrays and numbers: nothing else comes here. Spelled as `strict` spells them, so that a fault changes only what it says."""
    return [_plain(one) for one in value] if value.ndim else float(str(value))
