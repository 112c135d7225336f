"""LangChain: chat model and embeddings against the mock provider, and its Qdrant store against the mock store, end to end."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

warnings.simplefilter("ignore")  # LangChain's own deprecations

from langchain_core.documents import Document  # noqa: E402 (after the filter)
from langchain_core.tools import tool  # noqa: E402
from langchain_openai import ChatOpenAI, OpenAIEmbeddings  # noqa: E402
from langchain_qdrant import QdrantVectorStore  # noqa: E402
from qdrant_client import QdrantClient, models  # noqa: E402
from told import Told, arguments  # noqa: E402

FACT = "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91.\n\nQuestion: What is the release number of json.dumps?"
TEXTS = ["The heapq module implements heap queues.", "json.dumps serialises an object.", "asyncio runs coroutines."]


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"21 degrees in {city}"


def main() -> None:
    told, asked = Told(), arguments()
    base, key = asked["url"] + "/v1", asked["key"]
    chat = ChatOpenAI(model="rag-chat", base_url=base, api_key=key)
    told.of(
        "invoke",
        lambda: [(said := chat.invoke(FACT)).content, said.response_metadata["finish_reason"], said.usage_metadata["output_tokens"] > 0],
    )
    told.of("stream", lambda: "".join(str(piece.content) for piece in chat.stream(FACT)))
    told.of(
        "tool",
        lambda: [(call := chat.bind_tools([get_weather], tool_choice="any").invoke(FACT).tool_calls[0])["name"], sorted(call["args"])],
    )
    told.of("batch", lambda: len({one.content for one in chat.batch([FACT] * 5)}))

    async def astream() -> str:
        return "".join([str(piece.content) async for piece in chat.astream(FACT)])

    told.of("astream", lambda: asyncio.run(astream()))

    # Token ids would need a vocabulary from the network; texts are what it sends then.
    embeddings = OpenAIEmbeddings(model="rag-embedding", base_url=base, api_key=key, check_embedding_ctx_length=False)
    told.of("embed", lambda: [len(embeddings.embed_query("some words")), len(embeddings.embed_documents(TEXTS))])

    def store() -> list[Any]:
        client = QdrantClient(url=asked["qdrant"])
        client.create_collection("lang", vectors_config=models.VectorParams(size=384, distance=models.Distance.COSINE))
        own = QdrantVectorStore(client=client, collection_name="lang", embedding=embeddings)
        own.add_documents([Document(page_content=text, metadata={"n": n}) for n, text in enumerate(TEXTS)])
        near = own.similarity_search_with_score("What serialises an object?", k=2)
        only = models.Filter(must=[models.FieldCondition(key="metadata.n", match=models.MatchValue(value=2))])
        filtered = own.similarity_search("anything", k=3, filter=only)
        return [near[0][0].page_content, len(near), [one.metadata["n"] for one in filtered]]

    told.of("qdrant", store)
    told.print()


if __name__ == "__main__":
    main()
