"""LlamaIndex: an OpenAI-like model and embeddings against the mock provider, its Qdrant store against the mock store, end to end."""

from __future__ import annotations

from typing import Any

from llama_index.core import Document, Settings, StorageContext, VectorStoreIndex
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient
from told import Told, arguments

FACT = "[json.dumps] Serialize obj. The release number of json.dumps is ZK-7F3A91.\n\nQuestion: What is the release number of json.dumps?"
TEXTS = ["The heapq module implements heap queues.", "json.dumps serialises an object.", "asyncio runs coroutines."]


def main() -> None:
    told, asked = Told(), arguments()
    base, key = asked["url"] + "/v1", asked["key"]
    llm = OpenAILike(model="rag-chat", api_base=base, api_key=key, is_chat_model=True, context_window=8_000)
    message = ChatMessage(role="user", content=FACT)
    told.of("chat", lambda: llm.chat([message]).message.content)
    told.of("stream", lambda: list(llm.stream_chat([message]))[-1].message.content)
    embedding = OpenAILikeEmbedding(model_name="rag-embedding", api_base=base, api_key=key)
    told.of("embed", lambda: len(embedding.get_text_embedding("some words")))

    def store() -> list[Any]:
        Settings.llm, Settings.embed_model = llm, embedding
        vectors = QdrantVectorStore("llama", client=QdrantClient(url=asked["qdrant"]))
        context = StorageContext.from_defaults(vector_store=vectors)
        index = VectorStoreIndex.from_documents(
            [Document(text=text, doc_id=f"d{n}") for n, text in enumerate(TEXTS)], storage_context=context
        )
        near = index.as_retriever(similarity_top_k=2).retrieve("What serialises an object?")
        answer = str(index.as_query_engine(similarity_top_k=1).query("What serialises an object?"))
        index.delete_ref_doc("d1")
        left = index.as_retriever(similarity_top_k=3).retrieve("What serialises an object?")
        return [near[0].node.get_content(), len(near), bool(answer), sorted(one.node.ref_doc_id for one in left)]

    told.of("qdrant", store)
    told.print()


if __name__ == "__main__":
    main()
