"""DingTalk and whatever else Apprise knows, by its URLs (https://github.com/caronc/apprise/wiki). Needs the extra `notify`."""

from __future__ import annotations

from dataclasses import dataclass

from harness.ops.alerting.channels.base import ChannelError, Message


@dataclass(frozen=True, slots=True)
class AppriseChannel:
    """`dingtalk://token`, `mmost://…`, `tgram://…`. `create` checks the URL."""

    url: str

    @classmethod
    def create(cls, url: str) -> AppriseChannel:
        """Raises ValueError for a URL that Apprise does not know, and ImportError without it."""
        import apprise

        if not apprise.Apprise().add(url):
            raise ValueError(f"Apprise knows no such service: {url.partition('://')[0]}://…; see its wiki for the URLs")
        return cls(url)

    def send(self, message: Message) -> None:
        import apprise

        service = apprise.Apprise()
        service.add(self.url)
        kind = apprise.NotifyType.FAILURE if message.body["status"] == "firing" else apprise.NotifyType.SUCCESS
        if not service.notify(title=message.title, body=message.text, notify_type=kind):
            raise ChannelError(f"{self.url.partition('://')[0]}: Apprise could not deliver it")
