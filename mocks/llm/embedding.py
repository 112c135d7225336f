"""A request for vectors."""

from functools import partial

import numpy as np

from mocks.llm.answer import EMBEDDINGS, EmbeddingAnswer, Usage
from mocks.llm.dialects.base import DialectName, parse_json
from mocks.llm.dialects.openai_embeddings import embeddings, input_text, input_tokens, parse_embeddings
from mocks.llm.engine import Engine
from mocks.llm.hashing import Vector, embed
from mocks.llm.memory import KnownVectors
from mocks.llm.plan import Facts, Plan, Whole
from mocks.llm.serving import Serving

_COORDINATE_BYTES = 12  # of a coordinate written as a number; in base64 it takes half of that


class Embedding(Serving):
    """One call; it has one moment only, when all of its vectors are there."""

    __slots__ = ()

    def begin(self, deployment: str | None) -> None:
        """Answer it, or have it refused. Raises ProviderError."""
        engine = self.engine
        known = understood(engine, self.entry.dialect, deployment, self.request.body)
        facts = _facts(known)
        self.note(facts.model, facts.key)
        plan = self.decide(facts, engine.profile.latency.draw_embedding(facts.key, facts.prompt_tokens))
        if plan is not None:
            self.when(plan.due_s(1), partial(self._send, self._whole(plan, known), facts.prompt_tokens))

    def _whole(self, plan: Plan, known: KnownVectors) -> Whole:
        if plan.embedding_edits:
            answer = _answer(self.engine, known)
            for edit_answer in plan.embedding_edits:
                answer = edit_answer(answer)
            whole = Whole(embeddings(answer))
        else:
            whole = Whole(body(self.engine, known))
        for edit_whole in plan.whole_edits:
            whole = edit_whole(whole)
        self.settle_faults(plan)
        return whole

    def _send(self, whole: Whole, prompt: int) -> None:
        if self.account is not None:
            self.account.used(prompt)
        self.send(whole)


def understood(engine: Engine, dialect: DialectName, deployment: str | None, raw: bytes) -> KnownVectors:
    """What a request's body asks for; Azure's deployments are models. Raises ProviderError."""
    memory, address = engine.vectors, (dialect, deployment)
    known = memory.recall(address, raw)
    if known is None:
        document = parse_json(raw)
        if deployment is not None:
            document["model"] = deployment
        own = engine.profile.embedding_dimensions
        call = parse_embeddings(document, own)
        key = engine.key_of(dialect, EMBEDDINGS, document, call.model)
        known = KnownVectors(EMBEDDINGS, dialect, call, key, input_tokens(call))
        if key in engine.arrivals:  # most requests never come again, and keeping them all would cost more than it saves
            memory.keep(address, raw, known, len(call.inputs) * (call.dimensions or own) * _COORDINATE_BYTES)
    return known


def body(engine: Engine, known: KnownVectors) -> bytes:
    """The answer to a request that no fault concerns."""
    if known.body is None:
        known.body = embeddings(_answer(engine, known))
    return known.body


def _facts(known: KnownVectors) -> Facts:
    """What they say of the request; what each arrival has of its own, attempt, load and account, is left open."""
    call, prompt = known.call, known.prompt_tokens
    return Facts(
        route=known.route,
        dialect=known.dialect,
        model=call.model,
        key=known.key,
        prompt_tokens=prompt,
        wanted_tokens=prompt,
        tenant=call.tenant,
        inputs=len(call.inputs),
    )


def _answer(engine: Engine, known: KnownVectors) -> EmbeddingAnswer:
    profile, call = engine.profile, known.call
    vectors = [_vector(input_text(item), profile.embedding_dimensions, call.dimensions) for item in call.inputs]
    return EmbeddingAnswer(profile.named(call.model), vectors, range(len(vectors)), Usage(known.prompt_tokens), call.as_base64)


def _vector(text: str, own: int, dimensions: int | None) -> Vector:
    """The text's vector; fewer dimensions than the model's `own` are its beginning, scaled to length 1 again: so providers do it."""
    vector = embed(text, own)
    if dimensions is None or dimensions >= own:
        return vector
    short = vector[:dimensions]
    length = float(np.linalg.norm(short))
    return short / np.float32(length) if length > 0 else embed(text, dimensions)
