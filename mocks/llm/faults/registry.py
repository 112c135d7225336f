"""The table of fault types, what `match` may ask of a call, and which calls a type concerns."""

from mocks.faults import body, connection, head, keep_alive
from mocks.faults.base import Registry
from mocks.faults.match import Criterion
from mocks.llm.answer import CHAT, EMBEDDINGS, GENERATIONS, MESSAGES, RESPONSES
from mocks.llm.plan import Facts, Plan

MODELS = "/v1/models"


def _prompt(facts: Facts) -> str | None:
    return None if facts.call is None else facts.call.prompt


FAULTS = Registry(
    {
        "routes": Criterion(
            "routes, whatever the path that leads there", "names", lambda facts: facts.route, GENERATIONS | {EMBEDDINGS, MODELS}
        ),
        "models": Criterion("models (of Azure: deployments) that are asked for", "names", lambda facts: facts.model),
        "accounts": Criterion("names of accounts in the profile", "names", lambda facts: facts.account),
        "organizations": Criterion("organizations of those accounts", "names", lambda facts: facts.organization),
        "tenants": Criterion("whom the caller says it asks for", "names", lambda facts: facts.tenant),
        "dialects": Criterion("providers' dialects", "names", lambda facts: facts.dialect, frozenset({"openai", "azure", "anthropic"})),
        "stream": Criterion("whether a stream is asked for", "flag", lambda facts: facts.stream),
        "prompt": Criterion("text in the prompt; a request for vectors has none", "text", _prompt),
    }
)
"""Filled below with what every mock can play, and by the modules beside this one."""

ONLY_GENERATION = {"routes": sorted(GENERATIONS)}
"""The `match` of types that could concern more, and do where a document says so."""

__all__ = ["CHAT", "EMBEDDINGS", "FAULTS", "GENERATIONS", "MESSAGES", "MODELS", "ONLY_GENERATION", "RESPONSES"]


class OfAnswers:
    """Concerns calls that a model answers."""

    def concerns(self, plan: Plan) -> bool:
        """Whether text or vectors are asked for."""
        return plan.facts.route in GENERATIONS or plan.facts.route == EMBEDDINGS


class OfGeneration:
    """Concerns calls for generated text."""

    def concerns(self, plan: Plan) -> bool:
        """Whether text is asked for."""
        return plan.facts.route in GENERATIONS


class OfStreams:
    """Concerns streamed answers."""

    def concerns(self, plan: Plan) -> bool:
        """Whether a stream of text is asked for."""
        return plan.facts.stream and plan.facts.route in GENERATIONS


class OfWholes:
    """Concerns answers in one piece, vectors included."""

    def concerns(self, plan: Plan) -> bool:
        """Whether no stream is asked for."""
        return not plan.facts.stream


class OfEmbeddings:
    """Concerns calls for vectors."""

    def concerns(self, plan: Plan) -> bool:
        """Whether vectors are asked for."""
        return plan.facts.route == EMBEDDINGS


FAULTS.include(connection.TYPES, head.TYPES, keep_alive.TYPES)
FAULTS.include(body.TYPES, only=OfWholes().concerns)
