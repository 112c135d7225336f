"""Channels over HTTP: a generic webhook with Alertmanager's body, and Slack's incoming webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from harness.ops.alerting.channels.base import TIMEOUT_S, ChannelError, Message

_COLOURS = {"firing": "danger", "resolved": "good"}


@dataclass(frozen=True, slots=True)
class WebhookChannel:
    """POSTs what Alertmanager's webhook receiver would."""

    url: str
    token: str | None = None

    def send(self, message: Message) -> None:
        post(self.url, message.body, self.token)


@dataclass(frozen=True, slots=True)
class SlackChannel:
    """An incoming webhook of Slack, or of what understands the same (Mattermost, Rocket.Chat): https://api.slack.com/messaging/webhooks."""

    url: str
    channel: str | None = None

    def send(self, message: Message) -> None:
        body: dict[str, Any] = {
            "text": message.title,
            "attachments": [{"color": _COLOURS[message.body["status"]], "text": message.text, "fallback": message.title}],
        }
        if self.channel:
            body["channel"] = self.channel
        post(self.url, body)


def post(url: str, body: Mapping[str, Any], token: str | None = None) -> None:
    """Once. Raises ChannelError; 4xx but for 408 and 429 would be refused another time, too."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        response = httpx.post(url, json=body, headers=headers, timeout=TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ChannelError(f"{type(error).__name__}: {error}") from error
    if response.is_success:
        return
    again = response.status_code in (408, 429) or not response.is_client_error
    raise ChannelError(f"{response.status_code}: {response.text[:300]}", again=again, after_s=_after_s(response))


def _after_s(response: httpx.Response) -> float | None:
    """Seconds of `Retry-After`; a date is not read."""
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None
