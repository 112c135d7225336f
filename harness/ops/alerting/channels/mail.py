"""E-mail over SMTP (RFC 5321), as a plain text."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Literal

from harness.ops.alerting.channels.base import TIMEOUT_S, ChannelError, Message


@dataclass(frozen=True, slots=True)
class EmailChannel:
    """`tls`: `start` asks for STARTTLS (RFC 3207), `on` speaks TLS from the first byte, `off` neither. With a user it logs in."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    tls: Literal["off", "start", "on"] = "start"
    user: str | None = None
    password: str = ""

    def send(self, message: Message) -> None:
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = message.title.replace("\n", " "), self.sender, ", ".join(self.to)
        mail.set_content(message.text)
        try:
            with self._connect() as server:
                if self.tls == "start":
                    server.starttls(context=ssl.create_default_context())
                if self.user is not None:
                    server.login(self.user, self.password)
                refused = server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            again = any(_later(code) for code, _ in error.recipients.values())
            raise ChannelError(f"nobody of {', '.join(error.recipients)} is accepted", again=again) from error
        except smtplib.SMTPResponseException as error:
            raise ChannelError(f"{error.smtp_code} {error.smtp_error!r}", again=_later(error.smtp_code)) from error
        except (smtplib.SMTPException, OSError) as error:
            raise ChannelError(f"{type(error).__name__}: {error}") from error
        if refused:
            raise ChannelError(f"not accepted for {', '.join(refused)}", again=False)

    def _connect(self) -> smtplib.SMTP:
        if self.tls == "on":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        return smtplib.SMTP(self.host, self.port, timeout=TIMEOUT_S)


def _later(code: int) -> bool:
    """4xx is a refusal for now, 5xx one for good."""
    return 400 <= code < 500
