"""A locustfile as any other, which asks the reference stack: `load: {locustfile: scenarios/locustfile.py}`, or `locust -f` with it."""

from __future__ import annotations

import os

from locust import FastHttpUser, between, task


class Reader(FastHttpUser):
    """Somebody who looks things up."""

    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        self.headers = {"authorization": f"Bearer {os.environ.get('GAUNTLET_API_KEY', '')}"}

    @task(3)
    def search(self) -> None:
        self.client.post("/api/search", json={"query": "How is a file opened?", "top_k": 5}, headers=self.headers)

    @task
    def ask(self) -> None:
        body = {"question": "How is a file opened?", "top_k": 5, "stream": False}
        self.client.post("/api/ask", json=body, headers=self.headers)
