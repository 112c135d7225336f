"""Load: what is sent, on Locust or on asyncio, in a child process. Only `users` imports Locust, and gevent through `greenlets`; nothing
here imports `users`."""
