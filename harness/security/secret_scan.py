"""Secrets in files and in the history of a git repository, found by detect-secrets. Values are never told, only their fingerprints."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.findings import Finding
from harness.security.accepted import Fingerprinted, fingerprint

MAX_BYTES = 1 << 20  # of a file: what is larger was hardly written by hand
MAX_LINE = 2_000
_INSTEAD = "replace the secret (it is known now), and read the new one from a file or the environment"
# Entropy alone takes every checksum for a secret; these know what they look for.
_PLUGINS = (
    "ArtifactoryDetector", "AWSKeyDetector", "AzureStorageKeyDetector", "BasicAuthDetector", "CloudantDetector",
    "DiscordBotTokenDetector", "GitHubTokenDetector", "GitLabTokenDetector", "JwtTokenDetector", "KeywordDetector", "MailchimpDetector",
    "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector", "SendGridDetector", "SlackDetector",
    "SquareOAuthDetector", "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
_FILTERS = ("is_sequential_string", "is_potential_uuid", "is_templated_secret", "is_prefixed_with_dollar_sign", "is_indirect_reference",
            "is_lock_file", "is_not_alphanumeric_string")  # fmt: skip
_SETTINGS = {
    "plugins_used": [{"name": name} for name in _PLUGINS],
    "filters_used": [
        {"path": "detect_secrets.filters.allowlist.is_line_allowlisted"},
        *({"path": f"detect_secrets.filters.heuristic.{name}"} for name in _FILTERS),
    ],
}


@dataclass(frozen=True, slots=True)
class History:
    """What of a history was read. `doubt` says why it was not all of it."""

    commits: int
    found: tuple[Fingerprinted, ...]
    doubt: str = ""


def tracked(root: Path) -> list[Path]:
    """The files that git knows below a folder; all files where it knows nothing of it."""
    done = _git(root, "ls-files", "-z")
    if done is None:
        return sorted(path for path in root.rglob("*") if path.is_file() and ".git" not in path.parts)
    return [root / name for name in done.split("\0") if name and (root / name).is_file() and not (root / name).is_symlink()]


def in_files(paths: Iterable[Path], root: Path) -> Iterator[Fingerprinted]:
    """Secrets in text files, by line. What a line itself marks with `pragma: allowlist secret` is left out."""
    for path in paths:
        if path.stat().st_size <= MAX_BYTES:
            name = path.relative_to(root).as_posix()
            yield from (_found(type_, value, name, line, "") for type_, value, line in _in_file(path))


def in_history(root: Path, max_commits: int) -> History:
    """Secrets in lines that any commit of any branch has added; each once, where it came first."""
    if _git(root, "rev-parse", "--git-dir") is None:
        return History(0, (), "no git repository: its history cannot be looked at")
    doubt = ""
    if (_git(root, "rev-parse", "--is-shallow-repository") or "").strip() == "true":
        doubt = "the repository is shallow: git fetch --unshallow brings the rest of its history"
    count = int((_git(root, "rev-list", "--all", "--count") or "0").strip() or 0)
    if count > max_commits:
        doubt = f"only {max_commits} of {count} commits were looked at"
    shape = ("--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--format=%x01%h")
    text = _git(root, "log", "--all", *shape, f"--max-count={max_commits}", "--reverse" if count <= max_commits else "--date-order")
    if text is None:
        return History(0, (), "git log has not answered")
    found: dict[str, Fingerprinted] = {}
    for one in _in_patches(text):
        found.setdefault(one.fingerprint, one)
    return History(min(count, max_commits), tuple(found.values()), doubt)


def _in_patches(text: str) -> Iterator[Fingerprinted]:
    """Of each path, what was ever added to it is scanned as one file of that name, for kinds of files are read in their own ways."""
    added: dict[str, list[tuple[str, str]]] = {}
    commit = path = ""
    for line in text.split("\n"):
        if line.startswith("\x01"):
            commit = line[1:]
        elif line.startswith("+++ "):
            path = line[4:].strip().strip('"').removeprefix("b/")
        elif line.startswith("+"):
            added.setdefault(path, []).append((line[1 : MAX_LINE + 1].replace("\r", ""), commit))
    with tempfile.TemporaryDirectory(prefix="gauntlet-history-") as folder:
        for path, lines in added.items():
            copy = Path(folder) / f"lines{PurePosixPath(path).suffix[:16]}"
            copy.write_text("\n".join(one for one, _ in lines) + "\n", encoding="utf-8", errors="replace")
            for type_, value, number in _in_file(copy):
                commit = lines[number - 1][1] if 0 < number <= len(lines) else "?"
                yield _found(type_, value, path, None, f", added by commit {commit}")


def _in_file(path: Path) -> Iterator[tuple[str, str, int]]:
    """(kind, value, line)."""
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import transient_settings

    with transient_settings(_SETTINGS):
        found: Iterable[Any] = list(scan_file(str(path)))
    seen = sorted({(one.type, one.secret_value or "", int(one.line_number)) for one in found}, key=lambda one: (one[2], one[0]))
    yield from seen


def _found(type_: str, value: str, path: str, line: int | None, where: str) -> Fingerprinted:
    rule = "secrets." + type_.lower().replace(" ", "_").replace("-", "_").replace("/", "_")
    message = f"{type_}{where}"
    return Fingerprinted(Finding(rule, "error", message, _INSTEAD, path, line), fingerprint(type_, value))


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None where it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else None
