"""Load: an open model on Locust, in a child process. Only `users` imports Locust and gevent; nothing here imports `users`."""
