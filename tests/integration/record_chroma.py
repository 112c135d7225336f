"""Record what the real Chroma answers: `python -m tests.integration.record_chroma CHROMA`, where CHROMA is its command (`…/bin/chroma`).

Starts `CHROMA run` on a free port over a directory that is deleted afterwards.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.integration.backends import free_port
from tests.integration.chroma_conversation import Answer, Ask, hold

RECORD = Path(__file__).parent / "recorded" / "chroma-1.5.9.json"


def main(chroma: str) -> None:
    """Write the record anew."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        process = subprocess.Popen(
            [chroma, "run", "--path", data, "--host", "127.0.0.1", "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                _await(client)
                answers = hold(asking(client))
        finally:
            process.terminate()
            process.wait(30)
    lines = (f"{json.dumps(name)}: {json.dumps(answer, sort_keys=True)}" for name, answer in answers.items())
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(answers)} answers in {RECORD}")


def asking(client: httpx.Client) -> Ask:
    """Requests to a server, over HTTP."""

    def ask(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        answer = client.request(method, path, content=body, headers=headers)
        kind = answer.headers.get("content-type")
        is_json = kind is not None and kind.startswith("application/json")
        return {"status": answer.status_code, "type": kind, "body": answer.json() if is_json else answer.text}

    return ask


def _await(client: httpx.Client) -> None:
    deadline_s = time.monotonic() + 30
    while True:
        try:
            client.get("/api/v2/heartbeat").raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    main(sys.argv[1])
