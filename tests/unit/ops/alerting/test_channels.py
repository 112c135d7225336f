"""Messages reach local servers as they should, and none is lost on the way: not by a refusal, not by a process that dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from hypothesis import given
from hypothesis import strategies as st

from harness.ops.alerting.channels.base import Channel, ChannelError, Message
from harness.ops.alerting.channels.config import NotifyError, read_notify
from harness.ops.alerting.channels.delivery import FIRST_PAUSE_S, LONGEST_PAUSE_S, Delivery, Mailer, pause_s
from harness.ops.alerting.channels.http import SlackChannel, WebhookChannel
from harness.ops.alerting.channels.mail import EmailChannel
from harness.ops.alerting.channels.spool import Spool
from harness.ops.alerting.channels.through_apprise import AppriseChannel
from harness.ops.alerting.life.desk import Notification
from harness.ops.monitoring.alerts import Alert
from harness.stack.ports import free_ports

# On Python below 3.13, Apprise imports a module that is deprecated there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

ANNOTATIONS = {"summary": "p95 is 4 s", "runbook_url": "https://example.org/slow"}
SLOW = Alert({"alertname": "Slow", "service": "llm", "severity": "critical"}, ANNOTATIONS, 10.0)
DOWN = Alert({"alertname": "Down", "service": "llm", "severity": "critical"}, {"summary": "gone"}, 5.0, 12.0)
MESSAGE = Message.of(Notification("group", (("service", "llm"),), (SLOW, DOWN)), "ops", 1_700_000_000.0)


@dataclass
class Receiver:
    """An HTTP server that answers with what stands in `answers`, then with 200."""

    url: str
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    received: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            one.received.append((self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
            status, headers = one.answers.pop(0) if one.answers else (200, {})
            self.send_response(status)
            for name, value in {**headers, "content-length": "2"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield one
    server.shutdown()
    server.server_close()
    thread.join()


class Mailbox:
    """What an SMTP server was given; `says` is its answer."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], Mail]] = []
        self.says = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        if self.says.startswith("250"):
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, message_from_bytes(envelope.content)))
        return self.says


@contextmanager
def serving(box: Mailbox, **settings: Any) -> Iterator[int]:
    """An SMTP server that puts mails into the box; its port."""
    (port,) = free_ports(1)  # aiosmtpd connects to the port that it was told
    controller = Controller(box, hostname="127.0.0.1", port=port, ready_timeout=60.0, **settings)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, int]]:
    box = Mailbox()
    with serving(box) as port:
        yield box, port


def test_a_webhook_gets_alertmanagers_body(receiver: Receiver) -> None:
    WebhookChannel(f"{receiver.url}/hook", "secret").send(MESSAGE)
    ((path, headers, body),) = receiver.received
    assert (path, headers["authorization"], body["version"], body["receiver"], body["status"]) == (
        "/hook",
        "Bearer secret",
        "4",
        "ops",
        "firing",
    )
    assert (body["groupKey"], body["groupLabels"]) == ('{}:{service="llm"}', {"service": "llm"})
    assert body["commonLabels"] == {"service": "llm", "severity": "critical"} and body["commonAnnotations"] == {}
    assert [(one["status"], one["labels"]["alertname"]) for one in body["alerts"]] == [("firing", "Slow"), ("resolved", "Down")]
    assert body["alerts"][0]["startsAt"] == "2023-11-14T22:13:30Z"


def test_slack_gets_a_text_with_what_to_do(receiver: Receiver) -> None:
    SlackChannel(f"{receiver.url}/services/x", "#oncall").send(MESSAGE)
    ((path, _, body),) = receiver.received
    assert (path, body["text"], body["channel"], body["attachments"][0]["color"]) == ("/services/x", "[FIRING 1] llm", "#oncall", "danger")
    text = body["attachments"][0]["text"]
    assert "firing: Slow llm (critical) since 2023" in text and "https://example.org/slow" in text


