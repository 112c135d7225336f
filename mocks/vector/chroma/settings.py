"""What is configurable about the mock's Chroma."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChromaSettings:
    """`version` is what `/version` says (`chroma run` 1.5.9 says 1.0.0); from 0.x on down, collections are described as those servers did.

    `tokens` are the accepted ones, with the account that each belongs to; without any, no one is asked for one.
    """

    version: str = "1.0.0"
    tokens: tuple[tuple[str, str], ...] = ()
    """Pairs of token and account, as `X-Chroma-Token: …` or `Authorization: Bearer …` send the token."""
    allow_reset: bool = False
    max_batch_size: int = 5461

    @property
    def legacy(self) -> bool:
        """Whether it is a server from before 1.0."""
        return self.version.startswith("0.")
