"""What is configurable about the mock's Chroma."""

from collections.abc import Sequence
from dataclasses import dataclass

VERSION = "1.0.0"
"""What `chroma run` 1.5.9 calls itself."""


@dataclass(frozen=True, slots=True)
class ChromaSettings:
    """`version` is what `/version` says; from 0.x on down, collections are described as those servers did.

    `api_keys` are the tokens accepted, as `X-Chroma-Token` or `Authorization: Bearer`; without any, no one is asked for one.
    """

    version: str = VERSION
    api_keys: Sequence[str] = ()
    allow_reset: bool = False
    max_batch_size: int = 5461

    @property
    def legacy(self) -> bool:
        """Whether it is a server from before 1.0."""
        return self.version.startswith("0.")