def test_dingtalk_gets_it_through_apprise(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from apprise.plugins.dingtalk import NotifyDingTalk

    monkeypatch.setattr(NotifyDingTalk, "notify_url", f"{receiver.url}/robot/send?access_token={{token}}")
    AppriseChannel.create("dingtalk://abcdef0123").send(MESSAGE)
    ((path, _, body),) = receiver.received
    assert path.startswith("/robot/send?access_token=abcdef0123")
    assert body["msgtype"] in ("text", "markdown") and "Slow llm" in json.dumps(body)


def test_a_service_of_apprise_that_refuses_is_tried_again(receiver: Receiver) -> None:
    channel = AppriseChannel.create(f"json://{receiver.url.removeprefix('http://')}/x")
    receiver.answers = [(500, {})]
    with pytest.raises(ChannelError) as failed:
        channel.send(MESSAGE)
    assert failed.value.again
    channel.send(MESSAGE)
    assert receiver.received[-1][2]["title"] == "[FIRING 1] llm"
    with pytest.raises(ValueError, match="knows no such service"):
        AppriseChannel.create("nothing-of-the-kind://x")


def test_a_mail_has_sender_receivers_title_and_text(mailbox: tuple[Mailbox, int]) -> None:
    box, port = mailbox
    EmailChannel("127.0.0.1", port, "gauntlet@example.org", ("a@example.org", "b@example.org"), tls="off").send(MESSAGE)
    ((sender, to, mail),) = box.mails
    assert (sender, to, mail["Subject"]) == ("gauntlet@example.org", ["a@example.org", "b@example.org"], "[FIRING 1] llm")
    text = mail.get_payload(decode=True)
    assert isinstance(text, bytes) and b"resolved: Down llm (critical)" in text


def test_a_mail_server_that_wants_a_login_gets_one(mailbox: tuple[Mailbox, int]) -> None:
    box = mailbox[0]

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"gauntlet", b"secret"), handled=False)

    with serving(box, authenticator=authenticate, auth_require_tls=False) as port:
        EmailChannel("127.0.0.1", port, "a@b", ("c@d",), tls="off", user="gauntlet", password="secret").send(MESSAGE)
        with pytest.raises(ChannelError) as refused:
            EmailChannel("127.0.0.1", port, "a@b", ("c@d",), tls="off", user="gauntlet", password="wrong").send(MESSAGE)
    assert len(box.mails) == 1 and not refused.value.again


@pytest.mark.parametrize(("says", "again"), [("451 later", True), ("554 never", False)])
def test_what_a_mail_server_refuses_for_now_and_for_good(mailbox: tuple[Mailbox, int], says: str, again: bool) -> None:
    box, port = mailbox
    box.says = says
    with pytest.raises(ChannelError) as failed:
        EmailChannel("127.0.0.1", port, "a@example.org", ("b@example.org",), tls="off").send(MESSAGE)
    assert failed.value.again == again


@pytest.mark.parametrize(
    ("answer", "again", "after_s"),
    [
        ((500, {}), True, None),
        ((429, {"retry-after": "7"}), True, 7.0),
        ((503, {"retry-after": "soon"}), True, None),
        ((400, {}), False, None),
    ],
)
def test_what_a_webhook_refuses(receiver: Receiver, answer: tuple[int, dict[str, str]], again: bool, after_s: float | None) -> None:
    receiver.answers = [answer]
    with pytest.raises(ChannelError) as failed:
        WebhookChannel(receiver.url).send(MESSAGE)
    assert (failed.value.again, failed.value.after_s) == (again, after_s)


@pytest.mark.parametrize("channel", [WebhookChannel("http://127.0.0.1:1/"), EmailChannel("127.0.0.1", 1, "a@b", ("c@d",), tls="off")])
def test_nobody_there_is_tried_again(channel: Channel) -> None:
    with pytest.raises(ChannelError) as failed:
        channel.send(MESSAGE)
    assert failed.value.again


@given(st.integers(0, 10_000), st.none() | st.floats(0, 500))
def test_pauses_grow_to_a_minute_and_heed_the_receiver(attempts: int, wanted_s: float | None) -> None:
    assert FIRST_PAUSE_S <= pause_s(attempts) <= pause_s(attempts + 1) <= LONGEST_PAUSE_S
    assert pause_s(attempts, wanted_s) >= (wanted_s or 0.0)


class Flaky:
    """Refuses as it is told, then takes what comes."""

    def __init__(self, *refusals: ChannelError) -> None:
        self.refusals = list(refusals)
        self.taken: list[str] = []

    def send(self, message: Message) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append(str(message.body["n"]))


def test_a_message_is_kept_until_it_is_received_and_comes_in_order(tmp_path: Path) -> None:
    spool, log = Spool(tmp_path), list[Any]()
    channel = Flaky(ChannelError("500"), ChannelError("429", after_s=9.0))
    mailer = Mailer("ops", channel, spool, log.append)
    for n in (1, 2):
        spool.put("ops", {"n": n}, 100.0)
    spool.put("other", {"n": 3}, 100.0)
    assert mailer.pump(100.0) == 101.0
    assert mailer.pump(100.5) == 101.0  # not before it is due
    assert mailer.pump(101.0) == 110.0
    assert (channel.taken, len(spool.waiting("ops"))) == ([], 2)
    assert mailer.pump(110.0) is None
    assert (channel.taken, spool.waiting("ops"), len(spool.waiting("other"))) == (["1", "2"], [], 1)
    assert [one.get("error") for one in log] == ["500; tried again in 1s", "429; tried again in 9s", None, None]


