"""Faults of credentials: who checks one wants another, and nobody has told those who use it."""

from __future__ import annotations

from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, act, capability
from harness.faults.http_look import LookError, ask
from harness.faults.process import NoParameters
from harness.scenario.catalog import FaultSpec
from harness.stack.base import Credentialed

ENTRY = ("gateway",)


class CredentialFault(TargetedFault[NoParameters]):
    """A credential that the entry checks."""

    credential = ""

    def __init__(self, target: Target, parameters: NoParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._rotated = False

    def rotate(self, rotated: bool) -> None:
        """Raises FaultError."""
        stack = capability(self.context.stack, Credentialed)
        act(f"changing the {self.credential}", lambda: stack.rotate_credential(self.credential, rotated))
        self._rotated = rotated

    def inject(self) -> None:
        self.rotate(True)

    def heal(self) -> None:
        if self._rotated:
            self.rotate(False)

    def status(self, token: str | None) -> int:
        """Of a harmless request with this credential. Raises FaultError."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return self._ask("/api/usage", headers, "GET")[0]

    def fresh_token(self) -> str:
        """A token for the load's key. Raises FaultError."""
        status, document = self._ask("/api/auth/token", {"authorization": f"Bearer {self.context.stack.api_key}"}, "POST")
        if status != 200:
            raise FaultError(f"no token is issued: status {status}")
        return str(document["access_token"])

    def _ask(self, path: str, headers: dict[str, str], method: str) -> tuple[int, dict[str, object]]:
        try:
            answer = ask(self.context.stack.entry_url + path, self.context.clock, method=method, headers=headers)
            return answer.status, answer.json()
        except LookError as error:
            raise FaultError(str(error)) from error


class KeyRotated(CredentialFault):
    """The API key of the load is not valid any more."""

    spec = FaultSpec(
        name="credentials.api_key_rotated",
        summary="The API key that clients use is withdrawn, and another one put in its place: they get 401.",
        kind="credentials",
        parameters=NoParameters,
        targets=("service",),
        needs=("Credentialed",),
        evidence="a request with the clients' key gets 401; gone: it gets 200",
        example="{id: old-key, type: credentials.api_key_rotated, target: gateway, at: fault, for: 30s}",
        only_services=ENTRY,
    )
    credential = "api_key"

    def verify(self) -> Evidence | None:
        return {"status": 401} if self.status(self.context.stack.api_key) == 401 else None

    def gone(self) -> Evidence | None:
        return {"status": 200} if self.status(self.context.stack.api_key) == 200 else None


class TokensExpired(CredentialFault):
    """The key that tokens are signed with has changed: all tokens there are have become invalid."""

    spec = FaultSpec(
        name="credentials.tokens_invalid",
        summary="The secret that tokens (JWT) are signed with is replaced: every token issued before gets 401. The entry restarts for it.",
        kind="credentials",
        parameters=NoParameters,
        targets=("service",),
        needs=("Credentialed",),
        evidence="a token issued before gets 401, the clients' key is accepted; gone: that token is accepted again",
        example="{id: new-secret, type: credentials.tokens_invalid, target: gateway, at: fault, for: 30s}",
        only_services=ENTRY,
    )
    credential = "jwt_secret"
    _token: str | None = None

    def inject(self) -> None:
        if self._token is None:
            self._token = self.fresh_token()
        super().inject()

    def verify(self) -> Evidence | None:
        if self._token is None or self.status(self._token) != 401 or self.status(self.context.stack.api_key) != 200:
            return None
        return {"status_token": 401, "status_key": 200}

    def gone(self) -> Evidence | None:
        token = self._token or self.fresh_token()
        return {"status_token": 200} if self.status(token) == 200 else None


FAULTS = (KeyRotated, TokensExpired)
