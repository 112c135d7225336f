"""The ways to people: e-mail, Slack, webhooks, and what Apprise knows; each message is kept on disk until it has been received."""
