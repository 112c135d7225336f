"""Answers questions with an LLM and remembers the answers in Redis; while the LLM is of no use, it says so politely."""

import json
import os
import socket
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

KEPT_S = "2"


def cache(*words: str) -> bytes | None:
    """One command of Redis; None for nothing, and where there is no Redis."""
    encoded = [word.encode() for word in words]
    request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
    try:
        with socket.create_connection((os.environ["CACHE_HOST"], 6379), timeout=1) as connection, connection.makefile("rb") as answer:
            connection.sendall(request)
            head = answer.readline()
            return answer.read(int(head[1:])) if head.startswith(b"$") and head.strip() != b"$-1" else None
    except OSError:
        return None


def ask_model(question: str) -> str:
    """Raises OSError when the model does not answer."""
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": question}]}
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=3) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


def answer(question: str) -> dict[str, object]:
    known = cache("GET", question)
    if known is not None:
        return {"answer": known.decode(), "from": "cache"}
    try:
        text = ask_model(question)
    except OSError:
        return {"answer": "Please ask again later.", "from": "nobody"}
    cache("SET", question, text, "EX", KEPT_S)
    return {"answer": text, "from": "model", "greeting": os.environ["GREETING"]}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        found = {"status": "ok"} if url.path == "/health" else answer(parse_qs(url.query).get("q", ["What is new?"])[0])
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(format % args, flush=True)


if __name__ == "__main__":
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("", 8000), Handler).serve_forever()