def test_a_process_that_died_left_its_messages_to_the_next_one(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.put("ops", {"n": 1}, 5.0)
    Mailer("ops", Flaky(ChannelError("away")), first, lambda one: None).pump(5.0)
    (tmp_path / "000000002-ops.part").write_text('{"half')
    again = Spool(tmp_path)
    again.put("ops", {"n": 2}, 6.0)
    assert [(one.body["n"], one.attempts, one.errors) for one in again.waiting("ops")] == [(1, 1, ("away",)), (2, 0, ())]
    channel = Flaky()
    assert Mailer("ops", channel, again, lambda one: None).pump(60.0) is None
    assert channel.taken == ["1", "2"] and list(tmp_path.glob("*.*")) == []


def test_what_is_refused_for_good_is_kept_apart_and_holds_nothing_up(tmp_path: Path) -> None:
    spool, channel = Spool(tmp_path), Flaky(ChannelError("400", again=False))
    for n in (1, 2):
        spool.put("ops", {"n": n}, 0.0)
    assert Mailer("ops", channel, spool, lambda one: None).pump(0.0) is None
    assert channel.taken == ["2"]
    (kept,) = (tmp_path / "refused").iterdir()
    assert json.loads(kept.read_text())["errors"] == ["400"]
    assert Spool(tmp_path).put("ops", {"n": 3}, 0.0).name == "000000002-ops"  # a number that is waiting, or was refused, is not given twice


def test_what_cannot_be_read_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "000000001-ops.json").write_text("{}")
    spool = Spool(tmp_path)
    spool.put("ops", {"n": 2}, 0.0)
    assert [one.body["n"] for one in spool.waiting("ops")] == [2]
    assert [one.name for one in (tmp_path / "broken").iterdir()] == ["000000001-ops.json"]


def test_a_channel_that_hangs_keeps_no_other_one_waiting(tmp_path: Path) -> None:
    let_go, hung = Event(), Event()

    class Hanging:
        def send(self, message: Message) -> None:
            hung.set()
            let_go.wait(100)

    quick = Flaky()
    arrived = Event()

    def log(document: Any) -> None:
        if document.get("channel") == "quick":
            arrived.set()

    delivery = Delivery({"hanging": Hanging(), "quick": quick}, Spool(tmp_path), lambda: 0.0, log)
    delivery.put("hanging", Message({"n": 1}))
    assert hung.wait(60)
    delivery.put("quick", Message({"n": 2}))
    assert arrived.wait(60) and quick.taken == ["2"]
    let_go.set()
    assert delivery.close(60)


def test_what_nobody_received_stays_on_disk(tmp_path: Path) -> None:
    failed = Event()
    delivery = Delivery({"ops": Flaky(*[ChannelError("away")] * 9)}, Spool(tmp_path), lambda: 0.0, lambda one: failed.set())
    delivery.put("ops", Message({"n": 1}))
    assert failed.wait(60)
    assert not delivery.close(0.01)
    assert [one.body["n"] for one in Spool(tmp_path).waiting("ops")] == [1]


GOOD: dict[str, Any] = {
    "spool": "out",
    "group_by": ["service"],
    "group_wait": "1s",
    "cooldown": "1m",
    "escalate_after": {"critical": "5m"},
    "escalate_to": ["boss"],
    "silences": [{"match": ['service="cache"'], "comment": "known"}],
    "inhibit": [{"source": ["alertname=A"], "target": ["alertname=B"], "equal": ["service"]}],
    "channels": {
        "ops": {"webhook": {"url": "http://127.0.0.1:1/x", "token": "t"}},
        "chat": {"slack": {"url": "https://127.0.0.1:1/y"}},
        "boss": {"email": {"host": "127.0.0.1", "from": "a@b", "to": "c@d"}},
        "ding": {"apprise": "dingtalk://abcdef0123"},
    },
}


def test_a_section_is_read(tmp_path: Path) -> None:
    read = read_notify(GOOD, tmp_path, 10.0)
    assert (read.first, read.escalate_to, read.spool) == (("ops", "chat", "ding"), ("boss",), tmp_path / "out")
    assert (read.policy.group_wait_s, read.policy.cooldown_s, read.policy.escalate_after_s) == (1.0, 60.0, {"critical": 300.0})
    assert read.policy.time_scale == 10.0 and len(read.policy.inhibitions) == len(read.policy.silences) == 1
    assert read.channels["boss"] == EmailChannel("127.0.0.1", 587, "a@b", ("c@d",))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"channels": {}}, "names no channel"),
        ({"channels": {"Ops": {}}}, "small letters"),
        ({"channels": {"ops": {"pager": {}}}}, "there is no 'pager'"),
        ({"channels": {"ops": {}}}, "is one of"),
        ({"channels": {"ops": {"webhook": {"url": "ftp://x"}}}}, "no http"),
        ({"channels": {"ops": {"email": {"host": "x", "from": "y"}}}}, "needs `to`"),
        ({"channels": {"ops": {"email": {"host": "x", "from": "y", "to": "z", "tls": "maybe"}}}}, "write 'start'"),
        ({"channels": {"ops": {"apprise": "no-such://x"}}}, "knows no such service"),
        ({"group_wait": "soon"}, "no duration"),
        ({"escalate_to": ["nobody"]}, "there is no channel 'nobody'"),
        ({"escalate_after": {"loud": "1m"}}, "there is no 'loud'"),
        ({"silences": [{"match": ["x"]}]}, "no matcher"),
        ({"silences": [{}]}, "needs `match`"),
        ({"group": []}, "there is no 'group'"),
    ],
)
def test_a_section_that_cannot_be_used(change: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(NotifyError, match=words):
        read_notify({**GOOD, **change}, tmp_path, 1.0)
