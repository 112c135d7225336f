"""What people may ask of a game day, as bodies of requests. Each becomes one event of the record."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Role = Literal["master", "players"]
Text = Annotated[str, Field(max_length=2000)]
Word = Annotated[str, Field(min_length=1, max_length=120)]


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Begin(_Ask):
    """The run may begin."""

    do: Literal["begin"]


class Approve(_Ask):
    """Inject it when it is due; with other parameters, or on one instance of its service, where those are given."""

    do: Literal["approve"]
    fault: Word
    with_: dict[str, Any] | None = Field(default=None, alias="with")
    target: Word | None = None


class Skip(_Ask):
    """Do not inject it."""

    do: Literal["skip"]
    fault: Word
    reason: Text = ""


class Reveal(_Ask):
    """Show the truth to the players."""

    do: Literal["reveal"]


class Stop(_Ask):
    """Heal everything, and end."""

    do: Literal["stop"]
    reason: Text = ""


class Saw(_Ask):
    """I see something."""

    do: Literal["saw"]
    text: Text = ""


class Suspect(_Ask):
    """I think it is SERVICE/KIND. `service` may be an edge, written `caller->callee`."""

    do: Literal["suspect"]
    service: Word
    fault_kind: Word
    text: Text = ""


class Acted(_Ask):
    """I did something about it."""

    do: Literal["acted"]
    text: Text = ""


class Note(_Ask):
    """Anything worth keeping; with `follow_up`, something to do after the game day."""

    do: Literal["note"]
    text: Annotated[str, Field(min_length=1, max_length=2000)]
    follow_up: bool = False


Ask = Begin | Approve | Skip | Reveal | Stop | Saw | Suspect | Acted | Note
ASK: TypeAdapter[Ask] = TypeAdapter(Annotated[Ask, Field(discriminator="do")])
MAY: dict[Role, tuple[type[_Ask], ...]] = {
    "master": (Begin, Approve, Skip, Reveal, Stop, Note),
    "players": (Saw, Suspect, Acted, Note),
}
