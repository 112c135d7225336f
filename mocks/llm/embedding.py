"""A request for vectors."""

from functools import partial

import numpy as np

from mocks.llm.answer import EmbeddingAnswer, EmbeddingCall, Usage
from mocks.llm.dialects.openai_embeddings import embeddings, input_text, input_tokens, parse_embeddings
from mocks.llm.hashing import Vector, embed
from mocks.llm.memory import KnownVectors
from mocks.llm.plan import Facts, Plan, Whole
from mocks.llm.serving import Serving


class Embedding(Serving):
    """One call; it has one moment only, when all of its vectors are there."""

    __slots__ = ()

    def begin(self, deployment: str | None) -> None:
        """Answer it, or have it refused. Raises ProviderError."""
        engine, raw = self.engine, self.request.body
        address = (self.entry.dialect, deployment)
        known = engine.vectors.recall(address, raw)
        if known is None:
            body = self.read(deployment)
            call = parse_embeddings(body, engine.profile.embedding_dimensions)
            known = KnownVectors(call, self._facts(call, self.key_of(body, call.model)))
        facts = known.facts
        self.note(facts.model, facts.key)
        plan = self.decide(facts, engine.profile.latency.draw_embedding(facts.key, facts.prompt_tokens))
        if plan is None:
            return
        if known.body is None and not plan.embedding_edits:
            known.body = embeddings(self._answer(known))
            if self.entry.attempt > 1:
                engine.vectors.keep(address, raw, known, len(known.body))
        self.when(plan.due_s(1), partial(self._send, self._whole(plan, known), facts.prompt_tokens))

    def _facts(self, call: EmbeddingCall, key: str) -> Facts:
        prompt = input_tokens(call)
        return Facts(
            route=self.entry.route,
            dialect=self.entry.dialect,
            model=call.model,
            key=key,
            prompt_tokens=prompt,
            wanted_tokens=prompt,
            tenant=call.tenant,
            inputs=len(call.inputs),
        )

    def _answer(self, known: KnownVectors) -> EmbeddingAnswer:
        profile, call = self.engine.profile, known.call
        vectors = [_vector(input_text(item), profile.embedding_dimensions, call.dimensions) for item in call.inputs]
        return EmbeddingAnswer(profile.named(call.model), vectors, range(len(vectors)), Usage(known.facts.prompt_tokens), call.as_base64)

    def _whole(self, plan: Plan, known: KnownVectors) -> Whole:
        if known.body is not None and not plan.embedding_edits:
            whole = Whole(known.body)
        else:
            answer = self._answer(known)
            for edit_answer in plan.embedding_edits:
                answer = edit_answer(answer)
            whole = Whole(embeddings(answer))
        for edit_whole in plan.whole_edits:
            whole = edit_whole(whole)
        self.settle_faults(plan)
        return whole

    def _send(self, whole: Whole, prompt: int) -> None:
        if self.account is not None:
            self.account.used(prompt)
        self.send(whole)


def _vector(text: str, own: int, dimensions: int | None) -> Vector:
    """The text's vector; fewer dimensions than the model's `own` are its beginning, scaled to length 1 again: so providers do it."""
    vector = embed(text, own)
    if dimensions is None or dimensions >= own:
        return vector
    short = vector[:dimensions]
    length = float(np.linalg.norm(short))
    return short / np.float32(length) if length > 0 else embed(text, dimensions)
