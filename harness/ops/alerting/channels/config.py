"""The `notify` section of a targets file: who is told, over which channel, and by which policy. docs/alerts.md shows one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.ops import announced
from harness.ops.alerting.channels.base import Channel
from harness.ops.alerting.channels.http import SlackChannel, WebhookChannel
from harness.ops.alerting.channels.mail import EmailChannel
from harness.ops.alerting.channels.through_apprise import AppriseChannel
from harness.ops.alerting.life.policy import DEFAULT_INHIBITIONS, Inhibition, Policy, PolicyError, Silence, matcher
from harness.ops.alerting.rules.model import SEVERITIES
from harness.ops.alerting.rules.reading import duration_s

GROUP = "rag_gauntlet.channels"
_NAME = re.compile(r"[a-z0-9_]{1,40}")
_KEYS = ("channels", "spool", "group_by", "group_wait", "group_interval", "repeat_interval", "cooldown", "escalate_after", "escalate_to")
_LISTS = ("silences", "inhibit")


class NotifyError(ValueError):
    """A section that cannot be used; the message says which key, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Where notifications go. `escalate_to` are the channels of escalations, `first` those of everything else."""

    channels: Mapping[str, Channel]
    first: tuple[str, ...]
    escalate_to: tuple[str, ...]
    spool: Path
    policy: Policy


def read_notify(document: Any, base: Path, time_scale: float) -> Notify:
    """`base` is what a relative spool is relative to. Raises NotifyError."""
    section = _mapping(document, "notify", (*_KEYS, *_LISTS))
    channels = {name: _channel(name, one) for name, one in _mapping(section.get("channels"), "notify.channels", None).items()}
    if not channels:
        raise NotifyError("notify.channels: names no channel; write {ops: {webhook: {url: …}}}")
    escalate_to = tuple(map(str, section.get("escalate_to") or ()))
    if unknown := sorted(set(escalate_to) - channels.keys()):
        raise NotifyError(f"notify.escalate_to: there is no channel {unknown[0]!r}; there are {', '.join(channels)}")
    first = tuple(name for name in channels if name not in escalate_to) or tuple(channels)
    spool = base / str(section.get("spool", "notifications"))
    return Notify(channels, first, escalate_to or first, spool, _policy(section, time_scale))


def _policy(section: Mapping[str, Any], time_scale: float) -> Policy:
    usual = Policy()
    after = _mapping(section.get("escalate_after") or {}, "notify.escalate_after", SEVERITIES)
    try:
        silences = tuple(_silence(one, n) for n, one in enumerate(section.get("silences") or ()))
        inhibitions = (
            tuple(_inhibition(one, n) for n, one in enumerate(section["inhibit"])) if "inhibit" in section else DEFAULT_INHIBITIONS
        )
    except PolicyError as error:
        raise NotifyError(f"notify: {error}") from error
    return Policy(
        group_by=tuple(map(str, section.get("group_by", usual.group_by))),
        group_wait_s=_duration(section, "group_wait", usual.group_wait_s),
        group_interval_s=_duration(section, "group_interval", usual.group_interval_s),
        repeat_interval_s=_duration(section, "repeat_interval", usual.repeat_interval_s),
        cooldown_s=_duration(section, "cooldown", usual.cooldown_s),
        escalate_after_s={severity: _duration(after, severity, 0.0, "notify.escalate_after") for severity in after},
        silences=silences,
        inhibitions=inhibitions,
        time_scale=time_scale,
    )


def _silence(document: Any, n: int) -> Silence:
    where = f"notify.silences[{n}]"
    given = _mapping(document, where, ("match", "comment"))
    return Silence(tuple(matcher(str(one)) for one in _needed(given, "match", where)), comment=str(given.get("comment", "")))


def _inhibition(document: Any, n: int) -> Inhibition:
    where = f"notify.inhibit[{n}]"
    given = _mapping(document, where, ("source", "target", "equal"))
    source, target = (tuple(matcher(str(one)) for one in _needed(given, side, where)) for side in ("source", "target"))
    return Inhibition(source, target, tuple(map(str, given.get("equal") or ())))


def _channel(name: str, document: Any) -> Channel:
    where = f"notify.channels.{name}"
    if not _NAME.fullmatch(name):
        raise NotifyError(f"{where}: a channel's name is of small letters, digits and _")
    kinds = tuple(dict.fromkeys((*_CHANNELS, *announced.names(GROUP))))
    given = _mapping(document, where, kinds)
    if len(given) != 1:
        raise NotifyError(f"{where}: is one of {', '.join(kinds)}")
    ((kind, settings),) = given.items()
    made = _CHANNELS.get(kind)
    return made(settings, f"{where}.{kind}") if made is not None else _of_others(kind, settings, f"{where}.{kind}")


def _of_others(kind: str, settings: Any, where: str) -> Channel:
    """A channel of another distribution, made from what stands under its name."""
    try:
        made: Channel = announced.load(GROUP, kind, "channel")(settings)
    except announced.AnnouncedError as error:
        raise NotifyError(f"{where}: {error}") from error
    except Exception as error:  # the code is somebody else's: whatever it raises is told as its own
        raise NotifyError(f"{where}: cannot be made: {type(error).__name__}: {error}") from error
    return made


def _webhook(document: Any, where: str) -> Channel:
    given = _mapping(document, where, ("url", "token"))
    return WebhookChannel(_url(given, where), given.get("token"))


def _slack(document: Any, where: str) -> Channel:
    given = _mapping(document, where, ("url", "channel"))
    return SlackChannel(_url(given, where), given.get("channel"))


def _email(document: Any, where: str) -> Channel:
    given = _mapping(document, where, ("host", "port", "from", "to", "tls", "user", "password"))
    tls = given.get("tls", "start")
    if tls not in ("off", "start", "on"):
        raise NotifyError(f"{where}.tls: {tls!r}; write 'start', 'on' or 'off'")
    to = _needed(given, "to", where)
    return EmailChannel(
        host=str(_needed(given, "host", where)),
        port=int(given.get("port", {"off": 25, "start": 587, "on": 465}[tls])),
        sender=str(_needed(given, "from", where)),
        to=(to,) if isinstance(to, str) else tuple(map(str, to)),
        tls=tls,
        user=given.get("user"),
        password=str(given.get("password", "")),
    )


def _apprise(document: Any, where: str) -> Channel:
    try:
        return AppriseChannel.create(str(document))
    except ImportError as error:
        raise NotifyError(f"{where}: Apprise is not here; pip install 'rag-gauntlet[notify]'") from error
    except ValueError as error:
        raise NotifyError(f"{where}: {error}") from error


_CHANNELS: Mapping[str, Callable[[Any, str], Channel]] = {"webhook": _webhook, "slack": _slack, "email": _email, "apprise": _apprise}


def _url(given: Mapping[str, Any], where: str) -> str:
    url = str(_needed(given, "url", where))
    if not url.startswith(("http://", "https://")):
        raise NotifyError(f"{where}.url: {url!r} is no http or https URL")
    return url


def _needed(given: Mapping[str, Any], key: str, where: str) -> Any:
    if not given.get(key):
        raise NotifyError(f"{where}: needs `{key}`")
    return given[key]


def _mapping(document: Any, where: str, allowed: tuple[str, ...] | None) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise NotifyError(f"{where}: must be a mapping")
    for key in document:
        if allowed is not None and key not in allowed:
            raise NotifyError(f"{where}: there is no {key!r}; write one of {', '.join(allowed)}")
    return {str(k): v for k, v in document.items()}


def _duration(given: Mapping[str, Any], key: str, usual: float, where: str = "notify") -> float:
    if key not in given:
        return usual
    seconds = duration_s(str(given[key]))
    if seconds is None:
        raise NotifyError(f"{where}.{key}: {given[key]!r} is no duration; write 30s or 5m")
    return seconds
