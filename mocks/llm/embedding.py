"""A request for vectors."""

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from mocks.llm.answer import EmbeddingAnswer, EmbeddingCall, Usage
from mocks.llm.dialects.openai_embeddings import embeddings, input_text, input_tokens, parse_embeddings
from mocks.llm.hashing import Vector, embed
from mocks.llm.plan import Facts, Plan, Whole
from mocks.llm.serving import Serving

_VECTORS_KEPT = 2_048


class Embedding(Serving):
    """One call; it has one moment only, when all of its vectors are there."""

    __slots__ = ()

    def begin(self, body: Mapping[str, Any]) -> None:
        """Check the request and answer it, or have it refused. Raises ProviderError."""
        entry, engine = self.entry, self.engine
        profile = engine.profile
        call = parse_embeddings(body, profile.embedding_dimensions)
        key = self.key_of(body, call.model)
        self.note(call.model, key)
        prompt = input_tokens(call)
        facts = Facts(
            route=entry.route,
            dialect=entry.dialect,
            model=call.model,
            key=key,
            attempt=entry.attempt,
            prompt_tokens=prompt,
            wanted_tokens=prompt,
            in_flight=engine.in_flight(),
            account=entry.account,
            organization=entry.organization,
            tenant=call.tenant,
            inputs=len(call.inputs),
        )
        plan = self.decide(facts, profile.latency.draw_embedding(key, prompt))
        if plan is not None:
            whole = self._whole(plan, call, prompt)
            self.settle_faults(plan)
            self.when(plan.due_s(1), partial(self._send, whole, prompt))

    def _whole(self, plan: Plan, call: EmbeddingCall, prompt: int) -> Whole:
        dimensions = self.engine.profile.embedding_dimensions
        vectors = [_vector(input_text(item), dimensions, call.dimensions) for item in call.inputs]
        name = self.engine.profile.named(call.model)
        answer = EmbeddingAnswer(name, vectors, range(len(vectors)), Usage(prompt), call.as_base64)
        for edit_answer in plan.embedding_edits:
            answer = edit_answer(answer)
        whole = Whole(embeddings(answer))
        for edit_whole in plan.whole_edits:
            whole = edit_whole(whole)
        return whole

    def _send(self, whole: Whole, prompt: int) -> None:
        if self.account is not None:
            self.account.used(prompt)
        self.send(whole)


@lru_cache(maxsize=_VECTORS_KEPT)
def _vector(text: str, own: int, dimensions: int | None) -> Vector:
    """The text's vector; fewer dimensions than the model's `own` are its beginning, scaled to length 1 again: so providers do it."""
    vector = embed(text, own)
    if dimensions is not None and dimensions < own:
        short = vector[:dimensions]
        length = float(np.linalg.norm(short))
        vector = short / np.float32(length) if length > 0 else embed(text, dimensions)
    vector.flags.writeable = False
    return vector
