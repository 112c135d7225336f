from typing import Any

USES: dict[str, dict[str, Any]] = {
    "credentials.api_key_rotated": {"target": "gateway"},
    "credentials.tokens_invalid": {"target": "gateway"},
    "credentials.tls_certificate_expired": {"target": "ingress", "stack": {"tls": True}},
}
